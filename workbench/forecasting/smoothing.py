"""Exponential smoothing and MSTL of statsmodels, on hourly log rates.

Both work on hours, as a season of 144 windows has more states than days to learn them from, and on logs, so that a
peak does not pull the season up. ETS keeps its smoothing weights for the day and follows the series to each origin by
its own recursion; MSTL lends its seasons as a curve, corrected like Prophet's by the last hours.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import MSTL

from workbench.forecasting.calendars import DAYS_FOR_A_WEEK
from workbench.forecasting.correction import Means
from workbench.forecasting.curves import CurveFit, fit_of
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Indices, Series, Values, offset_of
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

FITTED_DAYS = 14
LEAST_SEASON = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class EtsFit:
    """Weights of level, trend and season (Holt-Winters, additive, damped) and the windows of one smoothing step."""

    level: float
    trend: float
    damping: float
    season: float
    per_season: int
    per_step: int
    offset: float

    def ahead(self, rates: Values, *, origins: Indices, leads: Indices) -> Values:
        """Return origins x leads of rates per second; all origins must lie whole steps apart."""
        last = int(origins.max())
        edges = np.arange(last % self.per_step, last + 1, self.per_step)
        logs = Means.of(np.log(rates[:last] + self.offset)).over(edges[:-1], edges[1:])
        levels, trends, seasons = self._states(logs)
        place = np.searchsorted(edges, origins)
        steps = leads // self.per_step
        damped = np.cumsum(self.damping ** np.arange(1, int(steps.max()) + 2))
        centre = (
            levels[place][:, None]
            + damped[steps][None, :] * trends[place][:, None]
            + np.take_along_axis(seasons[place], (place[:, None] + steps[None, :]) % self.per_season, axis=1)
        )
        return np.asarray(np.maximum(0.0, np.exp(centre) - self.offset))

    def _states(self, logs: Values) -> tuple[Values, Values, Values]:
        """Return level, trend and season before each step and after the last one; a gap leaves them to run on."""
        start = float(np.nanmean(logs[: self.per_season])) if np.isfinite(logs[: self.per_season]).any() else 0.0
        level, trend = start, 0.0
        season = np.zeros(self.per_season)
        first = logs[: self.per_season] - start
        if self.per_season > 1:
            season[: first.size] = np.nan_to_num(first)
        levels, trends, seasons = [level], [trend], [season.copy()]
        for step, value in enumerate(logs.tolist()):
            expected = level + self.damping * trend
            place = step % self.per_season
            error = value - expected - season[place] if np.isfinite(value) else 0.0
            level, trend = expected + self.level * error, self.damping * trend + self.trend * error
            season[place] += self.season * error
            levels.append(level)
            trends.append(trend)
            seasons.append(season.copy())
        return np.array(levels), np.array(trends), np.array(seasons)


def ets(series: Series, *, events: Sequence[Event], seed: int) -> EtsFit:
    """Fit the smoothing weights to the last two weeks of hours."""
    per_step = series.windows_per_hour
    per_season = max(1, series.windows_per_day // per_step)
    has_season = per_season >= LEAST_SEASON
    logs = _hours(series)[-FITTED_DAYS * per_season :]
    model = ETSModel(
        logs,
        error="add",
        trend="add",
        damped_trend=True,
        seasonal="add" if has_season else None,
        seasonal_periods=per_season if has_season else None,
        initialization_method="heuristic" if has_season else "estimated",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an optimum not quite reached is good enough for weights
        found = dict(zip(model.param_names, model.fit(disp=False, maxiter=100).params, strict=True))
    return EtsFit(
        level=float(found["smoothing_level"]),
        trend=float(found["smoothing_trend"]),
        damping=float(found["damping_trend"]),
        season=float(found.get("smoothing_seasonal", 0.0)),
        per_season=per_season if has_season else 1,
        per_step=per_step,
        offset=offset_of(series),
    )


def mstl(series: Series, *, events: Sequence[Event], seed: int) -> CurveFit:
    """Take the last season of each period as the curve: the day, and from three weeks on the week."""
    per_step = series.windows_per_hour
    per_day = max(1, series.windows_per_day // per_step)
    logs = _hours(series)[-2 * FITTED_DAYS * per_day :]
    periods = [per_day] if per_day >= LEAST_SEASON and logs.size > 2 * per_day else []
    if periods and logs.size >= DAYS_FOR_A_WEEK * per_day:
        periods.append(7 * per_day)
    longest = max(periods, default=1)
    curve = np.full(longest, logs.mean())
    if periods:
        parts = np.asarray(MSTL(logs, periods=periods).fit().seasonal).reshape(logs.size, -1)
        curve = curve + parts.sum(axis=1)[-longest:]
    end_s = float(series.middles_s(np.array([series.rates.size]))[0]) - 0.5 * series.window_s
    step_s = SECONDS_PER_DAY / per_day if per_day > 1 else max(series.window_s, SECONDS_PER_HOUR)

    def shape(instants_s: Values) -> Values:
        """Return the season at any instants, between the middles of its windows."""
        places = (instants_s - end_s) / step_s - 0.5
        low = np.floor(places).astype(np.int64)
        share = places - low
        return np.asarray((1 - share) * curve[low % longest] + share * curve[(low + 1) % longest])

    return fit_of(series, shape)


def _hours(series: Series) -> Values:
    """Return mean log rates by hour, a gap taken from the hour a day before and what is left from the mean."""
    width = series.windows_per_hour
    edges = np.arange(series.rates.size % width, series.rates.size + 1, width)
    logs = Means.of(np.log(series.rates + offset_of(series))).over(edges[:-1], edges[1:])
    day = max(1, series.windows_per_day // width)
    for place in range(day, logs.size):
        if np.isnan(logs[place]):
            logs[place] = logs[place - day]
    return np.asarray(np.where(np.isfinite(logs), logs, np.nanmean(logs)))
