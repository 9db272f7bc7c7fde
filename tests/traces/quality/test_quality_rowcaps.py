"""A limit on rows shows as a largest count that comes again and again, or as a load that jumps off and on."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.traces.quality.quality_cases import (
    DAY_S,
    MODEL,
    OTHER,
    REGION,
    TIER,
    look_of,
    poisson,
    report_on,
    requests_at,
    rows_of,
    series_of,
)
from workbench.traces.quality.rowcaps import choppy_models, choppy_series, equal_counts, is_round, round_totals


def capped(at: np.ndarray, rows: int) -> np.ndarray:
    """The first so many arrivals of every day."""
    days = (at // DAY_S).astype(int)
    return np.concatenate([at[days == day][:rows] for day in np.unique(days)])


def test_days_that_end_at_the_same_round_number_are_suspected() -> None:
    """About 1,728 arrivals a day, of which an export keeps the first thousand: they last until about 13:53."""
    at = capped(poisson(0.02, days=5), 1000)
    found = rows_of(report_on(requests_at(at)), "suspected row cap")
    caps = [row for row in found if "exactly" in row["detail"]]
    assert [(row["where"], row["level"], row["count"]) for row in caps] == [(f"{REGION} {MODEL} {TIER}", "spoilt", 5)]
    assert "5 of 5 days have exactly 1,000 rows and none has more" in caps[0]["detail"]
    minutes = int(caps[0]["detail"].partition(" comes ")[2].partition(" min")[0])
    assert minutes == pytest.approx(24 * 60 - 1000 / 0.02 / 60, abs=40)


def test_a_limit_on_the_sum_of_models_is_found_in_the_trace() -> None:
    at = capped(poisson(0.04, days=4), 3000)
    models = pl.Series(np.random.default_rng(4).choice([MODEL, OTHER], at.size))
    found = rows_of(report_on(requests_at(at, seed=2).with_columns(model=models)), "suspected row cap")
    assert [row["where"] for row in found if "exactly" in row["detail"]] == ["trace"]


def test_an_uncapped_stream_and_a_metronome_are_not_accused() -> None:
    assert rows_of(report_on(requests_at(poisson(0.02, days=5))), "suspected row cap") == []
    assert rows_of(report_on(requests_at(np.arange(0, 5 * DAY_S, 60.0))), "suspected row cap") == []


def test_a_limit_per_hour_is_found_in_a_series_of_counts() -> None:
    """About 1,200 an hour, and never more than the first 1,200: about half of the hours reach them."""
    windows = np.random.default_rng(3).poisson(200, (96, 6))
    counted = np.diff(np.minimum(windows.cumsum(axis=1), 1200), axis=1, prepend=0)
    (found,) = equal_counts(look_of(series_of(list(counted.ravel().astype(float)))))
    assert " of 96 hours have exactly 1,200 rows and none has more" in found["detail"]
    assert 30 <= int(found["count"]) <= 66
    rates = series_of([1.5, 2.5, 2.5, 2.5]).with_columns(requests=pl.lit(None, dtype=pl.Float64))
    assert equal_counts(look_of(rates)) == []


def test_round_means_two_digits_and_zeros() -> None:
    assert [rows for rows in (1_000, 50_000, 1_000_000, 12_000, 12_300, 999, 100) if is_round(rows)] == [
        1_000,
        50_000,
        1_000_000,
        12_000,
    ]
    found = round_totals({"a.csv": 1_000_000, "b.csv": 16_803_695, "c.csv": 2_000})
    assert [(row["where"], row["level"]) for row in found] == [("a.csv", "note")]


def test_a_load_that_jumps_off_and_on_is_suspected_and_its_pauses_are_no_holes() -> None:
    values = ([1000.0] * 20 + [2.0] * 20) * 10
    look = look_of(series_of(values))
    (found,) = choppy_series(look)
    assert (found["finding"], found["where"], found["count"]) == ("suspected row cap", f"{MODEL} {TIER}", 10)
    assert "it comes back as suddenly" in found["detail"]
    assert "50% of its time is so quiet" in found["detail"]
    assert choppy_models(look) == {MODEL}


def test_a_load_that_falls_for_good_but_trickles_on_is_suspected() -> None:
    (found,) = choppy_series(look_of(series_of([1000.0] * 60 + [2.0] * 200)))
    assert found["detail"].startswith("falls once within minutes")
    assert "it does not come back" in found["detail"]


@pytest.mark.parametrize(
    "values",
    [
        [1000.0] * 60 + [0.0] * 200,  # a file that ended earlier than another
        [1000.0 * (1 + np.sin(2 * np.pi * i / 144)) for i in range(1008)],  # days and nights
        [1000.0] * 100 + [0.0] * 30 + [1000.0] * 20,  # one hole
        [3.0, 0.0] * 100,  # too few to tell
        [None] * 50,
        [0.0] * 50,
    ],
)
def test_days_holes_endings_and_thin_series_are_not_accused(values: list[float | None]) -> None:
    assert choppy_series(look_of(series_of(values))) == []


def test_another_series_of_the_source_is_the_witness() -> None:
    frame = pl.concat([series_of([1000.0] * 60 + [2.0] * 200), series_of([900.0] * 260, model=OTHER)])
    (found,) = choppy_series(look_of(frame))
    assert "1 other series of the source do not do this" in found["detail"]


def test_a_series_of_zeros_and_one_of_days_are_looked_at_without_a_fault() -> None:
    """Windows of a day cannot tell of a limit per hour."""
    assert equal_counts(look_of(series_of([0.0] * 20))) == []
    daily = [1000.0 if i % 2 else 900.0 + i for i in range(40)]
    (cap,) = equal_counts(look_of(series_of(daily, window_s=86_400), window_s=86_400))
    assert cap["detail"] == "20 of 40 days have exactly 1,000 rows and none has more"
