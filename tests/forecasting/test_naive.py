"""The methods without a model, against series that can be forecast by hand."""

from __future__ import annotations

import numpy as np
import pytest
from forecasting_cases import series

from workbench.forecasting import METHODS, naive

NAN = float("nan")


def ahead(method: str, rates: list[float], *, windows: int, quantiles: tuple[float, ...] = (0.5,)) -> np.ndarray:
    """Forecast 6-hour windows, four a day."""
    given = series(rates, window_s=21_600.0)
    return METHODS[method].predict(given, windows=windows, quantiles=quantiles, seed=1)


def test_the_last_day_is_repeated() -> None:
    """Two days 1 2 3 4, 5 6 7 8: five windows ahead are 5 6 7 8 5."""
    made = ahead("seasonal_naive", [1, 2, 3, 4, 5, 6, 7, 8], windows=5)
    assert made[:, 0].tolist() == [5, 6, 7, 8, 5]


def test_the_last_week_is_repeated_once_two_are_known() -> None:
    """Fourteen days of levels 0 .. 13: the day after is like day 7."""
    rates = [float(day) for day in range(14) for _ in range(4)]
    assert ahead("seasonal_naive", rates, windows=1).item() == 7.0


def test_a_gap_is_looked_up_a_season_earlier() -> None:
    made = ahead("seasonal_naive", [1, 2, 3, 4, 5, NAN, 7, 8], windows=4)
    assert made[:, 0].tolist() == [5, 2, 7, 8]


def test_last_value_is_the_mean_of_the_last_hour() -> None:
    """Ten-minute windows 1 .. 12: the last six average 9.5."""
    given = series([float(rate) for rate in range(1, 13)], window_s=600.0)
    made = METHODS["last_value"].predict(given, windows=3, quantiles=(0.5,), seed=1)
    assert made[:, 0].tolist() == [9.5, 9.5, 9.5]


def test_moving_average_is_the_mean_of_the_last_day_and_ignores_gaps() -> None:
    made = ahead("moving_average", [100, 1, 2, NAN, 3, 6], windows=2)
    assert made[:, 0].tolist() == [3.0, 3.0]
    assert ahead("last_value", [NAN, NAN], windows=2)[:, 0].tolist() == [0.0, 0.0]


def test_every_origin_reads_what_lies_before_it() -> None:
    """Days 1 2 3 4, 5 6 7 8: after one day the first is repeated, after five windows the four up to there."""
    given = series([1, 2, 3, 4, 5, 6, 7, 8], window_s=21_600.0)
    naive_fit = naive.seasonal_naive(given, events=(), seed=1)
    made = naive_fit.ahead(given.rates, origins=np.array([4, 5, 8]), leads=np.arange(3))
    assert made.tolist() == [[1, 2, 3], [2, 3, 4], [5, 6, 7]]
    carried = naive.moving_average(given, events=(), seed=1)
    assert carried.ahead(given.rates, origins=np.array([1, 4, 6]), leads=np.arange(1)).tolist() == [[1], [2.5], [4.5]]


def test_no_curve_ends_at_the_mean_of_the_last_day() -> None:
    """A day at 2 and then four hours at 8: near 8 at first, at the geometric mean of the last day far ahead."""
    given = series([2.0] * 30 + [8.0] * 4)
    made = naive.level(given, events=(), seed=1).ahead(given.rates, origins=np.array([34]), leads=np.arange(400))[0]
    assert 6.5 < made[0] < 8.0
    assert made[-1] == pytest.approx(2.0 * 4.0 ** (4 / 24), rel=0.02)
    assert (np.diff(made) <= 1e-12).all()


def test_yesterday_is_moved_by_how_today_differs_from_it() -> None:
    """Windows of 4 hours, today twice as high as yesterday: the curve of yesterday times nearly two."""
    day = [1.0, 2.0, 4.0, 4.0, 2.0, 1.0]
    given = series([*day, *(2 * value for value in day)], window_s=4 * 3600.0)
    fit = naive.yesterday(given, events=(), seed=1)
    made = fit.ahead(given.rates, origins=np.array([9]), leads=np.arange(3))[0]
    assert made[0] == pytest.approx(2 * 4.0, rel=0.1)
    assert 1.5 < made[2] < 2.0


def test_a_jump_that_yesterday_holds_already_moves_nothing_a_second_time() -> None:
    """Two days at 1 and one at 8, hour by hour: the next day is at most e^.4 above 8.

    The first two hours look at three hours that the jump cuts. Twelve hours after it the curve is still the old one.
    """
    given = series([1.0] * 48 + [8.0] * 24)
    fit = naive.yesterday(given, events=(), seed=1)
    leads = np.arange(24)
    whole = fit.ahead(given.rates, origins=np.array([72]), leads=leads)[0]
    assert whole[2:].max() <= 8.0 * np.exp(naive.JUMP) * 1.01
    assert whole.min() >= 8.0
    amid = fit.ahead(given.rates, origins=np.array([60]), leads=leads)[0]
    assert amid[0] > 6.0
