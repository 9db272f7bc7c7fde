"""The Prophet fit against Prophet itself, and the pieces around it against hand figures."""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, daily, series

from workbench.forecasting.history import Series

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import, Prophet's dependencies
    import pandas as pd

    from workbench.forecasting import prophet_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:prophet", "ignore::Warning:prophet")
SUNDAY = MONDAY + timedelta(days=6)


def two_kinds(days: int = 6) -> Series:
    """Return Monday to Saturday, where Saturday has a tenth of the load at its own hours."""
    rates = np.array(daily(days)) / 3600.0
    rates[5 * 24 : 6 * 24] = np.roll(rates[5 * 24 : 6 * 24], 6) / 10.0
    return series(rates.tolist(), as_of=MONDAY + timedelta(days=days))


@pytest.mark.parametrize("split", [False, True])
def test_the_curve_is_prophets_own(split: bool) -> None:
    given = two_kinds()
    model = prophet_model._model(split=split)
    model.fit(prophet_model._hourly(given, logs=np.log(given.rates)), require_converged=False, algorithm="LBFGS")
    ahead = prophet_model._calendar(pd.DatetimeIndex(given.instants(first=-30, last=30)))
    np.testing.assert_allclose(
        prophet_model.curve_of(model, ahead), model.predict(ahead)["yhat"].to_numpy(), rtol=1e-9, atol=1e-9
    )


def test_a_clean_wave_is_recovered() -> None:
    """Ten days of exp(sin): the eleventh is within 2 % of the law, and the law's width within the noise."""
    rates = (np.array(daily(10, noise=0.02)) / 3600.0).tolist()
    given = series(rates, as_of=MONDAY + timedelta(days=10))
    made = prophet_model.predict(given, windows=24, quantiles=(0.05, 0.5, 0.95), seed=7)
    truth = np.exp(np.sin(2 * np.pi * np.arange(24) / 24))
    np.testing.assert_allclose(made[:, 1], truth, rtol=0.02)
    assert (np.diff(made, axis=1) > 0).all()
    assert np.mean(made[:, 2] / made[:, 0] - 1) == pytest.approx(2 * 1.645 * 0.02, rel=0.3)


def test_the_same_history_gives_the_same_bytes() -> None:
    first, second = (prophet_model.predict(two_kinds(), windows=5, quantiles=(0.5,), seed=7) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_gaps_are_left_out_and_not_taken_for_zero() -> None:
    given = series((np.array(daily(6)) / 3600.0).tolist(), as_of=SUNDAY)
    rates = given.rates.copy()
    rates[30:42] = np.nan
    holed = series(rates.tolist(), as_of=SUNDAY)
    whole_day, holed_day = (prophet_model.predict(one, windows=24, quantiles=(0.5,), seed=7) for one in (given, holed))
    np.testing.assert_allclose(holed_day, whole_day, rtol=0.05)


def test_the_weekend_gets_its_own_curve_where_it_differs() -> None:
    """Sunday follows Saturday, a tenth of the load, and not the six days' mean."""
    made = prophet_model.predict(two_kinds(), windows=24, quantiles=(0.5,), seed=7)[:, 0]
    saturday = two_kinds().rates[-24:]
    np.testing.assert_allclose(made, saturday, rtol=0.25)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([5.0, 5.1, 4.9, 1.0], True),
        ([5.0, 3.0, 4.0, 3.0], False),
        ([5.0, 5.1, 4.9, np.nan], False),
        ([5.0, 1.0], False),
    ],
)
def test_the_weekend_is_told_from_weekdays_by_three_spreads(levels: list[float], expected: bool) -> None:
    """Four windows a day, the last day a weekend."""
    logs = np.repeat(levels, 4)
    is_weekend = np.arange(logs.size) >= logs.size - 4
    assert prophet_model.has_weekend(logs, is_weekend=is_weekend, windows_per_day=4) is expected


def test_the_correction_fades_at_two_speeds() -> None:
    """A day 0.2 high whose last three hours are 1.0 high: 1.0 at once, 0.2 fading over two days later."""
    residuals = np.concatenate([np.full(21, 0.6 / 7 - 0.2 / 7 * 1.0), np.full(3, 1.0)])
    slow = residuals.mean()
    made = prophet_model.correction(residuals, window_s=3600.0, windows=48)
    assert made[0] == pytest.approx(slow * np.exp(-0.5 / 48) + (1.0 - slow) * np.exp(-0.5 / 3))
    assert made[47] == pytest.approx(slow * np.exp(-47.5 / 48), rel=1e-4)
    assert prophet_model.correction(np.full(24, np.nan), window_s=3600.0, windows=2).tolist() == [0.0, 0.0]
