"""The Prophet fit against Prophet itself, and what becomes of it."""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, daily, series

from workbench.forecasting import METHODS, least_squares
from workbench.forecasting.calendars import Calendar, calendar_of, hourly
from workbench.forecasting.fits import Event
from workbench.forecasting.history import EPOCH, Series, offset_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import, Prophet's dependencies
    from workbench.forecasting import prophet_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:prophet", "ignore::Warning:prophet")
SUNDAY = MONDAY + timedelta(days=6)


def two_kinds(days: int = 6) -> Series:
    """Return Monday to Saturday, where Saturday has a tenth of the load at its own hours."""
    rates = np.array(daily(days)) / 3600.0
    rates[5 * 24 : 6 * 24] = np.roll(rates[5 * 24 : 6 * 24], 6) / 10.0
    return series(rates.tolist(), as_of=MONDAY + timedelta(days=days))


def three_weeks() -> Series:
    """Return 22 days, Wednesdays at three times the load, with a sale of six hours in the second week."""
    rates = np.array(daily(22)) / 3600.0
    for wednesday in (2, 9, 16):
        rates[wednesday * 24 : (wednesday + 1) * 24] *= 3.0
    rates[8 * 24 + 6 : 8 * 24 + 12] *= 2.0
    return series(rates.tolist(), as_of=MONDAY + timedelta(days=22))


def sale(day: int) -> Event:
    """Return a sale from 06:00 to 12:00 of a day counted from the Monday."""
    start_s = (MONDAY - EPOCH).total_seconds() + day * 86_400.0 + 6 * 3600.0
    return Event(name="sale", start_s=start_s, end_s=start_s + 6 * 3600.0)


@pytest.mark.parametrize(
    ("given", "events", "kind"),
    [
        (series((np.array(daily(6)) / 3600.0).tolist(), as_of=SUNDAY), (), (False, False, 0)),
        (two_kinds(), (), (True, False, 0)),
        (three_weeks(), (sale(8), sale(22)), (False, True, 2)),
    ],
    ids=["daily", "weekend", "week and event"],
)
def test_the_curve_is_prophets_own(given: Series, events: tuple[Event, ...], kind: tuple[bool, bool, int]) -> None:
    """What we evaluate is what Prophet predicts, the closed solution what it finds, within half a percent."""
    curve = prophet_model.curve_of(given, events=events, seed=7)
    calendar = curve.calendar
    assert (calendar.has_weekend, calendar.has_week, len(calendar.events)) == kind
    model = prophet_model.model_of(calendar)
    instants_s, means = hourly(given, logs=np.log(given.rates + offset_of(given)))
    kept = least_squares.usual(calendar, instants_s, means)
    model.fit(
        prophet_model.frame_of(calendar, instants_s[kept]).assign(y=means[kept]),
        require_converged=False,
        algorithm="LBFGS",
        seed=1,
    )
    ahead_s = given.middles_s(np.arange(given.rates.size - 30, given.rates.size + 30))
    predicted = model.predict(prophet_model.frame_of(calendar, ahead_s))["yhat"].to_numpy()
    np.testing.assert_allclose(curve(ahead_s), predicted, rtol=1e-9, atol=1e-9)
    closed = least_squares.curve_of(given, events=events)
    np.testing.assert_allclose(np.exp(closed(ahead_s)), np.exp(predicted), rtol=0.005)


def test_a_clean_wave_is_recovered() -> None:
    """Ten days of exp(sin): the eleventh is within 3 % of the law, and its spread not far above the noise of 2 %."""
    rates = (np.array(daily(10, noise=0.02)) / 3600.0).tolist()
    given = series(rates, as_of=MONDAY + timedelta(days=10))
    made = METHODS["prophet"].predict(given, windows=24, quantiles=(0.05, 0.5, 0.95), seed=7)
    truth = np.exp(np.sin(2 * np.pi * (np.arange(24)) / 24))
    np.testing.assert_allclose(made[:, 1], truth, rtol=0.05)
    assert (np.diff(made, axis=1) > 0).all()


def test_the_same_history_gives_the_same_bytes() -> None:
    first, second = (METHODS["prophet"].predict(two_kinds(), windows=5, quantiles=(0.5,), seed=7) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_gaps_are_left_out_and_not_taken_for_zero() -> None:
    given = series((np.array(daily(6)) / 3600.0).tolist(), as_of=SUNDAY)
    rates = given.rates.copy()
    rates[30:42] = np.nan
    holed = series(rates.tolist(), as_of=SUNDAY)
    whole_day, holed_day = (
        METHODS["prophet"].predict(one, windows=24, quantiles=(0.5,), seed=7) for one in (given, holed)
    )
    np.testing.assert_allclose(holed_day, whole_day, rtol=0.05)


def test_the_weekend_gets_its_own_curve_where_it_differs() -> None:
    """Sunday follows Saturday, a tenth of the load, and not the six days' mean."""
    made = METHODS["prophet"].predict(two_kinds(), windows=24, quantiles=(0.5,), seed=7)[:, 0]
    saturday = two_kinds().rates[-24:]
    np.testing.assert_allclose(made, saturday, rtol=0.3)


def test_an_event_of_a_known_name_moves_the_forecast() -> None:
    """Six hours at twice the load were a sale; tomorrow's sale doubles the same hours, and only those."""
    given = three_weeks()
    fits = [prophet_model.fit(given, events=events, seed=7) for events in ((sale(8),), (sale(8), sale(22)))]
    without, with_sale = (
        fit.ahead(given.rates, origins=np.array([given.rates.size]), leads=np.arange(24))[0] for fit in fits
    )
    np.testing.assert_allclose(with_sale[6:12] / without[6:12], 2.0, rtol=0.15)
    np.testing.assert_allclose(with_sale[12:], without[12:], rtol=0.01)


def test_an_event_never_seen_moves_nothing() -> None:
    assert calendar_of(two_kinds(), events=(sale(30),)) == Calendar(has_weekend=True, has_week=False)
