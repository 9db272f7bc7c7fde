"""What is foreseen at the begin of every hour: forecasts from the history as it was then, kept once they are made.

Forecasts depend on demand and method, not on a strategy, so all strategies of a study share them, and so do studies of
the same demand. They are kept a day at a time, under a name made from everything they depend on, the code of the
forecasts included; an interrupted run goes on with the day it was in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl

from workbench import compute, forecasting, tables
from workbench.forecasting import backtesting
from workbench.results import Forecast
from workbench.studies.remembering import digest_of, write_whole
from workbench.units import seed_for

MEASURES = ("input_tps", "output_tps")
LIBRARIES = ("numpy", "polars", "prophet", "statsmodels")
HALVES = 2  # of a day that processes share: whole days keep one of two busy for half a day after the other


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """The demand, and what is to be foreseen from it: an origin per hour, how far, in which windows, how.

    ``demand`` holds the whole span; a forecast from an origin reads what ended before it. Forecasts are kept in
    ``folder``; None keeps none. What is handed on is spoilt by a factor of ``bias_fraction`` on all, and by one of its
    own for every origin and model with the spread ``error_fraction``; what is kept is not.
    """

    demand: pl.DataFrame
    origins: Sequence[datetime]
    horizon_s: float
    window_s: float
    quantiles: Sequence[float]
    method: str
    seed: int
    measures: Sequence[str] = MEASURES
    folder: Path | None = None
    bias_fraction: float = 0.0
    error_fraction: float = 0.0
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Day:
    """The origins of one day; ``files`` are where its forecasts are kept, None where they are not."""

    history: History
    origins: tuple[datetime, ...]
    files: Mapping[str, Path] | None

    def __str__(self) -> str:
        return f"forecasts of {self.origins[0]:%Y-%m-%d}"

    @property
    def is_kept(self) -> bool:
        """Whether its forecasts were made before."""
        return self.files is not None and all(file.exists() for file in self.files.values())


def forecasts(history: History) -> Iterator[Forecast]:
    """Yield the forecast from every origin, in order, read where it was made before."""
    done = 0
    for day in days_of(history):
        for forecast in _read(day) if day.is_kept else _made(day):
            yield spoilt(forecast, history)
            done += 1
            if history.progress is not None:
                history.progress(done, len(history.origins))


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Some series of a day, region by model by tier, as a task for a process: days are few and last long."""

    day: Day
    only: tuple[tuple[str, str, str], ...]
    files: Mapping[str, Path]

    def __str__(self) -> str:
        return str(self.day)


def prepare(
    histories: Sequence[History], *, workers: int | None = None, progress: Callable[[int, int], None] | None = None
) -> int:
    """Make the forecasts that are not kept yet, half a day's series to a process, and return how many days that were.

    Halves that an interrupted run has left are not made again. Does nothing where none are kept: nobody could read
    them. ``progress`` is told the days done and the days in all.
    """
    days = [day for history in histories for day in days_of(history)]
    missing = [day for day in days if day.files is not None and not day.is_kept]
    halves = [pieces_of(day) for day in missing]
    tasks = [piece for pieces in halves for piece in pieces if not all(file.exists() for file in piece.files.values())]

    def tell(done: int, of: int) -> None:
        if progress is not None:
            progress(done * len(missing) // of, len(missing))

    compute.map_tasks(make, tasks, workers=workers, progress=tell)
    for day, pieces in zip(missing, halves, strict=True):
        _put_together(day, pieces)
    return len(missing)


def pieces_of(day: Day) -> list[Piece]:
    """Cut the series of a day in two, each half with some that have begun by its first origin, or leave them whole."""
    names, demand = ("region", "model", "tier"), day.history.demand
    begun = demand.filter(pl.col("window_start") < day.origins[0]).select(names).unique().sort(names).rows()
    later = sorted({*demand.select(names).unique().rows()} - {*begun})
    count = 1 if day.history.method == backtesting.PERFECT else max(1, min(HALVES, len(begun)))
    return [
        Piece(
            day=day,
            only=(*begun[place::count], *later[place::count]),
            files={
                kind: file.with_name(f"{file.stem}.{place}of{count}.part") for kind, file in (day.files or {}).items()
            },
        )
        for place in range(count)
    ]


def make(piece: Piece) -> None:
    """Make the forecasts of some series of a day and keep them as a part."""
    _keep(piece.files, list(_rolled(piece.day, only=piece.only)))


def _put_together(day: Day, pieces: Sequence[Piece]) -> None:
    """Keep a day as if it had been made in one go, and remove its parts."""
    for kind, table in (("frame", tables.FORECAST), ("notes", tables.FORECAST_NOTES)):
        file = (day.files or {})[kind]
        parts = pl.concat([pl.read_parquet(piece.files[kind]) for piece in pieces])
        write_whole(parts.sort("origin", *table.key), file)
    for piece in pieces:
        for part in piece.files.values():
            part.unlink()


def days_of(history: History) -> list[Day]:
    """Cut what is to be foreseen into days: those that share their fits, and a file."""
    name = digest(history)
    alone = dataclasses.replace(history, demand=coarse(history), progress=None)  # a day may go to another process
    groups = [(day, tuple(origins)) for day, origins in groupby(history.origins, key=lambda origin: origin.date())]
    return [
        Day(
            history=alone,
            origins=origins,
            files=None if history.folder is None else _files(history.folder / name, day, len(origins)),
        )
        for day, origins in groups
    ]


def coarse(history: History) -> pl.DataFrame:
    """Return the demand in the windows that are forecast: a forecast reads no finer ones, and every origin reads all.

    Windows are counted from the first origin. One holds the mean of its known parts where half of them or more are
    known, else it is a gap; one that the demand covers in part is left out. Demand whose windows are as long is
    returned as it is.
    """
    own_s, demand = tables.window_s_of(history.demand), history.demand
    parts = round(history.window_s / own_s)
    if parts <= 1:
        return demand
    measures = ("requests", "input_tokens", "output_tokens")
    first, length_us = pl.lit(history.origins[0], tables.INSTANT), round(history.window_s * 1e6)
    back = ((pl.col("window_start") - first).dt.total_microseconds() / length_us).floor().cast(pl.Int64)
    window = (first + pl.duration(microseconds=back * length_us)).alias("window_start")
    known = {name: pl.col(name).count() for name in measures}
    sums = demand.group_by("region", "model", "tier", window, maintain_order=True).agg(
        pl.len().alias("parts"),
        *(
            pl.when(2 * known[name] >= parts).then(pl.col(name).sum() / known[name] * parts).alias(name)
            for name in measures
        ),
    )
    return tables.DEMAND.conform(sums.filter(pl.col("parts") == parts))


def spoilt(forecast: Forecast, history: History) -> Forecast:
    """Return a forecast with the errors that are asked for: one factor for each model, on all its series and hours.

    Its logarithm is normal and its mean is one, so that errors of any size leave the level where it was.
    """
    if history.bias_fraction == 0.0 and history.error_fraction == 0.0:
        return forecast
    models = forecast.frame.get_column("model").unique().sort().to_list()
    spread = np.sqrt(np.log1p(history.error_fraction**2))
    factors = {}
    for model in models:
        seed = seed_for(history.seed, "forecast error", model, forecast.as_of.isoformat())
        drawn = np.random.default_rng(seed).standard_normal()
        factors[model] = float((1.0 + history.bias_fraction) * np.exp(spread * drawn - 0.5 * spread * spread))
    factor = pl.col("model").replace_strict(factors, return_dtype=pl.Float64)
    return dataclasses.replace(forecast, frame=forecast.frame.with_columns(pl.col("value") * factor))


def perfect(history: History) -> Iterator[Forecast]:
    """Yield what comes, as if it were foreseen from every origin: the bound of every forecast."""
    return backtesting.perfect(
        history.demand,
        origins=history.origins,
        horizon_s=history.horizon_s,
        window_s=history.window_s,
        quantiles=history.quantiles,
        measures=MEASURES,
    )


def digest(history: History) -> str:
    """Name what the forecasts depend on: demand, horizon, windows, quantiles, method, seed, code and libraries."""
    facts = {
        "horizon_s": history.horizon_s,
        "window_s": history.window_s,
        "quantiles": sorted(history.quantiles),
        "method": history.method,
        "measures": list(history.measures),
        "seed": history.seed,
        "versions": {name: version(name) for name in LIBRARIES},
    }
    demand = tables.DEMAND.conform(history.demand).sort(tables.DEMAND.key)
    data = demand.hash_rows(seed=7).to_numpy().tobytes()
    return f"{history.method}-{digest_of(facts, forecasting, data=data)}"


def _files(folder: Path, day: date, origins: int) -> dict[str, Path]:
    return {kind: folder / f"{day.isoformat()}-{origins}-{kind}.parquet" for kind in ("frame", "notes")}


def _made(day: Day) -> Iterator[Forecast]:
    """Make a day's forecasts; they are kept before the last is handed over, as nobody may ask for another."""
    made: list[Forecast] = []
    for forecast in _rolled(day):
        made.append(forecast)
        if day.files is not None and len(made) == len(day.origins):
            _keep(day.files, made)
        yield forecast


def _rolled(day: Day, only: Collection[tuple[str, str, str]] | None = None) -> Iterator[Forecast]:
    history = day.history
    return backtesting.roll_or_perfect(
        history.demand,
        origins=day.origins,
        horizon_s=history.horizon_s,
        window_s=history.window_s,
        quantiles=history.quantiles,
        method=history.method,
        seed=history.seed,
        measures=history.measures,
        only=only,
    )


def _keep(files: Mapping[str, Path], made: Sequence[Forecast]) -> None:
    for kind, file in files.items():
        parts = [getattr(one, kind).select(pl.lit(one.as_of, tables.INSTANT).alias("origin"), pl.all()) for one in made]
        write_whole(pl.concat(parts), file)


def _read(day: Day) -> Iterator[Forecast]:
    files = day.files or {}
    frames, notes = (
        pl.read_parquet(files[kind]).partition_by("origin", as_dict=True, include_key=False)
        for kind in ("frame", "notes")
    )
    for origin in day.origins:
        yield Forecast(
            frame=tables.FORECAST.conform(frames[(origin,)]),
            notes=tables.FORECAST_NOTES.conform(notes[(origin,)]),
            as_of=origin,
            window_s=day.history.window_s,
            method=day.history.method,
        )


def hours_from(start: datetime, hours: int) -> list[datetime]:
    """Return the instants at which hours begin."""
    return [start + timedelta(hours=hour) for hour in range(hours)]
