"""What a Prophet forecast is made of: a level, factors for time of day, week and events, and the last hours' say.

The fit is on a log scale, so its parts multiply: a factor of 2 doubles the rate, a factor of 1 changes nothing. The
curve is shown over the last days too, where it can be held against what came; the correction exists ahead only. The
curve is that of :mod:`workbench.forecasting.least_squares`, the solution of Prophet's problem without Prophet: to look
at a forecast nobody should wait for its import.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting import least_squares
from workbench.forecasting.calendars import DAILY_ORDER, WEEKLY_ORDER, Calendar
from workbench.forecasting.curves import Curve, fit_of
from workbench.forecasting.fits import Event
from workbench.forecasting.history import Series, Values, past, series_of
from workbench.units import SECONDS_PER_DAY

LEAST_DAYS = 2.0


def components(
    demand: pl.DataFrame,
    *,
    region: str,
    model: str,
    tier: str,
    as_of: datetime,
    horizon_s: float,
    measure: str = "input_tps",
    window_s: float | None = None,
    back_s: float = 3 * SECONDS_PER_DAY,
    events: Sequence[Event] = (),
) -> pl.DataFrame:
    """Return the parts of a Prophet forecast of one series of DEMAND, as FORECAST_COMPONENTS.

    ``realised`` over the last ``back_s``; ``level`` and ``curve`` (rates per second) and the factors ``daily``,
    ``weekly`` and ``events``, as far as the series has them, over that and ``horizon_s`` ahead; ``correction`` (a
    factor) and ``forecast`` ahead. Everywhere curve = level x factors - offset, and forecast + offset = (curve +
    offset) x correction; the offset is 1 % of the mean rate.

    Raises ForecastError where the series has less than two days of history.
    """
    of_series = (pl.col("region") == region) & (pl.col("model") == model) & (pl.col("tier") == tier)
    history = past(demand.filter(of_series), as_of=as_of)
    (series,) = series_of(history, as_of=as_of, window_s=window_s, measures=[measure])
    if min(series.days, series.known_days) < LEAST_DAYS or not series.has_a_shape:
        raise ForecastError(
            f"{region} {model} {tier} has {series.days:.2f} days of history before {as_of} ({series.known_days:.2f} "
            f"known); its parts can be told from {LEAST_DAYS:g} days on, of a rate that changes."
        )
    curve = least_squares.curve_of(series.until(series.cut), events=events)
    back = min(series.rates.size, round(back_s / series.window_s))
    windows = np.arange(series.rates.size - back, series.rates.size - int(-horizon_s // series.window_s))
    ahead = windows[back:] - series.rates.size
    parts = _parts(curve, series.middles_s(windows))
    offset = fit_of(series, curve).offset
    made = fit_of(series, curve).ahead(series.rates, origins=np.array([series.rates.size]), leads=ahead)[0]
    whole = np.exp(np.log(np.stack(list(parts.values()))).sum(axis=0))
    parts |= {"curve": np.maximum(0.0, whole - offset)}
    known = series.is_known[-back:]
    frames = [
        _frame(series, "realised", windows[:back][known], series.rates[-back:][known]),
        *(_frame(series, name, windows, values) for name, values in parts.items()),
        _frame(series, "correction", windows[back:], (made + offset) / whole[back:]),
        _frame(series, "forecast", windows[back:], made),
    ]
    return tables.FORECAST_COMPONENTS.conform(pl.concat(frames))


def _parts(curve: Curve, instants_s: Values) -> dict[str, Values]:
    """Return the level as a rate and each kind of regressor of a curve as a factor."""
    regressors = curve.calendar.regressors(instants_s)
    made = {"level": np.full(instants_s.size, np.exp(curve.level))}
    for name, columns in _columns(curve.calendar, regressors.shape[1]).items():
        made[name] = np.exp(regressors[:, columns] @ curve.weights[columns])
    return made


def _columns(calendar: Calendar, width: int) -> dict[str, list[int]]:
    """Return which regressors tell the time of day (and kind of day), the week and events."""
    days = 2 * DAILY_ORDER * (2 if calendar.has_weekend else 1)
    weeks = days + (2 * WEEKLY_ORDER if calendar.has_week else 0)
    kinds = weeks + (1 if calendar.has_weekend else 0)
    found = {
        "daily": [*range(days), *range(weeks, kinds)],
        "weekly": [*range(days, weeks)],
        "events": [*range(kinds, width)],
    }
    return {name: columns for name, columns in found.items() if columns}


def _frame(series: Series, component: str, windows: np.ndarray, values: Values) -> pl.DataFrame:
    starts = series.instants(first=-series.rates.size, last=int(windows.max(initial=0)) + 1 - series.rates.size)
    region, model, tier, measure = (pl.lit(name) for name in series.key)
    frame = pl.DataFrame(
        {"window_start": pl.Series([starts[int(window)] for window in windows], dtype=tables.INSTANT), "value": values}
    )
    return frame.with_columns(region=region, model=model, tier=tier, measure=measure, component=pl.lit(component))
