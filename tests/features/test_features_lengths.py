"""Lengths fall into their bins, drift is a distance between curves, and prompt and output go together or do not."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load, stored
from tests.traces.trace_cases import frame_of
from workbench.errors import TraceError
from workbench.features import lengths
from workbench.traces import TraceOptions, ingest, open_store

DAY = 86_400.0


def histogram_of(tokens: dict[int, list[int]]) -> pl.DataFrame:
    """A histogram of prompts whose lengths are powers of two, by day."""
    rows = [(datetime(2026, 3, 2 + day), float(size)) for day, sizes in tokens.items() for size in sizes]
    frame = pl.DataFrame(rows, schema={"window_start": pl.Datetime("us"), "tokens_low": pl.Float64}, orient="row")
    counted = frame.group_by("window_start", "tokens_low").len("requests")
    return counted.select(
        "window_start",
        pl.lit("m").alias("model"),
        pl.lit("input_tokens").alias("measure"),
        "tokens_low",
        (pl.col("tokens_low") * 2 ** (1 / 8)).alias("tokens_high"),
        "requests",
    )


def test_every_request_lies_in_its_bin(tmp_path: Path) -> None:
    sizes = [1, 2, 3, 7, 8, 9, 1023, 1024, 10**6]
    frame = frame_of([(i, "m", size, 5) for i, size in enumerate(sizes)])
    with stored(tmp_path, {"x": frame}) as store:
        found = lengths.length_histogram(store, "x", by=("model",))
    prompts = found.filter(measure="input_tokens")
    assert prompts["requests"].sum() == found.filter(measure="output_tokens")["requests"].sum() == len(sizes)
    for size in sizes:
        assert prompts.filter(pl.col("tokens_low") <= size, pl.col("tokens_high") > size).height == 1
    assert {1.0, 2.0, 8.0, 1024.0} <= set(prompts["tokens_low"])  # powers of two are edges


def test_the_distribution_adds_up_over_windows() -> None:
    rows = lengths.length_distribution(histogram_of({0: [16, 32], 1: [32, 64]}), "model")
    assert rows["requests"].to_list() == [1, 2, 1]
    assert rows["below_fraction"].to_list() == [0.25, 0.75, 1.0]


def test_twice_as_long_is_an_octave_away() -> None:
    """Day 2 doubles each length, so the curves lie an octave apart; of four lengths three quarters still overlap."""
    first = [16, 32, 64, 128]
    drift = lengths.length_drift(histogram_of({0: first, 1: [2 * size for size in first], 2: first}), "model")
    same, doubled, again = drift.to_dicts()
    assert (same["ks_fraction"], same["shift_octaves"]) == (0.0, 0.0)
    assert doubled["ks_fraction"] == 0.25
    assert doubled["shift_octaves"] == pytest.approx(1.0)
    assert (again["ks_fraction"], again["tokens_p50"]) == (0.0, same["tokens_p50"])
    assert doubled["tokens_p50"] == pytest.approx(2 * same["tokens_p50"])
    assert same["ks_chance_fraction"] == pytest.approx(1.358 * math.sqrt(8 / 16))


@settings(deadline=None, max_examples=30)
@given(
    first=st.lists(st.integers(0, 16), min_size=1, max_size=40),
    later=st.lists(st.integers(0, 16), min_size=1, max_size=40),
)
def test_drift_is_a_distance(first: list[int], later: list[int]) -> None:
    days = {0: [2**size for size in first], 1: [2**size for size in later]}
    there = lengths.length_drift(histogram_of(days)).row(1, named=True)
    back = lengths.length_drift(histogram_of({0: days[1], 1: days[0]})).row(1, named=True)
    assert 0.0 <= there["ks_fraction"] <= 1.0
    assert there["ks_fraction"] == pytest.approx(back["ks_fraction"])
    assert there["shift_octaves"] == pytest.approx(back["shift_octaves"])
    assert there["shift_octaves"] >= abs(np.mean(first) - np.mean(later)) - 1 / 8


def test_percentiles_of_the_histogram_are_those_of_the_requests(tmp_path: Path, rng: np.random.Generator) -> None:
    sizes = np.maximum(1, rng.lognormal(7, 1.2, 4000)).astype(int)
    frame = frame_of([(i, "m", int(size), 5) for i, size in enumerate(sizes)])
    with stored(tmp_path, {"x": frame}) as store:
        drift = lengths.length_drift(lengths.length_histogram(store, "x", window_s=DAY))
        exact = lengths.token_quantiles(store, "x", quantiles=(0.5, 0.95))["input_tokens"].to_list()
    row = drift.filter(measure="input_tokens").row(0, named=True)
    assert [row["tokens_p50"], row["tokens_p95"]] == pytest.approx(exact, rel=0.03)


def test_moments_worked_out_by_hand(tmp_path: Path) -> None:
    """Prompts 100 and 300, outputs 10 and 30: CV 1/2, both rise together; the constant of the other model has none."""
    frame = frame_of([(0, "a", 100, 10), (1, "a", 300, 30), (2, "b", 50, 5), (3, "b", 50, 9)])
    with stored(tmp_path, {"x": frame}) as store:
        a, b = lengths.length_moments(store, "x", by=("model",)).to_dicts()
    assert (a["requests"], a["input_tokens_mean"], a["input_tokens_cv"], a["output_tokens_max"]) == (2, 200.0, 0.5, 30)
    assert (a["correlation"], a["log_correlation"]) == (pytest.approx(1.0), pytest.approx(1.0, abs=1e-6))
    assert (b["input_tokens_cv"], b["correlation"], b["log_correlation"]) == (0.0, None, None)


def test_output_by_prompt_goes_by_octaves(tmp_path: Path) -> None:
    frame = frame_of([(0, "a", 64, 10), (1, "a", 127, 30), (2, "a", 128, 7)])
    with stored(tmp_path, {"x": frame}) as store:
        rows = lengths.output_by_prompt(store, "x")
    assert rows.select("input_tokens_low", "requests", "output_tokens_mean", "output_tokens_p50").rows() == [
        (64, 2, 20.0, 20.0),
        (128, 1, 7.0, 7.0),
    ]


def test_cache_hits_rest_on_what_is_known(tmp_path: Path) -> None:
    """Of 100 and 300 tokens 50 and 150 were held; the third request does not say."""
    frame = frame_of([(0, "a", 100, 1), (1, "a", 300, 1), (2, "a", 999, 1), (4000, "a", 10, 1)])
    frame = frame.with_columns(cached_tokens=pl.Series([50, 150, None, None], dtype=pl.Int64))
    with stored(tmp_path, {"x": frame}) as store:
        first, second = lengths.cache_hits(store, "x").to_dicts()
    assert (first["cached_fraction"], first["known_fraction"]) == (0.5, pytest.approx(2 / 3))
    assert (second["cached_fraction"], second["known_fraction"], second["input_tokens"]) == (None, 0.0, 0.0)


def test_a_series_has_no_lengths(tmp_path: Path) -> None:
    with stored(tmp_path, {"s": load({"r m t": [1, 2]})}) as store:
        for ask in (lengths.length_histogram, lengths.length_moments, lengths.output_by_prompt, lengths.cache_hits):
            with pytest.raises(TraceError, match="no single requests"):
                ask(store, "s")


@pytest.mark.parametrize(
    ("name", "input_mean", "output_mean", "input_max", "output_max"),
    [("code", 2048, 28, 7437, 1899), ("conv", 1155, 211, 14_050, 1000)],
)
def test_azure_2023_has_the_moments_of_its_readme(
    shared_data: Path, tmp_path: Path, name: str, input_mean: int, output_mean: int, input_max: int, output_max: int
) -> None:
    path = shared_data / "azure-llm-2023" / f"AzureLLMInferenceTrace_{name}.csv.gz"
    options = TraceOptions(region="us_east", tier="interactive_fast", model="m")
    with open_store(tmp_path / "azure.duckdb") as store:
        ingest(path, store=store, name="azure", options=options)
        (row,) = lengths.length_moments(store, "azure").to_dicts()
    assert row["input_tokens_mean"] == pytest.approx(input_mean, abs=0.5)
    assert row["output_tokens_mean"] == pytest.approx(output_mean, abs=0.5)
    assert (row["input_tokens_max"], row["output_tokens_max"]) == (input_max, output_max)
