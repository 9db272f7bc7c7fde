"""What is handed in: demand, requests in one frame or several, or a load laid out before; each onto the span's grid."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from workbench.domain import Fleet
from workbench.errors import SimulationError, nearest
from workbench.simulation.loads import Laid, Span, grid_of, refuse_other, rooms_of, summed
from workbench.tables import DEMAND, REQUESTS, window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE, seconds_between

ENGINES = ("fluid", "replay")
Load = pl.DataFrame | Iterable[pl.DataFrame] | Laid


def is_replayed(load: Load, engine: str, *, keep_requests: bool) -> bool:
    """Return whether the replay is asked for. Raises SimulationError for what the engine cannot take or give."""
    if engine not in ENGINES:
        raise SimulationError(f"unknown engine '{engine}': {nearest(engine, ENGINES)}.")
    if engine == "replay":
        singles_of(load)
    if engine != "replay" and keep_requests:
        raise SimulationError("keep_requests needs engine 'replay': the fluid engine knows no single requests.")
    return engine == "replay"


def is_single(load: Load) -> bool:
    """Return whether a load is single requests; several frames always are."""
    if isinstance(load, Laid):
        return False
    return not isinstance(load, pl.DataFrame) or "arrived_at" in load.columns


def singles_of(load: Load) -> pl.DataFrame | Iterable[pl.DataFrame]:
    """Return the load as the single requests that it is. Raises SimulationError where it is sums per window."""
    if isinstance(load, Laid) or not is_single(load):
        raise SimulationError(
            "the replay takes single requests (REQUESTS) and got sums per window; use the fluid engine."
        )
    return load


def span_of(
    load: Load, *, start: datetime, hours: float, step_s: float, window_s: float, demand_window_s: float | None
) -> Span:
    """Return the span on its grid, after the refusal of one that does not fit the load."""
    length_s = step_s
    if isinstance(load, Laid):
        length_s = load.demand_window_s
    elif isinstance(load, pl.DataFrame) and not is_single(load):
        length_s = demand_window_s or window_s_of(load)
        _refuse_misaligned(load, start, length_s)
    _refuse_bad_grid(length_s, window_s, step_s, hours)
    steps = math.ceil(hours * SECONDS_PER_HOUR / step_s - 1e-9)
    return Span(start=start, steps=steps, step_s=step_s, window_s=window_s, demand_window_s=length_s)


def laid_of(load: Load, fleet: Fleet, span: Span) -> Laid:
    """Lay a load out over the span; requests are summed per step, frame by frame where there are several."""
    if isinstance(load, Laid):
        refuse_other(load, fleet, span)
        return load
    if isinstance(load, pl.DataFrame) and not is_single(load):
        return grid_of(DEMAND.conform(load), fleet, span)
    too_long: list[pl.DataFrame] = []
    frames = (REQUESTS.conform(frame) for frame in ([load] if isinstance(load, pl.DataFrame) else load))
    fitting = (_fitting(frame, rooms_of(fleet), too_long) for frame in frames)
    laid, shed = (
        grid_of(summed(singles, start=span.start, steps=span.steps, step_s=span.step_s), fleet, span)
        for singles in (fitting, too_long)
    )
    return dataclasses.replace(laid, shed_rps=shed.shed_rps)


def _fitting(requests: pl.DataFrame, rooms: Mapping[str, float], too_long: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the requests that a replica of their model has KV room for, and add the others to a list."""
    tokens = pl.col("input_tokens") + pl.col("output_tokens")
    room = pl.col("model").replace_strict(rooms, default=None, return_dtype=pl.Float64)
    is_too_long = requests.select((tokens > room).fill_null(value=False)).to_series()
    if not is_too_long.any():
        return requests
    too_long.append(requests.filter(is_too_long))
    return requests.filter(~is_too_long)


def _refuse_bad_grid(demand_window_s: float, window_s: float, step_s: float, hours: float) -> None:
    if not 0 < hours < math.inf or not 0 < step_s < math.inf:
        raise SimulationError(f"hours and step_s must be positive numbers, got {hours} and {step_s}.")
    for name, length in (("demand windows", demand_window_s), ("window_s", window_s), ("an hour", SECONDS_PER_HOUR)):
        if length < step_s or abs(length / step_s - round(length / step_s)) > 1e-9:
            raise SimulationError(f"{name} of {length:g} s must be a whole number of steps of {step_s:g} s.")
    minute = min(window_s, SECONDS_PER_MINUTE)  # latencies are counted once a minute, and hours are closed with windows
    if SECONDS_PER_HOUR % window_s > 1e-9 or window_s % minute > 1e-9:
        raise SimulationError(f"window_s of {window_s:g} s must divide an hour and be whole minutes or part of one.")


def _refuse_misaligned(demand: pl.DataFrame, start: datetime, demand_window_s: float) -> None:
    first = demand.get_column("window_start").min()
    if isinstance(first, datetime) and abs(seconds_between(first, start)) % demand_window_s > 1e-6:
        raise SimulationError(
            f"start {start} must lie on an edge of the demand's windows of {demand_window_s:g} s; one lies at {first}."
        )
