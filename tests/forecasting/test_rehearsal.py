"""What is rehearsed, from which history, and that no rehearsal reads past its origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, daily, series

from workbench.forecasting import METHODS, rehearsal
from workbench.forecasting.curves import fit_of
from workbench.forecasting.fits import Event, Expert
from workbench.forecasting.history import Indices, Series, Values
from workbench.forecasting.leads import grid_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:prophet", "ignore::Warning:prophet")


@dataclass(frozen=True, kw_only=True, eq=False)
class Witness:
    """A forecaster that says how much history it was fitted to, and adds nothing."""

    size: int

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        return np.full((origins.size, leads.size), float(self.size))


def witness(series: Series, *, events: Sequence[Event], seed: int) -> Witness:
    return Witness(size=series.rates.size)


def test_each_day_is_rehearsed_with_the_fit_of_its_midnight() -> None:
    """Three days and five hours: origins of day 1 know 24 hours, those of day 2 know 48, the fit of record 72."""
    given = series([1.0, 2.0] * 38 + [1.0], as_of=MONDAY + timedelta(hours=77))
    expert = Expert(fit=witness, past_fit=witness)
    day = rehearsal.day_of(given, [expert], grid=grid_of(3600.0), seed=1, least_days=2.0, events=())
    assert given.cut == 72
    assert day.past.origins.tolist() == list(range(24, 72))
    assert day.past.combined[:, 0].tolist() == [24.0] * 24 + [48.0] * 24
    assert [fit.size for fit in day.fits if isinstance(fit, Witness)] == [72]


def test_a_rehearsal_reads_nothing_after_its_origin() -> None:
    """Change the last day: forecasts from origins before it stay as they were, to the last bit."""
    rates = np.array(daily(6)) / 3600.0
    given = series(rates.tolist(), as_of=MONDAY + timedelta(days=6))
    changed = replace(given, rates=np.concatenate([rates[:-24], rates[-24:] * 50.0]))
    grid = grid_of(3600.0)
    for name in ("ensemble", "seasonal_naive", "last_value", "moving_average", "mstl"):
        made = [
            rehearsal.day_of(
                one, METHODS[name].experts, grid=grid, seed=1, least_days=METHODS[name].least_days, events=()
            ).past
            for one in (given, changed)
        ]
        before = made[0].origins <= 5 * 24
        if name != "ensemble":  # its ARIMA rehearses with the parameters of today, as stated
            assert made[0].points[:, before].tobytes() == made[1].points[:, before].tobytes()
        else:
            assert made[0].points[:3, before].tobytes() == made[1].points[:3, before].tobytes()


def test_a_curve_that_does_not_settle_keeps_the_level_of_its_own_series() -> None:
    """A flat shape at e^3 beside a series at 2: the forecast stays at 2 however far ahead."""
    given = series([2.0] * 10)
    fit = fit_of(given, lambda instants_s: np.full(instants_s.size, 3.0), settles=False)
    made = fit.ahead(given.rates, origins=np.array([10]), leads=np.arange(300))[0]
    assert made == pytest.approx(2.0, rel=0.02)


def test_a_plain_curve_is_not_moved() -> None:
    given = series([2.0] * 10)
    fit = fit_of(given, lambda instants_s: np.full(instants_s.size, 3.0), is_corrected=False)
    made = fit.ahead(given.rates, origins=np.array([4, 10]), leads=np.arange(2))
    assert made == pytest.approx(np.exp(3.0), rel=0.01)
