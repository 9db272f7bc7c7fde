"""Repeated rows are counted exactly, in stretches or at once, also where regions were made by shifting copies."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import MODEL, look_of, poisson, report_on, requests_at, rows_of, series_of
from workbench.traces import TraceOptions, ingest, open_store, parse_region_split, parse_tier_split
from workbench.traces.quality import repeats
from workbench.traces.quality.levels import Load, Look

SPLIT = parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")


def doubled(rows: int) -> pl.DataFrame:
    """A day of arrivals of which the first so many come twice, the copies at the very end of the file."""
    frame = requests_at(poisson(0.05, days=1))
    return pl.concat([frame, frame.slice(2000, rows)])


def test_each_further_copy_counts() -> None:
    frame = requests_at([0, 1, 2, 3])
    (repeated,) = rows_of(report_on(pl.concat([frame, frame.head(2), frame.head(1)])), "repeated rows")
    assert (repeated["where"], repeated["count"], repeated["level"]) == (MODEL, 3, "warning")


def test_rows_that_differ_in_anything_are_no_copies() -> None:
    frame = requests_at([0.0, 0.0, 0.0, 0.0, 0.0]).with_columns(input_tokens=pl.lit(5), output_tokens=pl.lit(5))
    apart = frame.with_columns(
        tenant=pl.Series(["a", "b", None, None, None]),
        region=pl.Series(["us_east", "us_east", "us_west", "us_east", "us_east"]),
        cached_tokens=pl.Series([None, None, None, 1, 2], dtype=pl.Int64),
    )
    assert rows_of(report_on(apart), "repeated rows") == []


def test_copies_are_found_in_any_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "ROWS_AT_ONCE", 100)
    (repeated,) = rows_of(report_on(doubled(50)), "repeated rows")
    assert repeated["count"] == 50


def test_copies_that_fell_into_different_made_regions_are_found(tmp_path: Path) -> None:
    """A pair is drawn into regions one by one, shifted by up to three hours; only what the cut drops may be missed."""
    doubled(300).drop("region", "tier").write_parquet(tmp_path / "r.parquet")
    options = TraceOptions(region_split=SPLIT, tier_split=parse_tier_split("a=0.5,b=0.5"), tier=None)
    with open_store(tmp_path / "t.duckdb") as store:
        report = ingest(tmp_path / "r.parquet", store=store, name="x", options=options)
    (repeated,) = rows_of(report, "repeated rows")
    assert repeated["count"] == 300


def test_stretches_cover_every_window_once() -> None:
    frame = series_of([1e6, 1e6, 1e6, 5e6, 1.0])
    load = Load(frame=frame, window_s=600, measure="requests", is_complete=True)
    parts = repeats.stretches(Look(load=load))
    assert parts[0][0] == load.first
    assert [part[0] for part in parts[1:]] == [part[1] for part in parts[:-1]]
    assert (parts[-1][1] - load.last).total_seconds() == 600
    assert len(parts) > 2
    assert repeats.repeats(look_of(frame)) == []
