"""What a series lacks is told by stretches, between its own first and last row."""

from __future__ import annotations

import polars as pl

from tests.traces.quality.quality_cases import MODEL, OTHER, TIER, look_of, series_of
from workbench.traces.quality.levels import Load, Look
from workbench.traces.quality.unknown_windows import unknown_windows


def test_unknown_and_absent_windows_are_stretches() -> None:
    frame = series_of([1.0, None, None, 4.0, None, 6.0, 7.0]).filter(pl.col("requests").fill_null(0) != 6)
    (gap,) = unknown_windows(look_of(frame))
    assert (gap["where"], gap["count"]) == (f"{MODEL} {TIER}", 4)
    assert "4 windows (57.1%) unknown in 2 stretches, 1 rows absent" in gap["detail"]
    assert "the longest: 2025-07-09 00:10 (20 min); 2025-07-09 00:40 (20 min)" in gap["detail"]


def test_a_region_that_lacks_rows_is_counted_though_another_has_them() -> None:
    here, there = series_of([1.0, 2.0, 3.0]), series_of([1.0, 2.0, 3.0]).with_columns(region=pl.lit("us_west"))
    (gap,) = unknown_windows(look_of(pl.concat([here, there.filter(pl.col("requests") != 2)])))
    assert (gap["count"], "1 rows absent" in gap["detail"]) == (1, True)


def test_a_series_that_ends_early_has_no_gap_after_its_end() -> None:
    frame = pl.concat([series_of([1.0] * 9), series_of([1.0] * 3, model=OTHER)])
    assert unknown_windows(look_of(frame)) == []
    counted = Load(frame=frame, window_s=600, measure="requests", is_complete=True)
    assert unknown_windows(Look(load=counted)) == []
