"""ARIMA(3,1,2) against statsmodels and against recursions worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from forecasting_cases import series

from workbench.forecasting import arima
from workbench.forecasting.arima import ArimaFit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # at import, statsmodels' dependencies
    from statsmodels.tsa.arima.model import ARIMA

NAN = float("nan")


def drawn(size: int, *, seed: int) -> np.ndarray:
    """Return a draw of an ARIMA(3,1,2) around 100 with known parameters."""
    rng = np.random.default_rng(seed)
    shocks = rng.normal(0.0, 1.0, size + 2)
    steps = [0.0, 0.0, 0.0]
    for place in range(2, size + 2):
        before = 0.5 * steps[-1] - 0.3 * steps[-2] + 0.2 * steps[-3]
        steps.append(before + shocks[place] - 0.6 * shocks[place - 1] + 0.2 * shocks[place - 2])
    return np.asarray(100.0 + np.cumsum(steps[3:]))


def test_the_forecast_follows_the_recursion() -> None:
    """AR (.5, 0, 0), no MA, levels 1 3: the next steps are 1, .5, .25, so levels 4, 4.5, 4.75."""
    fit = ArimaFit(ar=np.array([0.5, 0.0, 0.0]), ma=np.zeros(2))
    made = fit.ahead(np.array([1.0, 3.0]), origins=np.array([2]), leads=np.arange(3))
    assert made[0] == pytest.approx([4.0, 4.5, 4.75])


def test_a_moving_average_is_forgotten_after_two_windows() -> None:
    """MA (.5, .25), levels 0 4: the error is 4; steps ahead 2, 1, 0."""
    fit = ArimaFit(ar=np.zeros(3), ma=np.array([0.5, 0.25]))
    made = fit.ahead(np.array([0.0, 4.0]), origins=np.array([2]), leads=np.arange(4))
    assert made[0] == pytest.approx([6.0, 7.0, 7.0, 7.0])


def test_a_gap_carries_the_last_known_rate() -> None:
    assert arima.carried_over_gaps(np.array([NAN, 2.0, NAN, NAN, 4.0])).tolist() == [3.0, 2.0, 2.0, 2.0, 4.0]


def test_parameters_and_forecasts_are_those_of_the_exact_likelihood() -> None:
    """On 432 draws the fit of statsmodels: parameters within .05, forecasts within a tenth of the noise."""
    rates = drawn(432, seed=5)
    fit = arima.fit(series(rates.tolist(), window_s=600.0), events=(), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # first guesses of statsmodels
        exact = ARIMA(rates, order=(3, 1, 2)).fit(cov_type="none", method_kwargs={"maxiter": 200})
    own = arima.errors_of(np.diff(rates), np.concatenate([fit.ar, fit.ma]))
    theirs = arima.errors_of(np.diff(rates), exact.params[:5])
    assert np.sum(own**2) <= np.sum(theirs**2) * (1 + 1e-6)
    made = fit.ahead(rates, origins=np.array([rates.size]), leads=np.arange(144))[0]
    np.testing.assert_allclose(made, exact.forecast(144), atol=0.3)
    same = ArimaFit(ar=exact.params[:3], ma=exact.params[3:5])
    recursed = same.ahead(rates, origins=np.array([rates.size]), leads=np.arange(144))[0]
    np.testing.assert_allclose(recursed, exact.forecast(144), rtol=1e-6)
