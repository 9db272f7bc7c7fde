"""Many origins in one go: exactly what each alone gives, though the fits are shared."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from forecasting_cases import MONDAY, daily, demand
from polars.testing import assert_frame_equal

from workbench.errors import ForecastError
from workbench.forecasting import METHODS, predict, roll

ORIGINS = [MONDAY + timedelta(days=4, hours=hour) for hour in (-2, 0, 1, 23, 24, 7)]
ASKED = {"horizon_s": 30 * 3600.0, "quantiles": (0.05, 0.5, 0.95), "measures": ("rps",)}


def two_series() -> pl.DataFrame:
    """Return five and a half days of half hours with a gap, and a series that begins on the third evening."""
    old = daily(6, per_day=48)[:264]
    holed = [None if 90 <= place < 100 else value for place, value in enumerate(old)]
    young = demand(daily(6, per_day=48, seed=2)[: 264 - 138], window_s=1800.0, start=MONDAY + timedelta(hours=69))
    return pl.concat([demand(holed, window_s=1800.0), young.with_columns(region=pl.lit("west"))])


@pytest.mark.parametrize("method", METHODS)
def test_each_origin_gets_what_it_gets_alone(method: str) -> None:
    whole = two_series()
    rolled = list(roll(whole, origins=ORIGINS, method=method, **ASKED))
    assert [made.as_of for made in rolled] == ORIGINS
    for made in rolled[1:4]:
        alone = predict(whole, as_of=made.as_of, method=method, **ASKED)
        assert_frame_equal(alone.frame, made.frame, check_exact=True)
        assert_frame_equal(alone.notes, made.notes)


def test_longer_windows_and_odd_origins_share_no_fit_they_should_not() -> None:
    """Windows of two hours end at the origin: odd and even hours see other windows, so other fits."""
    origins = ORIGINS[:4]
    asked = ASKED | {"window_s": 7200.0, "method": "prophet"}
    rolled = list(roll(two_series(), origins=origins, **asked))
    for made in rolled:
        assert_frame_equal(predict(two_series(), as_of=made.as_of, **asked).frame, made.frame, check_exact=True)


def test_a_short_horizon_is_the_head_of_a_long_one() -> None:
    whole = two_series()
    long = predict(whole, as_of=ORIGINS[2], **ASKED)
    short = predict(whole, as_of=ORIGINS[2], **(ASKED | {"horizon_s": 3600.0}))
    head = long.frame.filter(pl.col("window_start") < ORIGINS[2] + timedelta(hours=1))
    assert_frame_equal(short.frame, head, rel_tol=1e-9)


def test_progress_counts_series_over_all_origins() -> None:
    told: list[tuple[int, int]] = []
    asked = ASKED | {"method": "last_value"}
    list(roll(two_series(), origins=ORIGINS[:2], progress=lambda done, of: told.append((done, of)), **asked))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_wrong_request_is_refused_before_the_first_origin() -> None:
    with pytest.raises(ForecastError, match="horizon_s must be positive"):
        roll(two_series(), origins=ORIGINS, **(ASKED | {"horizon_s": 0.0}))
    made = roll(two_series(), origins=[ORIGINS[0], MONDAY - timedelta(days=1)], method="last_value", **ASKED)
    assert next(made).as_of == ORIGINS[0]
    with pytest.raises(ForecastError, match="there is no demand before"):
        next(made)
