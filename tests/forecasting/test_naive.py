"""The methods without a model, against series that can be forecast by hand."""

from __future__ import annotations

import numpy as np
import pytest
from forecasting_cases import series

from workbench.forecasting import naive

NAN = float("nan")


def ahead(method: str, rates: list[float], *, windows: int, quantiles: tuple[float, ...] = (0.5,)) -> np.ndarray:
    """Forecast 6-hour windows, four a day."""
    given = series(rates, window_s=21_600.0)
    return getattr(naive, method)(given, windows=windows, quantiles=quantiles, seed=1)


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


def test_errors_of_the_method_make_the_quantiles() -> None:
    """Days rise by 1, 2 .. 8: errors 1 .. 8 four times each, median 4.5; the 0.9 quantile lies 3.5 above (8)."""
    levels = np.concatenate([[0.0], np.cumsum(np.arange(1.0, 9.0))])
    made = ahead("seasonal_naive", np.repeat(levels, 4).tolist(), windows=1, quantiles=(0.5, 0.9, 0.999))
    assert made[0, 0] == 36.0
    assert made[0, 1:] == pytest.approx([36.0 + 8 - 4.5, 36.0 + 8 - 4.5], abs=0.5)


def test_last_value_is_the_mean_of_the_last_hour() -> None:
    """Ten-minute windows 1 .. 12: the last six average 9.5."""
    given = series([float(rate) for rate in range(1, 13)], window_s=600.0)
    made = naive.last_value(given, windows=3, quantiles=(0.5,), seed=1)
    assert made[:, 0].tolist() == [9.5, 9.5, 9.5]


def test_moving_average_is_the_mean_of_the_last_day_and_ignores_gaps() -> None:
    made = ahead("moving_average", [100, 1, 2, NAN, 3, 6], windows=2)
    assert made[:, 0].tolist() == [3.0, 3.0]
    assert ahead("last_value", [NAN, NAN], windows=2)[:, 0].tolist() == [0.0, 0.0]
