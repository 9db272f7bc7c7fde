"""workbench.scoring.resampling: sums and histograms by day, and figures of days that are drawn again."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from workbench import scoring
from workbench.scoring import resampling
from workbench.scoring.latencies import percentiles

START = datetime(2026, 3, 2)


def windows(values: list[float]) -> pl.DataFrame:
    """One value every twelve hours."""
    starts = [START + timedelta(hours=12 * i) for i in range(len(values))]
    return pl.DataFrame({"window_start": starts, "value": values})


def test_windows_are_summed_by_day_from_where_they_count() -> None:
    frame = windows([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    whole = {"since": START, "end": START + timedelta(hours=84)}
    found = scoring.daily(frame, [pl.col("value"), pl.col("value") * 2], **whole)
    assert found.tolist() == [[3.0, 6.0], [7.0, 14.0], [11.0, 22.0]]  # half a day is left over
    later = scoring.daily(frame, [pl.col("value")], since=START + timedelta(hours=12), end=START + timedelta(hours=84))
    assert later.tolist() == [[5.0], [9.0], [13.0]]
    assert scoring.daily(frame, [pl.col("value")], since=START, end=START + timedelta(hours=12)).tolist() == [[3.0]]


def test_a_figure_that_is_the_same_every_day_is_certain() -> None:
    own, base = np.array([3.0, 6.0, 9.0]), np.array([4.0, 8.0, 12.0])
    found = scoring.over_days(lambda count: float(count @ own / (count @ base)), 3)
    assert (found.value, found.low, found.high, found.days) == (0.75, 0.75, 0.75, 3)


def test_days_that_differ_widen_the_range_and_one_or_none_has_no_range() -> None:
    own = np.array([1.0, 2.0, 3.0, 6.0])
    found = scoring.over_days(lambda count: float(count @ own / count.sum()), 4)
    assert found.value == 3.0
    assert found.low is not None
    assert found.high is not None
    assert 1.0 <= found.low < 3.0 < found.high <= 6.0
    assert scoring.over_days(lambda count: float(count.sum()), 1) == scoring.Range(
        value=1.0, low=None, high=None, days=1
    )
    assert scoring.over_days(lambda _: None, 3).value is None
    assert scoring.over_days(lambda count: 1.0, 0).value is None


def histogram(counts: list[tuple[int, float, float, float]]) -> pl.DataFrame:
    rows = [(START + timedelta(days=day), low, high, requests) for day, low, high, requests in counts]
    return pl.DataFrame(rows, schema=["window_start", "ttft_low_s", "ttft_high_s", "requests"], orient="row")


def test_percentiles_of_days_are_those_of_their_histograms() -> None:
    first = histogram([(0, 0.1, 1.0, 8.0), (0, 1.0, 10.0, 2.0), (1, 1.0, 10.0, 10.0)])
    other = histogram([(0, 10.0, 100.0, 5.0)])
    ends = [START + timedelta(days=2), START + timedelta(days=1)]
    found = scoring.daily_latency([first, other], since=[START, START], end=ends)
    assert found.counts.tolist() == [[8.0, 2.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 5.0]]
    (median,) = percentiles(first, [0.5])
    assert found.at(0.5, np.array([1.0, 1.0, 0.0])) == pytest.approx(median)
    assert found.at(0.9, np.array([0.0, 0.0, 1.0])) == pytest.approx(10.0 * 10**0.9)
    assert found.at(0.5, np.zeros(3)) is None
    assert resampling.DRAWS >= 1000
