"""Prophet's flat model solved in closed form: the stand-in for days gone by, a hundred times as fast.

With flat growth Prophet's posterior mode is a ridge regression given the noise, and the noise has a closed form given
the residuals; the two are alternated until they agree. Scaling and priors are Prophet's own (level N(0, 5), weights
N(0, 10), noise half-normal 0.5, on values divided by the largest). It fits the days on which a forecast is rehearsed;
the fit of record is made by Prophet (:mod:`workbench.forecasting.prophet_model`), and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workbench.forecasting.calendars import Calendar, calendar_of, hourly
from workbench.forecasting.curves import Curve, CurveFit, fit_of
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Series, Values, offset_of

LEVEL_PRIOR = 5.0
WEIGHT_PRIOR = 10.0
NOISE_PRIOR = 0.5
ROUNDS = 30
FARTHEST = 6.0
MOST_LEFT_OUT = 0.3
AGREEMENT = 1e-10
LEAST_VARIANCE = 1e-12


def fit(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
    """Fit the curve of a history, to be corrected by its residuals."""
    return fit_of(series, curve_of(series, events=events))


def plain_fit(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
    """Fit the curve of a history, to stand as it is."""
    return fit_of(series, curve_of(series, events=events), is_corrected=False)


def curve_of(series: Series, *, events: Sequence[Event]) -> Curve:
    """Return the curve at the mode of Prophet's posterior.

    Source: Taylor and Letham, "Forecasting at scale", The American Statistician 72(1), 2018; methods.md section 1.
    """
    calendar = calendar_of(series, events=events)
    instants_s, means = hourly(series, logs=np.log(series.rates + offset_of(series)))
    kept = usual(calendar, instants_s, means)
    scale = scale_of(means[kept])
    weights = scale * solve(_with_level(calendar, instants_s[kept]), means[kept] / scale)
    return Curve(calendar=calendar, level=float(weights[0]), weights=weights[1:])


def usual(calendar: Calendar, instants_s: Values, means: Values) -> npt.NDArray[np.bool_]:
    """Tell which hours a curve should be fitted to: not those that lie far from a first fit of all.

    Far is six times the median distance (four sigma of normal noise): on a log scale four hours of nothing would pull
    down the same hours of every day. Where more than three in ten lie that far the distance says nothing and all stay.
    """
    scale = scale_of(means)
    regressors = _with_level(calendar, instants_s)
    residuals = means - scale * regressors @ solve(regressors, means / scale)
    distance = np.abs(residuals - np.median(residuals))
    kept = np.asarray(distance <= FARTHEST * np.median(distance))
    return kept if np.count_nonzero(~kept) <= MOST_LEFT_OUT * kept.size else np.ones_like(kept)


def scale_of(means: Values) -> float:
    """Return what Prophet divides by: the largest absolute value."""
    return float(np.abs(means).max()) or 1.0


def solve(regressors: Values, targets: Values) -> Values:
    """Return the weights, the level's first, at the mode of the posterior over weights and noise.

    Setting the derivative by the noise to zero leaves v^2 / NOISE_PRIOR^2 + n v - SSE = 0 for its variance v.
    """
    precision = np.full(regressors.shape[1], WEIGHT_PRIOR**-2)
    precision[0] = LEVEL_PRIOR**-2
    gram, moments = regressors.T @ regressors, regressors.T @ targets
    variance, weights = 0.01, np.empty(0)
    for _ in range(ROUNDS):
        weights = np.asarray(np.linalg.solve(gram / variance + np.diag(precision), moments / variance))
        squares = float(np.sum((targets - regressors @ weights) ** 2))
        count, curvature = targets.size, NOISE_PRIOR**-2
        found = max(LEAST_VARIANCE, (np.sqrt(count**2 + 4 * curvature * squares) - count) / (2 * curvature))
        if abs(found - variance) <= AGREEMENT * variance:
            break
        variance = found
    return weights


def _with_level(calendar: Calendar, instants_s: Values) -> Values:
    return np.hstack([np.ones((instants_s.size, 1)), calendar.regressors(instants_s)])
