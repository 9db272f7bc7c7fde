"""Forecasts without a model: the same time a day or a week ago, and the mean of the recent past.

They are the yardstick that a model must beat, the fallback where the history is too short for one, and quick enough to
stand in for it. Quantiles come from the method's own errors on the history: the same rule is applied at the windows
of the last days and the sorted errors are added to the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.forecasting.history import Series, Values
from workbench.units import SECONDS_PER_HOUR

FEWEST_ERRORS = 8
LEADS = 8


def seasonal_naive(series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
    """Repeat the last day, or the last week where two weeks of history are there.

    Returns windows x quantiles in rates per second. A window that was a gap one season back is looked up one season
    earlier, and where none is known the mean of the known windows stands in.
    """
    day = series.windows_per_day
    season = 7 * day if series.rates.size >= 14 * day else min(day, series.rates.size)
    filled = _filled(series.rates, season=season)
    ahead = np.resize(filled[-season:], windows)
    return _with_errors(ahead, series.rates[season:] - filled[:-season], quantiles)


def last_value(series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
    """Carry the mean of the last hour of known windows forward, as windows x quantiles in rates per second."""
    return _carried(series, windows=windows, quantiles=quantiles, span=round(SECONDS_PER_HOUR / series.window_s))


def moving_average(series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
    """Carry the mean of the last day of known windows forward, as windows x quantiles in rates per second."""
    return _carried(series, windows=windows, quantiles=quantiles, span=series.windows_per_day)


def _carried(series: Series, *, windows: int, quantiles: Sequence[float], span: int) -> Values:
    known = series.rates[series.is_known]
    if known.size == 0:
        return np.zeros((windows, len(quantiles)))
    width = min(max(1, span), known.size)
    sums = np.cumsum(np.concatenate([[0.0], known]))
    means = (sums[width:] - sums[:-width]) / width
    furthest = min(windows, known.size - width)
    leads = np.unique(np.linspace(1, furthest, LEADS).round().astype(int)) if furthest else np.empty(0, dtype=int)
    errors = [known[width + lead - 1 :] - means[: known.size - width - lead + 1] for lead in leads]
    ahead = np.full(windows, max(0.0, float(means[-1])))
    return _with_errors(ahead, np.concatenate([*errors, np.empty(0)]), quantiles)


def _filled(rates: Values, *, season: int) -> Values:
    filled = rates.copy()
    for start in range(season, filled.size):
        if np.isnan(filled[start]):
            filled[start] = filled[start - season]
    known = rates[np.isfinite(rates)]
    return np.where(np.isfinite(filled), filled, known.mean() if known.size else 0.0)


def _with_errors(ahead: Values, errors: Values, quantiles: Sequence[float]) -> Values:
    known = errors[np.isfinite(errors)]
    if known.size < FEWEST_ERRORS:
        return np.repeat(ahead[:, None], len(quantiles), axis=1)
    shift = np.quantile(known, quantiles) - np.quantile(known, 0.5)
    return np.asarray(np.maximum(0.0, ahead[:, None] + shift[None, :]))
