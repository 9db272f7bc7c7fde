"""Simulate a fleet under a strategy: the one entry for every engine.

The plan comes in as a value; this package knows neither forecasting nor planning. Results are deterministic: no random
number is drawn; the fluid engine carries the spread of arrivals and lengths as variance, the replay has every request.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError, nearest
from workbench.results import CapacityPlan, SimRun
from workbench.simulation.scheduling import Scheduling
from workbench.tables import DEMAND, REQUESTS, window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE, seconds_between

if TYPE_CHECKING:
    from workbench.simulation.loads import Span

ENGINES = ("fluid", "replay")


def run(
    load: pl.DataFrame | Iterable[pl.DataFrame],
    *,
    fleet: Fleet,
    policy: Policy,
    start: datetime,
    hours: float,
    plan: CapacityPlan | None = None,
    expected: pl.DataFrame | None = None,
    demand_window_s: float | None = None,
    window_s: float = 300.0,
    step_s: float = 10.0,
    engine: str = "fluid",
    scheduling: Scheduling | None = None,
    keep_requests: bool = False,
    progress: Callable[[float], None] | None = None,
) -> SimRun:
    """Simulate ``hours`` from ``start``.

    ``load`` is ``DEMAND``, whose windows must be whole steps and aligned with ``start``, or ``REQUESTS``, which the
    fluid engine sums per step and the replay takes one by one. Requests may also come as several frames in order of
    time, as ``store.batches(name)`` yields them: they are read one after the other, and memory follows the longest and
    what is inside the pools. ``plan`` is needed by strategies that follow one; its hours count from ``start``.
    ``expected`` (window_start, region, model, input_tps) is the forecast that the override compares with.
    ``scheduling`` says how a replica orders what waits and reads prompts (replay only; null: by arrival, in the chunks
    of the fleet's replicas). ``keep_requests`` adds every request with its latencies to the result (replay only; each
    takes memory). ``progress`` is called with the share done. Returns windows of ``window_s``. Raises TableError on
    rows that are no requests or demand and SimulationError on input that describes no possible system.
    """
    from workbench.simulation import fluid, readout, rules, setup
    from workbench.simulation import replay as replaying

    is_replayed = _is_replayed(load, engine, keep_requests=keep_requests)
    if policy.needs_plan and plan is None:
        raise SimulationError(f"strategy {policy.key} follows a plan and got none; hand it one from planning.solve().")
    span = _span_of(load, start=start, hours=hours, step_s=step_s, window_s=window_s, demand_window_s=demand_window_s)
    if is_replayed:  # it takes the requests as they come: nothing is laid out beforehand
        span = dataclasses.replace(span, demand_window_s=span.steps * step_s)
    demand = DEMAND.empty() if is_replayed else _demand_of(load, span)
    pools = setup.pools_of(fleet, policy)
    ahead = None if is_replayed else expected
    inputs = setup.inputs_of(demand, fleet=fleet, policy=policy, pools=pools, span=span, plan=plan, expected=ahead)
    state = setup.state_of(fleet, pools, span, cooldown_s=policy.cooldown_s)
    record = setup.record_of(fleet, pools, span)
    numbers = rules.rules_of(policy)
    replay: replaying.Replay | None = None
    advance: Callable[[int, int], None] = functools.partial(fluid.simulate, inputs, state, record, numbers)
    if is_replayed:
        advance = replay = replaying.Replay(
            load,
            fleet=fleet,
            pools=pools,
            inputs=inputs,
            state=state,
            record=record,
            rules=numbers,
            span=span,
            scheduling=scheduling or Scheduling(chunk_tokens=fleet.chunk_tokens),
            expected=expected,
            keep_requests=keep_requests,
        )
    block = int(SECONDS_PER_HOUR / step_s) * 24
    for first in range(0, span.steps, block):
        last = min(first + block, span.steps)
        advance(first, last)
        if progress is not None:
            progress(last / span.steps)
    return SimRun(
        strategy=policy.key,
        windows=readout.windows_frame(record, fleet, span, is_measured=is_replayed),
        pools=readout.pools_frame(record, pools, span),
        ttft=readout.ttft_frame(record, fleet, span),
        scaling=readout.scaling_frame(record, pools, span),
        start=start,
        end=start + timedelta(seconds=span.steps * step_s),
        window_s=window_s,
        step_s=step_s,
        requests=None if replay is None else replay.requests(),
    )


def _is_replayed(load: pl.DataFrame | Iterable[pl.DataFrame], engine: str, *, keep_requests: bool) -> bool:
    if engine not in ENGINES:
        raise SimulationError(f"unknown engine '{engine}': {nearest(engine, ENGINES)}.")
    if engine == "replay" and not _is_single(load):
        raise SimulationError(
            "the replay takes single requests (REQUESTS) and got sums per window; use the fluid engine."
        )
    if engine != "replay" and keep_requests:
        raise SimulationError("keep_requests needs engine 'replay': the fluid engine knows no single requests.")
    return engine == "replay"


def _is_single(load: pl.DataFrame | Iterable[pl.DataFrame]) -> bool:
    """Return whether a load is single requests; several frames always are."""
    return not isinstance(load, pl.DataFrame) or "arrived_at" in load.columns


def _span_of(
    load: pl.DataFrame | Iterable[pl.DataFrame],
    *,
    start: datetime,
    hours: float,
    step_s: float,
    window_s: float,
    demand_window_s: float | None,
) -> Span:
    """Return the span on its grid, after the refusal of one that does not fit the load."""
    from workbench.simulation.loads import Span

    length_s = step_s
    if isinstance(load, pl.DataFrame) and not _is_single(load):
        length_s = demand_window_s or window_s_of(load)
        _refuse_misaligned(load, start, length_s)
    _refuse_bad_grid(length_s, window_s, step_s, hours)
    steps = math.ceil(hours * SECONDS_PER_HOUR / step_s - 1e-9)
    return Span(start=start, steps=steps, step_s=step_s, window_s=window_s, demand_window_s=length_s)


def _demand_of(load: pl.DataFrame | Iterable[pl.DataFrame], span: Span) -> pl.DataFrame:
    """Return the load as demand; requests are summed per step, frame by frame where there are several."""
    from workbench.simulation import loads

    if isinstance(load, pl.DataFrame) and not _is_single(load):
        return load
    frames = [load] if isinstance(load, pl.DataFrame) else load
    return loads.summed(
        (REQUESTS.conform(frame) for frame in frames), start=span.start, steps=span.steps, step_s=span.step_s
    )


def _refuse_bad_grid(demand_window_s: float, window_s: float, step_s: float, hours: float) -> None:
    if not hours > 0 or not step_s > 0:
        raise SimulationError(f"hours and step_s must be positive, got {hours} and {step_s}.")
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
