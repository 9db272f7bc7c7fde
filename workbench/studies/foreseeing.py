"""What is foreseen at the begin of every hour: forecasts from the history as it was then, kept once they are made.

Forecasts depend on demand and method, not on a strategy, so all strategies of a study share them, and so do studies of
the same demand. They are kept a day at a time, under a name made from everything they depend on, the code of the
forecasts included; an interrupted run goes on with the day it was in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import polars as pl

from workbench import forecasting, tables
from workbench.forecasting import backtesting
from workbench.results import Forecast

MEASURES = ("input_tps", "output_tps")
LIBRARIES = ("numpy", "polars", "prophet", "statsmodels")


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """The demand, and what is to be foreseen from it: an origin per hour, how far, in which windows, how.

    ``demand`` holds the whole span; a forecast from an origin reads what ended before it. Forecasts are kept in
    ``folder``; None keeps none.
    """

    demand: pl.DataFrame
    origins: Sequence[datetime]
    horizon_s: float
    window_s: float
    quantiles: Sequence[float]
    method: str
    seed: int
    folder: Path | None = None
    progress: Callable[[int, int], None] | None = None


def forecasts(history: History) -> Iterator[Forecast]:
    """Yield the forecast from every origin, in order, read where it was made before."""
    name = digest(history)
    done = 0
    for day, group in groupby(history.origins, key=lambda origin: origin.date()):
        origins = list(group)
        files = None if history.folder is None else _files(history.folder / name, day, len(origins))
        is_kept = files is not None and all(file.exists() for file in files.values())
        for forecast in _read(files, history, origins) if files and is_kept else _made(files, history, origins):
            yield forecast
            done += 1
            if history.progress is not None:
                history.progress(done, len(history.origins))


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
        "seed": history.seed,
        "versions": {name: version(name) for name in LIBRARIES},
    }
    made = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8)
    for source in sorted(Path(forecasting.__file__).parent.rglob("*.py")):
        made.update(source.read_bytes())
    demand = tables.DEMAND.conform(history.demand).sort(tables.DEMAND.key)
    made.update(demand.hash_rows(seed=7).to_numpy().tobytes())
    return f"{history.method}-{made.hexdigest()}"


def _files(folder: Path, day: date, origins: int) -> dict[str, Path]:
    return {kind: folder / f"{day.isoformat()}-{origins}-{kind}.parquet" for kind in ("frame", "notes")}


def _made(files: dict[str, Path] | None, history: History, origins: Sequence[datetime]) -> Iterator[Forecast]:
    """Make a day's forecasts; they are kept before the last is handed over, as nobody may ask for another."""
    made: list[Forecast] = []
    for forecast in backtesting.roll_or_perfect(
        history.demand,
        origins=origins,
        horizon_s=history.horizon_s,
        window_s=history.window_s,
        quantiles=history.quantiles,
        method=history.method,
        seed=history.seed,
        measures=MEASURES,
    ):
        made.append(forecast)
        if files is not None and len(made) == len(origins):
            _keep(files, made)
        yield forecast


def _keep(files: Mapping[str, Path], made: Sequence[Forecast]) -> None:
    for kind, file in files.items():
        parts = [getattr(one, kind).select(pl.lit(one.as_of, tables.INSTANT).alias("origin"), pl.all()) for one in made]
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        pl.concat(parts).write_parquet(draft, compression="zstd")
        draft.rename(file)


def _read(files: Mapping[str, Path], history: History, origins: Sequence[datetime]) -> Iterator[Forecast]:
    frames, notes = (
        pl.read_parquet(files[kind]).partition_by("origin", as_dict=True, include_key=False)
        for kind in ("frame", "notes")
    )
    for origin in origins:
        yield Forecast(
            frame=tables.FORECAST.conform(frames[(origin,)]),
            notes=tables.FORECAST_NOTES.conform(notes[(origin,)]),
            as_of=origin,
            window_s=history.window_s,
            method=history.method,
        )


def hours_from(start: datetime, hours: int) -> list[datetime]:
    """Return the instants at which hours begin."""
    return [start + timedelta(hours=hour) for hour in range(hours)]
