"""Demand forecasts: what will arrive, with quantiles, from history that ends where the forecast begins.

The methods stand in one visible mapping, :data:`METHODS`. The default, ``ensemble``, is Prophet with its correction
by the last hours beside two simpler experts and ARIMA, weighted by how they did lately. Prophet itself is not the
default because the backtest says so: on six public traces, out of sample at hourly origins, the ensemble errs no more
than seasonal naive, last value and ARIMA on any at either horizon; Prophet alone does on the two of ServeGen (m-mid has
hardly a daily curve: .141 in the first hour, last value .123). Mean WAPE over the six, first hour and first day:

    ensemble .096 .242    arima      .115 .550    seasonal_naive .284 .301
    prophet  .103 .248    mstl       .130 .297    moving_average .396 .466
    ets      .161 .291    last_value .146 .497    prophet_plain  .316 .352

``python -m tests.forecasting.accuracy_table`` prints them by trace. A series that the method asked for cannot forecast
is forecast by a simpler one, and the notes of the result say so; nothing falls back silently.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from workbench import tables
from workbench.errors import ForecastError, nearest, together
from workbench.forecasting import rehearsal
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
from workbench.forecasting.choosing import Choice, choose
from workbench.forecasting.components import components
from workbench.forecasting.fits import Event
from workbench.forecasting.history import EPOCH, SOURCES, Series, Values, past, series_of
from workbench.forecasting.methods import METHODS, Method
from workbench.results import Forecast
from workbench.units import seconds_between

__all__ = [
    "BACKTEST_FRAMES",
    "DEFAULT",
    "MEASURES",
    "METHODS",
    "PERFECT",
    "Method",
    "accuracy",
    "backtest",
    "components",
    "perfect",
    "predict",
    "quantile_standings",
    "readable",
    "residual_acf",
    "roll",
    "roll_or_perfect",
    "standings",
]

Progress = Callable[[int, int], None]
DEFAULT = "ensemble"
MEASURES = ("rps", "input_tps", "output_tps")


def predict(
    demand: pl.DataFrame,
    *,
    as_of: datetime,
    horizon_s: float,
    window_s: float | None = None,
    quantiles: Sequence[float],
    method: str = DEFAULT,
    seed: int = 7,
    measures: Sequence[str] = MEASURES,
    events: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> Forecast:
    """Forecast every series of DEMAND from ``as_of`` on, as rates per second at each quantile.

    Windows of ``window_s`` (default: the demand's own; else a whole multiple of it) start at ``as_of`` and cover
    ``horizon_s``. Only windows that ended by ``as_of`` are read. A null in the demand is a gap and is left out of the
    fit. ``events`` are holidays and special events as EVENTS; one that lies wholly ahead and had no predecessor of its
    name moves nothing. Values are never negative and never cross; the same history and seed give the same bytes.
    ``progress`` is called with the series done and the series in all.

    Raises ForecastError for an unknown method or measure, quantiles outside 0-1, a horizon or history that holds no
    window, an ``as_of`` before the data or inside a window.
    """
    made = roll(
        demand,
        origins=[as_of],
        horizon_s=horizon_s,
        window_s=window_s,
        quantiles=quantiles,
        method=method,
        seed=seed,
        measures=measures,
        events=events,
        progress=progress,
    )
    return next(made)


def roll(
    demand: pl.DataFrame,
    *,
    origins: Sequence[datetime],
    horizon_s: float,
    window_s: float | None = None,
    quantiles: Sequence[float],
    method: str = DEFAULT,
    seed: int = 7,
    measures: Sequence[str] = MEASURES,
    events: pl.DataFrame | None = None,
    only: Collection[tuple[str, str, str]] | None = None,
    progress: Progress | None = None,
) -> Iterator[Forecast]:
    """Forecast from one origin after the other: for each exactly what :func:`predict` gives, but fits are shared.

    A fit reads what ended by the last midnight UTC before its origin and holds for the day; the correction by the last
    hours, the weights of an ensemble and the quantiles use everything up to the origin. ``only`` these series (region,
    model, tier) are forecast; the others are there for a young one to borrow the shape of. ``progress`` is called
    with the series done and to do over all origins as far as known.

    Raises ForecastError as :func:`predict` does: at once for a wrong request, at its origin for a wrong origin.
    """
    _refuse(horizon_s=horizon_s, window_s=window_s, quantiles=quantiles, method=method, measures=measures)
    request = _Request(
        horizon_s=horizon_s,
        window_s=window_s,
        quantiles=tuple(sorted({float(quantile) for quantile in quantiles})),
        method=method,
        seed=seed,
        measures=tuple(measures),
        events=tables.EVENTS.conform(events) if events is not None else tables.EVENTS.empty(),
        only=None if only is None else frozenset(only),
    )
    return _rolled(demand, origins, request, progress)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Request:
    """What is asked for at every origin."""

    horizon_s: float
    window_s: float | None
    quantiles: tuple[float, ...]
    method: str
    seed: int
    measures: tuple[str, ...]
    events: pl.DataFrame
    only: frozenset[tuple[str, str, str]] | None


def _rolled(
    demand: pl.DataFrame, origins: Sequence[datetime], request: _Request, progress: Progress | None
) -> Iterator[Forecast]:
    memory = rehearsal.Memory()
    for done, as_of in enumerate(origins):

        def tell(series: int, of: int, done: int = done) -> None:
            if progress is not None:
                progress(done * of + series, len(origins) * of)

        yield _forecast(demand, as_of, request, memory=memory, tell=tell)


def _forecast(
    demand: pl.DataFrame,
    as_of: datetime,
    request: _Request,
    *,
    memory: rehearsal.Memory,
    tell: Progress,
) -> Forecast:
    history = past(demand, as_of=as_of)
    known = series_of(history, as_of=as_of, window_s=request.window_s, measures=request.measures)
    series = [one for one in known if request.only is None or one.key[:3] in request.only]
    windows = -int(-request.horizon_s // known[0].window_s)
    choices = [choose(one, known, method=request.method) for one in series]

    def run(index: int) -> Values:
        """Forecast one of the series."""
        one, choice = series[index], choices[index]
        return rehearsal.forecast(
            one,
            choice.experts,
            windows=windows,
            quantiles=request.quantiles,
            seed=request.seed,
            least_days=choice.least_days,
            events=_touching(request.events, one),
            memory=memory,
            name=choice.method,
        )

    values = []
    with _without_notices():
        for index in range(len(series)):
            values.append(run(index))
            tell(len(values), len(series))
    return Forecast(
        frame=_frame(series, values, windows=windows, quantiles=request.quantiles),
        notes=_notes(series, choices),
        as_of=as_of,
        window_s=series[0].window_s,
        method=request.method,
    )


def _touching(events: pl.DataFrame, series: Series) -> tuple[Event, ...]:
    """Return the events that touch a series."""
    if events.is_empty():
        return ()
    mine = events.filter(
        pl.col("region").is_null() | (pl.col("region") == series.region),
        pl.col("model").is_null() | (pl.col("model") == series.model),
    )
    return tuple(
        Event(name=name, start_s=seconds_between(EPOCH, start), end_s=seconds_between(EPOCH, end))
        for name, start, end in mine.select("name", "start", "end").sort("name", "start").iter_rows()
    )


@contextmanager
def _without_notices() -> Iterator[None]:
    """Drop what Prophet's own code is warned about by pandas.

    Filters are global and Prophet sets its own, so two fits in threads would undo each other's; one fit after the other
    is as fast, as all but a hundredth of a fit holds the interpreter. Parallel work belongs in processes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(prophet|cmdstanpy)\b")
        yield


def _frame(
    series: Sequence[Series], values: Sequence[Values], *, windows: int, quantiles: Sequence[float]
) -> pl.DataFrame:
    ahead = pl.Series("window_start", series[0].instants(first=0, last=windows), dtype=tables.INSTANT)
    one, start, level = np.indices((len(series), windows, len(quantiles))).reshape(3, -1)
    keys = zip(("region", "model", "tier", "measure"), zip(*(each.key for each in series), strict=True), strict=True)
    frame = pl.DataFrame(
        {
            "window_start": ahead.gather(start),
            **{name: pl.Series(labels).gather(one) for name, labels in keys},
            "quantile": np.asarray(quantiles)[level],
            "value": np.stack(values).ravel(),
        }
    )
    return tables.FORECAST.conform(frame).sort(tables.FORECAST.key)


def _notes(series: Sequence[Series], choices: Sequence[Choice]) -> pl.DataFrame:
    rows = [(*one.key, choice.method, choice.note) for one, choice in zip(series, choices, strict=True)]
    frame = pl.DataFrame(rows, schema=list(tables.FORECAST_NOTES.columns), orient="row")
    return tables.FORECAST_NOTES.conform(frame).sort(tables.FORECAST_NOTES.key)


def _refuse(
    *, horizon_s: float, window_s: float | None, quantiles: Sequence[float], method: str, measures: Sequence[str]
) -> None:
    wrong = []
    if method not in METHODS:
        wrong.append(f"there is no forecast method '{method}'; {nearest(method, METHODS)}")
    if not 0 < horizon_s < math.inf:
        wrong.append(f"horizon_s must be positive and finite, got {horizon_s}")
    if window_s is not None and not 0 < window_s < math.inf:
        wrong.append(f"window_s must be positive and finite, or None for the demand's own, got {window_s}")
    if not quantiles or not all(0.0 < quantile < 1.0 for quantile in quantiles):
        wrong.append(f"quantiles must lie between 0 and 1, got {tuple(quantiles)}")
    wrong += [f"there is no measure '{name}'; {nearest(name, SOURCES)}" for name in measures if name not in SOURCES]
    if not measures:
        wrong.append(f"measures must not be empty; known: {', '.join(SOURCES)}")
    if wrong:
        raise ForecastError("the forecast: " + together(wrong))
