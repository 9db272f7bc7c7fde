"""Demand forecasts: what will arrive, with quantiles, from history that ends where the forecast begins.

The methods stand in one visible mapping, :data:`METHODS`. A series that the method asked for cannot forecast is
forecast by a simpler one, and the notes of the result say so for each series; nothing falls back silently.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from workbench import tables
from workbench.errors import ForecastError, nearest, together
from workbench.forecasting import naive
from workbench.forecasting.accuracy import accuracy
from workbench.forecasting.backtesting import (
    BACKTEST_FRAMES,
    PERFECT,
    backtest,
    perfect,
    quantile_standings,
    readable,
    residual_acf,
    roll_or_perfect,
    standings,
)
from workbench.forecasting.history import SOURCES, Series, Values, past, series_of
from workbench.results import Forecast

__all__ = [
    "BACKTEST_FRAMES",
    "METHODS",
    "PERFECT",
    "Method",
    "accuracy",
    "backtest",
    "perfect",
    "predict",
    "quantile_standings",
    "readable",
    "residual_acf",
    "roll_or_perfect",
    "standings",
]

Progress = Callable[[int, int], None]
THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to forecast a series: the least history it needs, and what makes windows x quantiles of rates."""

    label: str
    least_days: float
    predict: Callable[..., Values]


def _prophet(series: Series, *, windows: int, quantiles: Sequence[float], seed: int) -> Values:
    from workbench.forecasting import prophet_model  # 3 s of import that only this method pays

    return prophet_model.predict(series, windows=windows, quantiles=quantiles, seed=seed)


METHODS: Mapping[str, Method] = {
    "prophet": Method(label="Prophet, corrected by its recent residuals", least_days=2.0, predict=_prophet),
    "seasonal_naive": Method(
        label="same time one day ago, or one week ago", least_days=1.0, predict=naive.seasonal_naive
    ),
    "last_value": Method(label="mean of the last hour", least_days=0.0, predict=naive.last_value),
    "moving_average": Method(label="mean of the last day", least_days=0.0, predict=naive.moving_average),
}


def predict(
    demand: pl.DataFrame,
    *,
    as_of: datetime,
    horizon_s: float,
    window_s: float | None = None,
    quantiles: Sequence[float],
    method: str = "prophet",
    seed: int = 7,
    measures: Sequence[str] = ("rps", "input_tps", "output_tps"),
    progress: Progress | None = None,
) -> Forecast:
    """Forecast every series of DEMAND from ``as_of`` on, as rates per second at each quantile.

    Windows of ``window_s`` (default: the demand's own; else a whole multiple of it) start at ``as_of`` and cover
    ``horizon_s``. Only windows that ended by ``as_of`` are read. A null in the demand is a gap and is left out of the
    fit. Values are never negative and never cross; the same history and seed give the same bytes. ``progress`` is
    called with the series done and the series in all.

    Raises ForecastError for an unknown method or measure, quantiles outside 0-1, a horizon or history that holds no
    window, an ``as_of`` before the data or inside a window.
    """
    _refuse(horizon_s=horizon_s, quantiles=quantiles, method=method, measures=measures)
    history = past(demand, as_of=as_of)
    series = series_of(history, as_of=as_of, window_s=window_s, measures=measures)
    step_s = series[0].window_s
    windows = -int(-horizon_s // step_s)
    ordered = sorted({float(quantile) for quantile in quantiles})
    choices = [choose(one, method=method) for one in series]

    def run(index: int) -> Values:
        made = METHODS[choices[index][0]].predict(series[index], windows=windows, quantiles=ordered, seed=seed)
        return np.maximum.accumulate(made, axis=1)

    values = []
    with _without_notices(), ThreadPoolExecutor(max_workers=THREADS) as threads:  # a fit runs in its own process
        for made in threads.map(run, range(len(series))):
            values.append(made)
            if progress is not None:
                progress(len(values), len(series))
    return Forecast(
        frame=_frame(series, values, windows=windows, quantiles=ordered),
        notes=_notes(series, choices),
        as_of=as_of,
        window_s=step_s,
        method=method,
    )


def choose(series: Series, *, method: str) -> tuple[str, str]:
    """Return the method that a series gets, and why it is not the one asked for (empty when it is).

    A constant or almost unknown series has nothing to fit: its last value is its forecast. A history shorter than the
    method needs gets ``seasonal_naive`` from one day on and ``last_value`` below.
    """
    known = series.rates[series.is_known]
    needed = METHODS[method].least_days
    if needed == 0.0:
        return method, ""
    if known.size == 0:
        return "last_value", "no window of the history is known; zero is forecast"
    if float(np.ptp(known)) == 0.0:
        return "last_value", f"every known window has the same rate, {known[0]:g} per second"
    known_days = known.size / series.windows_per_day
    if min(series.days, 2.0 * known_days) >= needed:
        return method, ""
    found = f"{series.days:.2f} days of history ({known.size:,} known windows), {method} needs {needed:g} days"
    one_day = METHODS["seasonal_naive"].least_days
    enough = method != "seasonal_naive" and min(series.days, 2.0 * known_days) >= one_day
    return ("seasonal_naive" if enough else "last_value"), found


@contextmanager
def _without_notices() -> Iterator[None]:
    """Drop what Prophet's own code is warned about by pandas; set once around the threads, as filters are global."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(prophet|cmdstanpy)\b")
        yield


def _frame(
    series: Sequence[Series], values: Sequence[Values], *, windows: int, quantiles: Sequence[float]
) -> pl.DataFrame:
    ahead = pl.Series("window_start", series[0].instants(first=0, last=windows), dtype=tables.INSTANT)
    grid = pl.DataFrame({"window_start": ahead}).join(pl.DataFrame({"quantile": quantiles}), how="cross")
    frames = [
        grid.with_columns(
            pl.lit(one.region).alias("region"),
            pl.lit(one.model).alias("model"),
            pl.lit(one.tier).alias("tier"),
            pl.lit(one.measure).alias("measure"),
            pl.Series("value", made.ravel()),
        )
        for one, made in zip(series, values, strict=True)
    ]
    return tables.FORECAST.conform(pl.concat(frames)).sort(tables.FORECAST.key)


def _notes(series: Sequence[Series], choices: Sequence[tuple[str, str]]) -> pl.DataFrame:
    rows = [(*one.key, method, note) for one, (method, note) in zip(series, choices, strict=True)]
    frame = pl.DataFrame(rows, schema=list(tables.FORECAST_NOTES.columns), orient="row")
    return tables.FORECAST_NOTES.conform(frame).sort(tables.FORECAST_NOTES.key)


def _refuse(*, horizon_s: float, quantiles: Sequence[float], method: str, measures: Sequence[str]) -> None:
    wrong = []
    if method not in METHODS:
        wrong.append(f"there is no forecast method '{method}'; {nearest(method, METHODS)}")
    if not horizon_s > 0:
        wrong.append(f"horizon_s must be positive, got {horizon_s}")
    if not quantiles or not all(0.0 < quantile < 1.0 for quantile in quantiles):
        wrong.append(f"quantiles must lie between 0 and 1, got {tuple(quantiles)}")
    wrong += [f"there is no measure '{name}'; {nearest(name, SOURCES)}" for name in measures if name not in SOURCES]
    if not measures:
        wrong.append(f"measures must not be empty; known: {', '.join(SOURCES)}")
    if wrong:
        raise ForecastError("the forecast: " + together(wrong))
