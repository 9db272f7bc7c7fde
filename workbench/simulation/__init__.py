"""Simulate a fleet under a strategy: the one entry for every engine.

The plan comes in as a value; this package knows neither forecasting nor planning. Results are deterministic: no random
number is drawn; the fluid engine carries the spread of arrivals and lengths as variance, the replay has every request.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError, nearest
from workbench.results import CapacityPlan, SimRun
from workbench.simulation.scheduling import Scheduling
from workbench.tables import REQUESTS, window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE, seconds_between

ENGINES = ("fluid", "replay")


def run(
    load: pl.DataFrame,
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
    progress: Callable[[float], None] | None = None,
) -> SimRun:
    """Simulate ``hours`` from ``start``.

    ``load`` is ``DEMAND``, whose windows must be whole steps and aligned with ``start``, or ``REQUESTS``, which the
    fluid engine sums per step and the replay takes one by one. ``plan`` is needed by strategies that follow one; its
    hours count from ``start``. ``expected`` (window_start, region, model, input_tps) is the forecast that the override
    compares with. ``scheduling`` says how a replica orders what waits (replay only). ``progress`` is called with the
    share done. Returns windows of ``window_s``. Raises TableError on rows that are no requests or demand and
    SimulationError on input that describes no possible system.
    """
    from workbench.simulation import fluid, loads, readout, rules, setup
    from workbench.simulation import replay as replaying

    if engine not in ENGINES:
        raise SimulationError(f"unknown engine '{engine}': {nearest(engine, ENGINES)}.")
    requests = REQUESTS.conform(load) if "arrived_at" in load.columns else None
    if engine == "replay" and requests is None:
        raise SimulationError(
            "the replay takes single requests (REQUESTS) and got sums per window; use the fluid engine."
        )
    length_s = step_s if requests is not None else demand_window_s or window_s_of(load)
    _refuse_bad_grid(length_s, window_s, step_s, hours)
    steps = math.ceil(hours * SECONDS_PER_HOUR / step_s - 1e-9)
    demand = load if requests is None else loads.summed(requests, start=start, steps=steps, step_s=step_s)
    _refuse_misaligned(demand, start, length_s)
    if policy.needs_plan and plan is None:
        raise SimulationError(f"strategy {policy.key} follows a plan and got none; hand it one from planning.solve().")
    span = loads.Span(
        start=start,
        steps=steps,
        step_s=step_s,
        window_s=window_s,
        demand_window_s=length_s,
    )
    pools = setup.pools_of(fleet, policy)
    inputs = setup.inputs_of(demand, fleet=fleet, policy=policy, pools=pools, span=span, plan=plan, expected=expected)
    state = setup.state_of(fleet, pools, span, cooldown_s=policy.cooldown_s)
    record = setup.record_of(fleet, pools, span)
    numbers = rules.rules_of(policy)
    advance = (
        functools.partial(fluid.simulate, inputs, state, record, numbers)
        if requests is None or engine == "fluid"
        else replaying.Replay(
            requests,
            fleet=fleet,
            pools=pools,
            inputs=inputs,
            state=state,
            record=record,
            rules=numbers,
            span=span,
            scheduling=scheduling or Scheduling(),
        )
    )
    block = int(SECONDS_PER_HOUR / step_s) * 24
    for first in range(0, span.steps, block):
        last = min(first + block, span.steps)
        advance(first, last)
        if progress is not None:
            progress(last / span.steps)
    return SimRun(
        strategy=policy.key,
        windows=readout.windows_frame(record, fleet, span, is_measured=engine == "replay"),
        pools=readout.pools_frame(record, pools, span),
        ttft=readout.ttft_frame(record, fleet, span),
        scaling=readout.scaling_frame(record, pools, span),
        start=start,
        end=start + timedelta(seconds=span.steps * step_s),
        window_s=window_s,
        step_s=step_s,
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
