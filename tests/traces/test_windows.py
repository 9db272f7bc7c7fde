"""Windows of a series lie on one grid, each once in all files of a trace: workbench.traces.windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import MODEL, REGION, TIER, series_of
from workbench.errors import TraceError
from workbench.traces import Store, TraceOptions, check, ingest, open_store, parse_region_split
from workbench.traces.windows import one_window_s, refuse_overlap, window_s_in

SPLIT = parse_region_split("us_east=0.5:0,us_west=0.5:3")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "t.duckdb")


def later(frame: pl.DataFrame, **by: float) -> pl.DataFrame:
    return frame.with_columns(pl.col("window_start") + timedelta(**by))


def test_the_length_is_the_step_and_all_files_share_it() -> None:
    ten, five = series_of([1.0, 2.0, None]), series_of([1.0, 2.0], window_s=300)
    assert window_s_in(ten, "a.csv") == 600
    assert one_window_s({"a.csv": ten, "b.csv": later(ten, hours=1)}) == 600
    with pytest.raises(TraceError, match=r"found a\.csv 600 s, b\.csv 300 s; ingest them apart"):
        one_window_s({"a.csv": ten, "b.csv": five})


def test_windows_that_come_twice_or_off_the_grid_are_named() -> None:
    ten = series_of([1.0, 2.0, 3.0])
    with pytest.raises(TraceError, match=rf"2 windows come twice .* 2025-07-09 00:10:00 of {REGION} {MODEL} {TIER}"):
        window_s_in(pl.concat([ten, ten.slice(1, 1)]), "a.csv")
    with pytest.raises(TraceError, match="3 windows do not start at a whole multiple of 600 s"):
        window_s_in(later(ten, seconds=1), "a.csv")
    with pytest.raises(TraceError, match=r"a\.csv: a window length needs two windows"):
        window_s_in(ten.head(1), "a.csv")


def test_one_stamp_of_another_decade_does_not_stretch_the_grid() -> None:
    minutes = series_of([1.0] * 200, window_s=60)
    stray = later(minutes.head(1), days=-4000)
    with pytest.raises(TraceError, match=r"201 windows of 60 s lie between 2014-07-27 .*, where 5,760,200 would fit"):
        window_s_in(pl.concat([stray, minutes]), "a.csv")
    assert window_s_in(pl.concat([minutes, later(minutes, days=300)]), "a.csv") == 60


def test_two_files_that_state_the_same_window_are_refused(store: Store, tmp_path: Path) -> None:
    """Two services of one model in two files are two models, regions or tiers; the same export twice is none."""
    first = series_of([1.0] * 12)
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    first.write_parquet(paths[0])
    later(first, hours=1).write_parquet(paths[1])
    with pytest.raises(TraceError, match=r"a\.parquet, b\.parquet: 12 windows come from more than one file"):
        ingest(paths, store=store, name="x")
    with pytest.raises(TraceError, match=r"a\.parquet is named more than once"):
        ingest([paths[0], tmp_path / "." / "a.parquet"], store=store, name="x")
    assert store.traces().is_empty()
    refuse_overlap(pl.concat([first, later(first, hours=2)]), ["a.parquet", "b.parquet"])


@pytest.mark.parametrize("hours_apart", [24, 30])
def test_of_files_that_follow_each_other_only_the_ends_of_the_trace_are_cut(
    store: Store, tmp_path: Path, hours_apart: int
) -> None:
    """Days 1 and 2 in two files, regions 0 and 3 h later: kept are hours 3 to the end in both regions."""
    frame = series_of([float(100 + i % 5) for i in range(144)]).drop("region")
    frame.write_parquet(tmp_path / "one.parquet")
    later(frame, hours=hours_apart).write_parquet(tmp_path / "two.parquet")
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    report = ingest(paths, store=store, name="x", options=TraceOptions(region_split=SPLIT))
    assert report.first_at == datetime(2025, 7, 9, 3)
    rows = store.sum_by_window("x", window_s=600)
    assert rows.group_by("region").len().sort("region").rows() == [("us_east", 288 - 18), ("us_west", 288 - 18)]
    gaps = report.findings.filter(pl.col("finding") == "gap")["count"].to_list()
    assert gaps == ([] if hours_apart == 24 else [36])
    assert check(store, "x").differences == ()
