"""ARIMA(3,1,2) on the last three days, as SageServe forecasts, but out of sample.

SageServe refits every hour by maximum likelihood and reads its forecast off the fitted values of a trace that the model
has already seen (sageserve.md section 5); ours sees nothing at or after the origin. The five parameters are fitted once
a day by conditional least squares (Gauss-Newton on the one-step errors from a start at rest), which on 432 windows
gives the forecasts of statsmodels' exact likelihood to a fraction of a percent in a hundredth of its time; a test holds
the two together. From then on a forecast is linear in the last three differences and the last two errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.forecasting.correction import Means
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Indices, Series, Values

AR, MA = 3, 2
FITTED_DAYS = 3
ROUNDS = 40
HALVINGS = 12
LARGEST_ROOT = 0.995
FIRST_GUESSES = ((0.0, 0.0, 0.0, 0.0, 0.0), (0.3, 0.0, 0.0, -0.6, 0.0), (0.7, 0.0, 0.0, -0.9, 0.1))


@dataclass(frozen=True, kw_only=True, eq=False)
class ArimaFit:
    """The autoregressive and moving-average parameters of the first differences."""

    ar: Values
    ma: Values

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second; in a gap the last known rate is carried on."""
        known = carried_over_gaps(rates[: origins.max()])
        steps = np.diff(known, prepend=known[:1])
        shocks = errors_of(steps, np.concatenate([self.ar, self.ma]))
        state = [_before(steps, origins, back) for back in range(1, AR + 1)]
        state += [_before(shocks, origins, back) for back in range(1, MA + 1)]
        moves = np.stack(state, axis=1) @ self._weights(int(leads.max()) + 1)[leads].T
        return np.asarray(np.maximum(0.0, known[origins - 1][:, None] + moves))

    def _weights(self, windows: int) -> Values:
        """Return windows x state: what each difference and error adds to the level so many windows on.

        The next difference is the first row of the transition; rows of later windows are those of half as many, moved
        on by its power.
        """
        transition = np.zeros((AR + MA, AR + MA))
        transition[0] = np.concatenate([self.ar, self.ma])
        transition[np.arange(1, AR), np.arange(AR - 1)] = 1.0
        transition[np.arange(AR + 1, AR + MA), np.arange(AR, AR + MA - 1)] = 1.0
        rows, power = transition[:1], transition
        while len(rows) < windows:
            rows = np.concatenate([rows, rows @ power])
            power = power @ power
        return np.asarray(np.cumsum(rows[:windows], axis=0))


def fit(series: Series, *, events: Sequence[Event], seed: int) -> ArimaFit:
    """Fit the last three days by conditional least squares, from the best of a few first guesses."""
    rates = series.rates[-FITTED_DAYS * series.windows_per_day :]
    steps = np.diff(carried_over_gaps(rates))
    scale = float(steps.std()) or 1.0
    found = min((_descend(steps / scale, np.array(guess)) for guess in FIRST_GUESSES), key=lambda pair: pair[1])[0]
    return ArimaFit(ar=found[:AR], ma=found[AR:])


def errors_of(steps: Values, parameters: Values) -> Values:
    """Return what each difference brought that the ones before it did not tell, from a start at rest."""
    expected = np.zeros_like(steps)
    for back in range(1, AR + 1):
        expected[back:] += parameters[back - 1] * steps[:-back]
    return _without_echo(steps - expected, parameters[AR:])


def carried_over_gaps(rates: Values) -> Values:
    """Fill each gap with the last known rate, so that no difference arises in it; a gap at the start with the mean."""
    known = np.isfinite(rates)
    last = np.maximum.accumulate(np.where(known, np.arange(rates.size), 0))
    filled = rates[last]
    mean = Means.of(rates).over(np.zeros(1, dtype=np.int64), np.array([rates.size]))
    return np.asarray(np.where(np.isfinite(filled), filled, np.nan_to_num(mean)))


def _descend(steps: Values, parameters: Values) -> tuple[Values, float]:
    """Return the parameters at the least sum of squares that Gauss-Newton steps lead to, and that sum."""
    errors = errors_of(steps, parameters)
    squares = float(errors @ errors)
    for _ in range(ROUNDS):
        slopes = _slopes(steps, errors, parameters)
        move = np.linalg.lstsq(slopes, -errors, rcond=None)[0]
        for halving in range(HALVINGS):
            tried = parameters + move * 0.5**halving
            if _is_stable(tried):
                new_errors = errors_of(steps, tried)
                new_squares = float(new_errors @ new_errors)
                if new_squares < squares:
                    break
        else:
            break
        is_done = squares - new_squares < 1e-7 * squares
        parameters, errors, squares = tried, new_errors, new_squares
        if is_done:
            break
    return parameters, squares


def _slopes(steps: Values, errors: Values, parameters: Values) -> Values:
    """Return the derivative of the errors by each parameter."""
    by_step = -_without_echo(steps, parameters[AR:])
    by_shock = -_without_echo(errors, parameters[AR:])
    columns = [_shifted(by_step, back) for back in range(1, AR + 1)]
    columns += [_shifted(by_shock, back) for back in range(1, MA + 1)]
    return np.stack(columns, axis=1)


def _without_echo(values: Values, ma: Values) -> Values:
    """Undo the moving average: each value less the weighted last two results."""
    first, second = ma.tolist()
    made = []
    last = last_but_one = 0.0
    for value in values.tolist():
        last, last_but_one = value - first * last - second * last_but_one, last
        made.append(last)
    return np.array(made)


def _is_stable(parameters: Values) -> bool:
    """Tell whether differences die out and errors can be read back from them: all roots within the unit circle."""
    ar = np.concatenate([[1.0], -parameters[:AR]])
    ma = np.concatenate([[1.0], parameters[AR:]])
    return bool(max(np.abs(np.roots(ar)).max(initial=0.0), np.abs(np.roots(ma)).max(initial=0.0)) <= LARGEST_ROOT)


def _shifted(values: Values, back: int) -> Values:
    return np.concatenate([np.zeros(back), values[:-back]])


def _before(values: Values, origins: Indices, back: int) -> Values:
    return np.asarray(np.where(origins >= back, values[np.maximum(origins - back, 0)], 0.0))
