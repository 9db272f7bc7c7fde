"""A load is the same on a grid whatever the order of its rows, and says what it does not know."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from tests.traces.quality.quality_cases import MODEL, REGION, TIER, look_of, series_of
from tests.traces.trace_cases import START
from workbench.traces.quality.levels import Load, blocks, load_of_series, runs, window_for


def test_an_absent_window_is_unknown_in_a_series_and_zero_in_requests() -> None:
    frame = series_of([1, 2, 3, 4]).filter(pl.col("requests") != 2)
    series = load_of_series(frame, window_s=600)
    counted = Load(frame=frame, window_s=600, measure="requests", is_complete=True)
    assert np.array_equal(series.by("model")[MODEL,], [1, np.nan, 3, 4], equal_nan=True)
    assert counted.by("model")[MODEL,].tolist() == [1, 0, 3, 4]
    assert (series.windows, series.last) == (4, START + timedelta(seconds=1800))
    assert series.place(START + timedelta(seconds=1199)) == 1
    assert series.at(2) == START + timedelta(seconds=1200)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    frame = pl.concat([series_of([1, None, 3]), series_of([10, 20, 30]).with_columns(region=pl.lit("eu"))])
    load = load_of_series(frame.sample(fraction=1, shuffle=True, seed=3), window_s=600)
    assert np.array_equal(load.by("model", "tier")[MODEL, TIER], [11, np.nan, 33], equal_nan=True)
    assert set(load.by("region")) == {(REGION,), ("eu",)}


def test_the_measure_is_the_one_that_is_known_best() -> None:
    assert look_of(series_of([1, 2])).load.measure == "requests"
    tokens_only = series_of([1, 2]).with_columns(requests=pl.lit(None, dtype=pl.Float64))
    assert load_of_series(tokens_only, window_s=600).measure == "input_tokens"


def test_windows_of_requests_stay_few() -> None:
    assert [window_for(days * 86_400) for days in (0.04, 7, 60, 365, 3650)] == [60, 60, 300, 600, 86_400]


def test_blocks_average_what_is_known() -> None:
    levels = np.array([1.0, np.nan, np.nan, np.nan, 4.0, 6.0, 9.0])
    assert np.array_equal(blocks(levels, 2), [1, np.nan, 5], equal_nan=True)
    assert runs(np.array([False, True, True, False, True])) == [(1, 3), (4, 5)]
    assert runs(np.array([], dtype=bool)) == []
