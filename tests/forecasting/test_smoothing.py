"""ETS and MSTL on waves whose next day is known, and the smoothing recursion by hand."""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, daily, series

from workbench.forecasting.history import Series
from workbench.forecasting.methods import METHODS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import, statsmodels' dependencies
    from workbench.forecasting import smoothing


def wave(days: int, *, per_day: int = 48) -> Series:
    rates = np.array(daily(days, per_day=per_day, noise=0.02)) / 86_400.0 * per_day
    return series(rates.tolist(), window_s=86_400.0 / per_day, as_of=MONDAY + timedelta(days=days))


@pytest.mark.parametrize("method", ["ets", "mstl"])
def test_a_clean_wave_goes_on(method: str) -> None:
    """Five days of half hours: the sixth within 12 % at each window."""
    made = METHODS[method].predict(wave(5), windows=48, quantiles=(0.5,), seed=1)[:, 0]
    truth = np.exp(np.sin(2 * np.pi * np.arange(48) / 48))
    np.testing.assert_allclose(made, truth, rtol=0.12)


def test_a_level_smoothed_by_a_half_by_hand() -> None:
    """Without trend and season, logs 0 and 2 after a start at 0: the level ends at 1."""
    fit = smoothing.EtsFit(level=0.5, trend=0.0, damping=1.0, season=0.0, per_season=1, per_step=1, offset=1e-12)
    made = fit.ahead(np.exp([0.0, 2.0, 2.0]), origins=np.array([1, 2, 3]), leads=np.arange(2))
    assert np.log(made[:, 0]) == pytest.approx([0.0, 1.0, 1.5])
    assert made[:, 0].tolist() == made[:, 1].tolist()


def test_two_days_give_mstl_no_season_and_it_says_so_by_its_level() -> None:
    fit = smoothing.mstl(wave(2).until(40), events=(), seed=1)
    made = fit.ahead(wave(2).rates, origins=np.array([40]), leads=np.arange(200))[0]
    assert made[-1] == pytest.approx(made[-2], rel=1e-4)
    assert (made > 0).all()


def test_three_weeks_give_mstl_a_week() -> None:
    rates = np.array(daily(22, noise=0.02)) / 3600.0
    days = np.arange(rates.size) // 24 % 7
    rates[days == 2] *= 3.0
    given = series(rates.tolist(), as_of=MONDAY + timedelta(days=22))
    made = METHODS["mstl"].predict(given, windows=48, quantiles=(0.5,), seed=1)[:, 0]
    assert made[24:].mean() > 1.8 * made[:24].mean()  # day 22 is a Tuesday, day 23 a Wednesday
