"""Endings and lasting shifts are told; weekends, growth by a tenth and short traces are not."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.traces.quality.quality_cases import (
    MODEL,
    OTHER,
    TIER,
    look_of,
    poisson,
    report_on,
    requests_at,
    rows_of,
    series_of,
)
from workbench.traces.quality.changes import endings, shifts


def daily(levels: list[float]) -> pl.DataFrame:
    """A series of ten-minute windows with one level per day."""
    return series_of([level for level in levels for _ in range(144)])


def test_a_model_that_stops_is_found() -> None:
    lives, ends = requests_at(poisson(0.02, days=5)), requests_at(poisson(0.02, days=1, seed=2), model=OTHER)
    (stops,) = rows_of(report_on(pl.concat([lives, ends])), "stops")
    assert stops["where"] == f"{OTHER} {TIER}"
    assert stops["detail"].startswith("nothing after 2025-07-10 00:00:00, 96 h before the end")


def test_a_model_that_begins_late_is_noted() -> None:
    late = np.concatenate([poisson(0.02, days=1, seed=2) + 4 * 86_400])
    report = report_on(pl.concat([requests_at(poisson(0.02, days=5)), requests_at(late, model=OTHER)]))
    (starts,) = rows_of(report, "starts late")
    assert (starts["where"], starts["level"]) == (f"{OTHER} {TIER}", "note")
    assert rows_of(report, "stops") == []


def test_almost_nothing_counts_as_an_end() -> None:
    (stops,) = endings(look_of(daily([100, 100, 1, 1, 1, 1])))
    assert "almost nothing after 2025-07-11 00:00:00" in stops["detail"]
    assert endings(look_of(daily([100, 100, 1, 1, 1]))) == []
    (never,) = endings(look_of(daily([0, 0, 0])))
    assert (never["level"], never["detail"]) == ("note", "no load in the whole trace: every known window is zero")


def test_windows_longer_than_a_day_say_nothing_about_days() -> None:
    assert shifts(look_of(series_of([100.0] * 5 + [900.0] * 5, window_s=7 * 86_400), window_s=7 * 86_400)) == []


def test_a_doubling_that_lasts_is_a_shift() -> None:
    (shift,) = shifts(look_of(daily([100, 120, 90, 240, 200, 230, 210, 220])))
    assert shift["where"] == MODEL
    assert "from 2025-07-12 on lies above every one before; the median has 2.2 times" in shift["detail"]
    (fall,) = shifts(look_of(daily([240, 200, 230, 100, 120, 90, 95, 100])))
    assert "lies below every one before" in fall["detail"]


def test_weekends_growth_and_two_days_are_no_shift() -> None:
    assert shifts(look_of(daily([100, 100, 100, 100, 100, 30, 30, 100, 100, 100, 100, 100, 30, 30]))) == []
    assert shifts(look_of(daily([100 * 1.03**day for day in range(10)]))) == []
    assert shifts(look_of(daily([100, 100, 200, 200]))) == []


def test_a_week_that_begins_on_a_friday_is_no_shift() -> None:
    """START is a Wednesday, so the first Friday is two days later."""
    week = daily([0, 0, 70, 30, 30, 100, 110, 100, 105]).filter(pl.col("requests") > 0)
    assert shifts(look_of(week)) == []


def test_a_hole_does_not_hide_a_shift() -> None:
    """The day with the hole would be the lowest of the higher days."""
    values = [level for level in [100.0, 110.0, 90.0, 200.0, 210.0, 190.0, 200.0, 220.0] for _ in range(144)]
    values[5 * 144 + 20 : 5 * 144 + 50] = [0.0] * 30
    (shift,) = shifts(look_of(series_of(values)))
    assert "from 2025-07-12 on" in shift["detail"]
