"""Quantiles around a forecast: prior alone, errors alone, and what must hold whatever the errors."""

from __future__ import annotations

import numpy as np
import pytest
from forecasting_cases import series
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.forecasting import METHODS, calibration
from workbench.forecasting.leads import grid_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:prophet", "ignore::Warning:prophet")
HOURS = grid_of(3600.0)
QUANTILES = (0.05, 0.5, 0.95)
LN_2 = float(np.log(2.0))


def spread(
    errors: np.ndarray,
    *,
    centre: float = 10.0,
    unseen: float = 0.0,
    lead: float = 0.5,
    move: float = 0.0,
    swing: float = 1.0,
) -> np.ndarray:
    return calibration.spread(
        np.array([centre]),
        lead_hours=np.array([lead]),
        quantiles=QUANTILES,
        errors=errors,
        ages_hours=np.arange(len(errors), 0.0, -1.0),
        grid=HOURS,
        offset=0.1,
        moves=np.full(HOURS.buckets, move),
        swings=np.full(HOURS.buckets, swing),
        unseen=np.array([unseen]),
    )[0]


def test_nothing_rehearsed_leaves_the_prior() -> None:
    """Laplace of .12 at half an hour: the 0.95 quantile lies .12 ln 10 up, wider by sqrt(1 + .4 x .5 / 12)."""
    low, middle, high = spread(np.empty((0, HOURS.leads.size)))
    shift = 0.12 * np.log(10) * np.sqrt(1 + 0.4 * 0.5 / 12)
    assert middle == 10.0
    assert high == pytest.approx(10.1 * np.exp(shift) - 0.1, rel=0.03)
    assert low == pytest.approx(10.1 * np.exp(-shift) - 0.1, rel=0.03)


def test_many_errors_outweigh_it() -> None:
    """Errors of -ln 2 and ln 2 in turn, 400 hours long: half and twice the forecast, and the median stays."""
    errors = np.tile(np.array([[-np.log(2)], [np.log(2)]]), (200, HOURS.leads.size))
    low, middle, high = spread(errors)
    assert middle == 10.0
    assert high == pytest.approx(20.0, rel=0.1)
    assert low == pytest.approx(5.0, rel=0.1)


def test_a_move_stretches_both_sides() -> None:
    """Laplace of .12: a logit twice as far reads the level 1 / (1 + 19^2) = .00276 on either side."""
    plain, wide = (np.log((spread(np.empty((0, HOURS.leads.size)), move=move) + 0.1) / 10.1) for move in (0.0, LN_2))
    assert wide[1] == plain[1] == 0.0
    assert (np.abs(wide[[0, 2]]) > 1.4 * np.abs(plain[[0, 2]])).all()


def test_the_first_minutes_are_surer_than_the_hour() -> None:
    """Errors grow by (.57 + .43 / 2) / .57 = 1.377 from five minutes ahead to thirty, whatever was rehearsed."""
    errors = np.tile(np.array([[-0.3], [0.3]]), (100, HOURS.leads.size))
    near, middle = (np.log((spread(errors, lead=lead) + 0.1) / 10.1) for lead in (1 / 12, 0.5))
    np.testing.assert_allclose(middle[[0, 2]] / near[[0, 2]], 1.377, rtol=5e-3)  # the widening is a part of it


def test_a_swing_of_two_doubles_both_sides() -> None:
    plain, wide = (np.log((spread(np.empty((0, HOURS.leads.size)), swing=swing) + 0.1) / 10.1) for swing in (1.0, 2.0))
    np.testing.assert_allclose(wide, 2.0 * plain)


def test_small_errors_leave_no_wide_prior() -> None:
    """Errors of 1 % for a week: the 90 % interval lies within 5 % of the forecast, though the prior says 12 %."""
    errors = np.tile(np.array([[-0.01], [0.01]]), (84, HOURS.leads.size))
    low, _, high = spread(errors)
    assert 9.5 < low < high < 10.5


def test_a_first_weekend_reaches_down_and_a_first_weekday_up() -> None:
    usual, weekend, weekday = (
        spread(np.empty((0, HOURS.leads.size)), unseen=unseen, lead=24.0) for unseen in (0.0, -1.0, 1.0)
    )
    assert weekend[0] < 0.3 * usual[0]
    assert weekend[1:] == pytest.approx(usual[1:])
    assert weekday[2] > 2.0 * usual[2]
    assert weekday[:2] == pytest.approx(usual[:2])


def test_errors_grow_with_the_lead() -> None:
    near, far = (spread(np.empty((0, HOURS.leads.size)), lead=lead) for lead in (0.5, 20.0))
    assert far[2] - far[0] > 1.5 * (near[2] - near[0])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-20, 20) | st.just(float("nan")), min_size=1, max_size=20),
    st.floats(0, 1e6),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_quantiles_do_not_cross_whatever_the_errors(errors: list[float], centre: float, unseen: float) -> None:
    made = spread(np.repeat(np.array(errors)[:, None], HOURS.leads.size, axis=1), centre=centre, unseen=unseen)
    assert np.isfinite(made).all()
    assert (made >= 0).all()
    assert (np.diff(made) >= 0).all()
    assert made[1] == pytest.approx(centre)


@pytest.mark.parametrize("method", ["ensemble", "seasonal_naive", "arima"])
def test_nine_in_ten_fall_inside(method: str) -> None:
    """Lognormal noise around a daily wave, forecast hourly through the sixth day: 80-99 % of the next six hours."""
    rng = np.random.default_rng(6)
    wave = np.exp(np.sin(2 * np.pi * np.arange(7 * 24) / 24)) * rng.lognormal(0.0, 0.2, 7 * 24)
    inside = []
    for end in range(120, 144, 2):
        made = METHODS[method].predict(series(wave[:end].tolist()), windows=6, quantiles=QUANTILES, seed=1)
        inside.append((made[:, 0] <= wave[end : end + 6]) & (wave[end : end + 6] <= made[:, 2]))
    assert 0.8 <= np.mean(inside) <= 0.99
