"""The backtest itself: one task per series and method, spread over processes, and their tables put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import numpy as np
import polars as pl

from workbench import compute, forecasting, tables
from workbench.errors import ForecastError, nearest, together
from workbench.forecasting.backtesting import scoring
from workbench.forecasting.backtesting.origins import Grid, Stretch, grid_of
from workbench.forecasting.backtesting.perfect import PERFECT, roll_or_perfect
from workbench.forecasting.history import SOURCES, Series, past, series_of
from workbench.results import Backtest, Forecast
from workbench.tables import Table
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, after, seconds_between

HORIZONS_S = (SECONDS_PER_HOUR, SECONDS_PER_DAY, 7 * SECONDS_PER_DAY)
QUANTILES = (0.05, 0.5, 0.9, 0.95, 0.99)
FRAMES: dict[str, Table] = {
    "scores": tables.BACKTEST_SCORES,
    "quantiles": tables.BACKTEST_QUANTILES,
    "leads": tables.BACKTEST_LEADS,
    "hours": tables.BACKTEST_HOURS,
    "windows": tables.BACKTEST_WINDOWS,
    "fits": tables.BACKTEST_FITS,
    "notes": tables.BACKTEST_NOTES,
}
YOUNG_S = 2 * SECONDS_PER_DAY  # of known windows; with more no method asks for siblings
Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One method on one series, from every origin of a grid; a young series comes with those it may borrow from."""

    method: str
    key: tuple[str, str, str]
    demand: pl.DataFrame
    grid: Grid
    quantiles: tuple[float, ...]
    measures: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return f"backtest of {self.method} on {' '.join(self.key)}"


def backtest(
    demand: pl.DataFrame,
    *,
    origins: Sequence[datetime] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    every_s: float = SECONDS_PER_HOUR,
    horizons_s: Sequence[float] = HORIZONS_S,
    methods: Sequence[str] | None = None,
    quantiles: Sequence[float] = QUANTILES,
    window_s: float | None = None,
    measures: Sequence[str] = ("input_tps",),
    seed: int = 7,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Backtest:
    """Forecast every series of DEMAND from many instants of its past with each method, and score what was said.

    Origins are given, or stand every ``every_s`` from ``since`` until before ``until`` (by default in the last week, or
    the second half of a demand shorter than two); each sees the demand before it alone. The figures of a horizon cover
    all windows that begin less than it after an origin, over the origins whose whole horizon lies in the demand.
    ``methods`` are all of :data:`workbench.forecasting.METHODS` unless named; ``oracle`` is the perfect forecast. The
    median is always forecast too. Windows that are a gap count for nothing. ``workers`` is the most processes to use;
    the result is the same for any number, but for the seconds in ``fits``. ``progress`` is called with the tasks done
    and the tasks in all, one for each series and method.

    Raises ForecastError for unknown methods, origins or horizons that the demand cannot hold, and as
    :func:`workbench.forecasting.predict` does.
    """
    named = tuple(methods if methods is not None else forecasting.METHODS)
    _refuse(named, measures)
    conformed = tables.DEMAND.conform(demand)
    if conformed.is_empty():
        raise ForecastError("the backtest: the demand is empty; give the windows of a trace (features.demand).")
    grid = grid_of(
        conformed,
        origins=origins,
        since=since,
        until=until,
        every_s=every_s,
        horizons_s=horizons_s,
        window_s=window_s,
    )
    parts, remarks = parts_of(conformed, grid)
    tasks = _tasks(parts, methods=named, quantiles=quantiles, measures=measures, seed=seed)
    made = compute.map_tasks(run, tasks, workers=workers, progress=progress)
    return _together(made, grid, remarks=(*grid.remarks, *remarks))


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A series that can be forecast apart: the demand that its forecasts depend on, and the origins it had begun by."""

    key: tuple[str, str, str]
    demand: pl.DataFrame
    grid: Grid


def parts_of(demand: pl.DataFrame, grid: Grid) -> tuple[list[Part], list[str]]:
    """Cut a demand into its series, each with the origins by which it had begun; a young one keeps all others.

    A history of two demand windows and one forecast window is the least. Also returns what is to be said of series
    that no origin is left for. Raises ForecastError where that is all of them.
    """
    own_s = tables.window_s_of(demand)
    least_s = max(2 * own_s, grid.window_s)
    parts, remarks = [], []
    ordered = demand.sort("region", "model", "tier", "window_start")
    for found, part in ordered.group_by("region", "model", "tier", maintain_order=True):
        key = cast("tuple[str, str, str]", found)
        reached = grid.from_instant(after(cast(datetime, part.get_column("window_start").min()), least_s))
        if reached.stretches:
            before = part.filter(pl.col("window_start") < reached.origins[0])
            parts.append(Part(key=key, demand=demand if _is_young(before, own_s) else part, grid=reached))
        else:
            remarks.append(f"{' '.join(key)} begins after the last origin and is left out.")
    if not parts:
        raise ForecastError(f"the backtest: every series begins after the last origin, {grid.origins[-1]}.")
    return parts, remarks


def _tasks(
    parts: Sequence[Part],
    *,
    methods: Sequence[str],
    quantiles: Sequence[float],
    measures: Sequence[str],
    seed: int,
) -> list[Task]:
    """Return one task for each method and series; the median is always asked for."""
    return [
        Task(
            method=method,
            key=part.key,
            demand=part.demand,
            grid=part.grid,
            quantiles=tuple(sorted({scoring.MEDIAN, *map(float, quantiles)})),
            measures=tuple(sorted(measures)),
            seed=seed,
        )
        for method in methods
        for part in parts
    ]


def _together(made: Sequence[Frames], grid: Grid, *, remarks: tuple[str, ...]) -> Backtest:
    """Put the tables of all tasks together."""
    frames = {
        name: table.conform(pl.concat([each[name] for each in made])).sort(table.key) for name, table in FRAMES.items()
    }
    return Backtest(**frames, origins=grid.origins, horizons_s=grid.horizons_s, window_s=grid.window_s, remarks=remarks)


def _is_young(history: pl.DataFrame, own_s: float) -> bool:
    """Tell whether so little is known of a series that a method may look at its siblings."""
    return any(history.get_column(sums).count() * own_s < YOUNG_S for sums in SOURCES.values())


def run(task: Task) -> Frames:
    """Forecast and score one task: the frames of a backtest for its series and method."""
    grid = task.grid
    history = past(_own(task), as_of=grid.end)
    series = series_of(history, as_of=grid.end, window_s=grid.window_s, measures=task.measures)
    came = [_known(one, grid) for one in series]
    rows: list[list[pl.DataFrame]] = [[] for _ in came]
    seconds, notes = 0.0, []
    for stretch in grid.stretches:
        forecasts, took_s = _timed(_rolled(task, stretch))
        seconds += took_s
        notes += [made.notes for made in forecasts]
        values = scoring.values_of(forecasts, keys=[one.key for one in came], quantiles=task.quantiles)
        for index, known in enumerate(came):
            laid = scoring.laid_out(known, values[:, index], quantiles=task.quantiles, stretch=stretch)
            rows[index].append(laid)
    scored = [_scored(pl.concat(pieces), known, task) for pieces, known in zip(rows, came, strict=True)]
    made = {name: pl.concat([each[name] for each in scored]) for name in scored[0]}
    made |= {"notes": _notes(notes), "fits": _fits(task, seconds)}
    return {name: frame.with_columns(method=pl.lit(task.method)) for name, frame in made.items()}


def _rolled(task: Task, stretch: Stretch) -> Iterator[Forecast]:
    return roll_or_perfect(
        task.demand,
        origins=stretch.origins,
        horizon_s=stretch.ahead_s,
        window_s=task.grid.window_s,
        quantiles=task.quantiles,
        method=task.method,
        seed=task.seed,
        measures=task.measures,
        only=[task.key],
    )


def _own(task: Task) -> pl.DataFrame:
    region, model, tier = task.key
    return task.demand.filter((pl.col("region") == region) & (pl.col("model") == model) & (pl.col("tier") == tier))


def _timed(forecasts: Iterable[Forecast]) -> tuple[list[Forecast], float]:
    begin = time.perf_counter()
    made = list(forecasts)
    return made, time.perf_counter() - begin


def _known(series: Series, grid: Grid) -> scoring.Known:
    ahead = round(seconds_between(grid.origins[0], grid.end) / grid.window_s)
    unknown = np.full(max(0, ahead - series.rates.size), np.nan)
    return scoring.Known(
        key=series.key, rates=np.concatenate([unknown, series.rates]), end=grid.end, window_s=grid.window_s
    )


def _scored(every: pl.DataFrame, known: scoring.Known, task: Task) -> Frames:
    history = known.rates[: known.place(task.grid.origins[0])]
    scale = scoring.day_before_error(history, per_day=max(1, round(SECONDS_PER_DAY / known.window_s)))
    within = pl.concat(
        [
            every.filter((pl.col("lead") * known.window_s < horizon_s - 1e-6) & (pl.col("reach_s") >= horizon_s))
            .drop("reach_s")
            .with_columns(horizon_s=pl.lit(float(horizon_s)))
            for horizon_s in task.grid.horizons_s
        ]
    )
    made = {
        "scores": scoring.scores(within, quantiles=task.quantiles, scale=scale),
        "quantiles": scoring.by_quantile(within, quantiles=task.quantiles),
        "hours": scoring.by_hour(within, known),
        "leads": scoring.by_lead(every, known),
        "windows": scoring.nearest(every, known, quantiles=task.quantiles),
    }
    region, model, tier, measure = (pl.lit(name) for name in known.key)
    keys = {"region": region, "model": model, "tier": tier, "measure": measure}
    return {name: frame.with_columns(**keys) for name, frame in made.items()}


def _notes(notes: Sequence[pl.DataFrame]) -> pl.DataFrame:
    series = ("region", "model", "tier", "measure", "method")
    told = pl.concat(notes).with_columns(is_plain=pl.col("note") == "")
    grouped = told.group_by(*series, "is_plain", maintain_order=True)
    return grouped.agg(pl.col("note").first(), origins=pl.len().cast(pl.Int64)).rename({"method": "used"})


def _fits(task: Task, seconds: float) -> pl.DataFrame:
    region, model, tier = task.key
    origins = len(task.grid.origins)
    row = {"region": region, "model": model, "tier": tier, "origins": origins, "fit_s": seconds / origins}
    return pl.DataFrame([row])


def _refuse(methods: Sequence[str], measures: Sequence[str]) -> None:
    known = [*forecasting.METHODS, PERFECT]
    wrong = [f"there is no forecast method '{name}'; {nearest(name, known)}" for name in methods if name not in known]
    wrong += [f"there is no measure '{name}'; {nearest(name, SOURCES)}" for name in measures if name not in SOURCES]
    wrong += [f"method '{name}' is named twice" for name in sorted(set(methods)) if methods.count(name) > 1]
    if not methods or not measures:
        wrong.append("methods and measures must not be empty")
    if wrong:
        raise ForecastError("the backtest: " + together(wrong))
