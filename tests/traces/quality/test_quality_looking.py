"""The report as a whole: silent about clean loads, and the same whatever the order of the rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.quality.quality_cases import (
    MODEL,
    OTHER,
    alarming,
    gaps_on,
    poisson,
    report_on,
    requests_at,
    series_of,
)
from workbench.traces import ingest, open_store
from workbench.traces.quality import looking
from workbench.traces.readers import batches, csv_rows


def test_every_check_stands_once_in_the_tuple() -> None:
    names = [check.__name__ for check in looking.CHECKS]
    assert len(set(names)) == len(names) > 10


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    per_day=st.integers(50, 4000),
    days=st.floats(0.05, 9.0),
    swing=st.floats(0.0, 0.95),
)
def test_a_clean_stream_of_requests_raises_no_alarm(seed: int, per_day: int, days: float, swing: float) -> None:
    at = poisson(per_day / 86_400, days=days, swing=swing, seed=seed)
    if at.size < 3:
        return
    parts = [
        requests_at(at, seed=seed),
        requests_at(poisson(0.001, days=days, seed=seed + 1), model=OTHER, seed=seed + 1),
    ]
    assert alarming(report_on(pl.concat(parts))) == []


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    level=st.floats(1.0, 1e6),
    days=st.integers(1, 16),
    swing=st.floats(0.0, 0.9),
    weekend=st.floats(0.2, 1.0),
)
def test_a_clean_series_raises_no_alarm(seed: int, level: float, days: int, swing: float, weekend: float) -> None:
    windows = np.arange(days * 144)
    rate = level * (1 + swing * np.sin(2 * np.pi * windows / 144))
    rate *= np.where(((windows // 144) + 2) % 7 >= 5, weekend, 1.0)
    values = np.random.default_rng(seed).poisson(rate).astype(float)
    assert alarming(report_on(series_of(list(values)))) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_a_report_does_not_depend_on_the_order_of_rows(seed: int) -> None:
    at = poisson(0.05, days=2)
    at = at[(at < 30_000) | (at > 40_000)]
    frame = pl.concat([requests_at(at), requests_at(at[:300], seed=1), requests_at(at / 2, model=OTHER)])
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    assert report_on(frame).findings.equals(report_on(shuffled).findings)
    assert gaps_on(frame).equals(gaps_on(shuffled))


def test_a_report_does_not_depend_on_the_length_of_batches(tmp_path: Path, monkeypatch: object) -> None:
    at = poisson(0.05, days=1)
    frame = requests_at(at[(at < 30_000) | (at > 40_000)]).drop("app", "tenant", "cached_tokens")
    path = tmp_path / "r.csv"
    pl.concat([frame, frame.head(20)]).write_csv(path)
    reports = []
    for rows in (100, 100_000):
        for module in (batches, csv_rows):
            if hasattr(module, "ROWS_PER_BATCH"):
                monkeypatch.setattr(module, "ROWS_PER_BATCH", rows)  # type: ignore[attr-defined]
        with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "t.duckdb") as store:
            reports.append(ingest(path, store=store, name="x").findings)
    assert reports[0].equals(reports[1])
    assert {"hole", "repeated rows", "out of order"} <= set(reports[0]["finding"])
    assert MODEL in reports[0].filter(pl.col("finding") == "hole")["where"].to_list()
