"""workbench.traces.synthetic.fitting and workbench.traces.synthetic.agreement: fit, generate, compare as stated.

On the synthetic week, on the real hour of Azure 2023, on a bursty trace with failed-looking short outputs made by hand,
and on real series of sums (SageServe's week, ServeGen's two weeks).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.traces.synthetic.fitting_cases import SHARED, kept, requests_at, series_of
from workbench.errors import TraceError
from workbench.traces import Source, TraceOptions, ingest, open_store
from workbench.traces.store import Store
from workbench.traces.synthetic import (
    TOLERANCES,
    Workload,
    agreement,
    expected,
    fit,
    generate,
    summary,
    week,
)
from workbench.traces.synthetic.workload_files import as_text

AZURE = SHARED / "azure-llm-2023"
SAGESERVE = SHARED / "sageserve" / "week_prompt_tokens_per_min.parquet"
SERVEGEN = SHARED / "servegen" / "model_10min.parquet"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "traces.duckdb") as opened:
        yield opened


def copied(store: Store, trace: str, *, scale: float = 1.0) -> tuple[Workload, pl.DataFrame]:
    """Fit a workload to a trace, make a copy of it, and compare them."""
    workload = fit(store, trace)
    requests = None if scale == 1.0 else expected(workload) * scale
    kept(store, pl.concat(generate(workload, seed=5, requests=requests)), "copy")
    return workload, agreement(store, trace, "copy", workload=workload, scale=scale)


def disagreeing(compared: pl.DataFrame) -> list[tuple[str, str]]:
    return compared.filter(~pl.col("agrees")).select("measure", "where").rows()


@pytest.mark.slow
def test_a_copy_of_the_synthetic_week_agrees(store: Store) -> None:
    frame = week(seed=7, requests=200_000)
    workload, compared = copied(store, kept(store, frame))
    assert disagreeing(compared) == []
    assert set(summary(compared)["measure"]) >= {tolerance.measure for tolerance in TOLERANCES[:4]}
    copy = store.requests("copy")
    for column in ("region", "tier", "model", "app"):
        ours, theirs = (dict(part[column].value_counts(normalize=True).rows()) for part in (frame, copy))
        assert theirs == pytest.approx(ours, abs=0.01)
    strongest = max(workload.streams, key=lambda stream: stream.rps)
    assert workload.growth_per_week == 0.0
    assert {noise.dwell_s for noise in strongest.noise} <= {1.0, 10.0, 60.0, 600.0}


def test_a_workload_holds_no_client_and_no_row(store: Store) -> None:
    names = [f"client {i % 7} of ours" for i in range(2000)]
    frame = requests_at(sorted(np.random.default_rng(1).random(2000) * 86_400), tenant=names, app="chat")
    text = as_text(fit(store, kept(store, frame)))
    assert "of ours" not in text
    assert len(text) < 40_000


@pytest.mark.skipif(not AZURE.exists(), reason="the Azure 2023 files are not here")
def test_a_copy_of_the_azure_hour_agrees(store: Store) -> None:
    files = {"code": "llama31_8b", "conv": "llama2_70b"}
    sources = [
        Source(
            path=AZURE / f"AzureLLMInferenceTrace_{part}.csv.gz",
            options=TraceOptions(model=model, region="us_east", tier="interactive_fast"),
        )
        for part, model in files.items()
    ]
    ingest(sources, store=store, name="azure")
    workload, compared = copied(store, "azure")
    assert disagreeing(compared) == []
    assert compared.height == 2 * 14
    gaps = compared.filter(pl.col("measure").str.starts_with("gap CV"))
    assert gaps["agrees"].to_list() == [None, None]
    assert gaps["difference"].max() > 0.3
    assert workload.rps == pytest.approx(28_185 / 3_514, rel=0.02)
    copy = store.requests("copy").filter(pl.col("model") == "llama2_70b")
    assert (copy["output_tokens"] <= 1000).all()


def test_a_bursty_trace_with_many_short_answers_agrees(store: Store) -> None:
    """As in BurstGPT: calls come in packs within a second, and a part of them answers with next to nothing."""
    random = np.random.default_rng(2)
    packs = np.sort(random.random(6_000) * 2 * 86_400)
    at = np.repeat(packs, random.geometric(0.4, packs.size)) + 0.0
    prompt = np.maximum(random.lognormal(6, 1, at.size), 1).astype(int)
    failed = random.random(at.size) < 0.1
    output = np.where(failed, 1, np.maximum(random.lognormal(4.5, 0.8, at.size), 1)).astype(int)
    frame = requests_at(at.tolist(), input_tokens=prompt.tolist(), output_tokens=output.tolist())
    workload, compared = copied(store, kept(store, frame.sort("arrived_at")))
    assert disagreeing(compared) == []
    assert workload.streams[0].noise[0].dwell_s == 1.0
    copy = store.requests("copy")
    assert (copy["output_tokens"] == 1).mean() == pytest.approx(failed.mean(), abs=0.02)


@pytest.mark.skipif(not SAGESERVE.exists(), reason="SageServe's week is not here")
def test_a_copy_of_the_sageserve_week_agrees_in_rates_and_means(store: Store) -> None:
    options = TraceOptions(
        start=datetime(2024, 11, 4), region="us_east", input_tokens_per_request=5000, output_tokens_per_request=222
    )
    ingest(SAGESERVE, store=store, name="week", options=options)
    workload, compared = copied(store, "week", scale=0.03)
    assert disagreeing(compared) == []
    assert "lognormal" in workload.notes[0]
    assert set(compared["measure"]) == {
        "requests",
        "requests per window",
        "input tokens, mean",
        "output tokens, mean",
    }


@pytest.mark.skipif(not SERVEGEN.exists(), reason="ServeGen's series is not here")
def test_a_copy_of_servegen_agrees_in_level_and_lengths_and_says_that_it_does_not_repeat(store: Store) -> None:
    """m-large repeats neither by day nor by week (24 h autocorrelation of 0.09), which no rhythm can follow."""
    options = TraceOptions(start=datetime(2025, 1, 1), region="us_east", tier="t", keep=("m-large", "m-mid"))
    ingest(SERVEGEN, store=store, name="two_weeks", options=options)
    workload, compared = copied(store, "two_weeks", scale=0.0005)
    assert workload.growth_per_week == pytest.approx(0.19, abs=0.03)
    assert disagreeing(compared.filter(pl.col("measure") != "requests per window")) == []
    assert ("requests per window", "m-large, t") in disagreeing(compared)


def test_a_part_of_a_trace_can_be_fitted(store: Store) -> None:
    trace = kept(store, series_of([100.0] * 24 + [900.0] * 24, 3600.0))
    first = fit(store, trace, until=datetime(2025, 1, 7))
    second = fit(store, trace, since=datetime(2025, 1, 7))
    assert (first.rps * 3600, second.rps * 3600) == pytest.approx((100.0, 900.0), rel=1e-3)
    assert first.days == second.days == 1.0


def test_a_copy_that_differs_is_told(store: Store) -> None:
    frame = week(seed=7, requests=60_000, days=2)
    workload = fit(store, kept(store, frame))
    double = dataclasses.replace(
        workload, streams=tuple(dataclasses.replace(stream, rps=2 * stream.rps) for stream in workload.streams)
    )
    kept(store, pl.concat(generate(double, seed=5)), "copy")
    compared = agreement(store, "trace", "copy", workload=workload)
    totals = compared.filter(pl.col("measure") == "requests")
    assert totals.height > 0
    assert not totals["agrees"].any()
    assert summary(compared).filter(pl.col("measure") == "requests")["agree"].to_list() == [0]


def test_nothing_to_fit_is_said(store: Store) -> None:
    trace = kept(store, series_of([0.0] * 24 + [500.0] * 24, 3600.0))
    with pytest.raises(TraceError, match="no known request"):
        fit(store, trace, until=datetime(2025, 1, 7))
    with pytest.raises(TraceError, match="has nothing between"):
        fit(store, trace, since=datetime(2026, 1, 1))
    with pytest.raises(TraceError, match="no trace 'none'"):
        fit(store, "none")
