"""Simulate a fleet under a strategy: the one entry for every engine.

The plan comes in as a value; this package knows neither forecasting nor planning. Results are deterministic: no random
number is drawn; the fluid engine carries the spread of arrivals and lengths as variance, the replay has every request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError, nearest
from workbench.results import CapacityPlan, SimRun, SoFar
from workbench.simulation.scheduling import Scheduling
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from workbench.simulation.calibration import Calibration
    from workbench.simulation.intake import Load
    from workbench.simulation.loads import Laid
    from workbench.simulation.steering import Steer
    from workbench.simulation.sweeps import Sweep
    from workbench.simulation.sweeps.variations import Variation


def run(
    load: Load,
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
    steer: Steer | None = None,
    scheduling: Scheduling | None = None,
    calibration: Calibration | Sequence[Calibration] | None = None,
    keep_requests: bool = False,
    progress: Callable[[SoFar], None] | None = None,
) -> SimRun:
    """Simulate ``hours`` from ``start``.

    ``load`` is ``DEMAND``, whose windows must be whole steps and aligned with ``start``, the same laid out before
    (:func:`lay_out`), or ``REQUESTS``, which the fluid engine sums per step and the replay takes one by one. Requests
    may also come as several frames in order of time, as ``store.batches(name)`` yields them: they are read one after
    the other, and memory follows the longest and what is inside the pools. ``plan`` is needed by strategies that follow
    one; its hours count from ``start``. ``expected`` (window_start, region, model, input_tps) is the forecast that the
    override compares with. ``steer`` takes the place of both where the plan is made while the run goes on: it is called
    at the begin of every hour with the fleet as it stands and returns its orders for the hour. ``scheduling`` says how
    a replica orders what waits and reads prompts (replay only; null: by arrival, in the chunks of the fleet's
    replicas). ``calibration`` corrects the fluid engine's times to first token by what was measured for the fleet's
    replicas (:mod:`.calibration`); the result's notes say where it was measured for something else. ``keep_requests``
    adds every request with its latencies to the result (replay only; each takes memory). ``progress`` is called once a
    day, or an hour where it is steered, with what was had so far. Returns windows of ``window_s``. Raises TableError on
    rows that are no requests or demand and SimulationError on input that describes no possible system.
    """
    from workbench.simulation import calibration as calibrating
    from workbench.simulation import intake, running, steering

    is_replayed = intake.is_replayed(load, engine, keep_requests=keep_requests)
    steering.refuse_contradictory(policy, plan=plan, expected=expected, is_steered=steer is not None)
    span = intake.span_of(
        load, start=start, hours=hours, step_s=step_s, window_s=window_s, demand_window_s=demand_window_s
    )
    if is_replayed:
        span = dataclasses.replace(span, demand_window_s=span.steps * step_s)
    begun = running.begin(
        load,
        fleet=fleet,
        policy=policy,
        span=span,
        plan=plan,
        expected=expected,
        is_steered=steer is not None,
        is_replayed=is_replayed,
        scheduling=scheduling,
        corrections=calibrating.all_of(calibration, is_replayed=is_replayed),
        keep_requests=keep_requests,
    )
    return running.finish(begun, steer=steer, progress=progress)


def run_many(
    load: Load,
    *,
    fleet: Fleet,
    policy: Policy,
    variations: Sequence[Variation],
    start: datetime,
    hours: float,
    plan: CapacityPlan | None = None,
    expected: pl.DataFrame | None = None,
    demand_window_s: float | None = None,
    step_s: float = 60.0,
    by_pool: bool = False,
    engine: str = "fluid",
    progress: Callable[[float], None] | None = None,
) -> Sweep:
    """Simulate ``hours`` from ``start`` once for each variation and return totals over the span.

    ``load``, ``plan``, ``expected`` and ``demand_window_s`` are as for :func:`run` and the same for all scenarios.
    Engine "fluid" has every rule; "lanes" runs scenarios side by side at a fraction of the time and says in
    :mod:`workbench.simulation.lanes` what it does differently. Steps of a minute are right for smooth demand; where it
    jumps within minutes, take ten seconds (simulation.md section 3, "dt"). ``by_pool`` adds a row per pool.
    ``progress`` is called with the share done. Raises SimulationError on a sweep of nothing and as :func:`run` does.
    """
    from workbench.simulation import intake, lanes
    from workbench.simulation.sweeps import sweeping

    engines = {"fluid": sweeping.run_many, "lanes": lanes.run_many}
    if engine not in engines:
        raise SimulationError(f"unknown engine '{engine}' for a sweep: {nearest(engine, engines)}.")
    if policy.needs_plan and plan is None:
        raise SimulationError(f"strategy {policy.key} follows a plan and got none; hand it one from planning.solve().")
    span = intake.span_of(
        load, start=start, hours=hours, step_s=step_s, window_s=SECONDS_PER_HOUR, demand_window_s=demand_window_s
    )
    return engines[engine](
        intake.laid_of(load, fleet, span),
        fleet=fleet,
        policy=policy,
        variations=variations,
        span=span,
        plan=plan,
        expected=expected,
        by_pool=by_pool,
        progress=progress,
    )


def lay_out(
    demand: pl.DataFrame,
    *,
    fleet: Fleet,
    start: datetime,
    hours: float,
    demand_window_s: float | None = None,
    step_s: float = 10.0,
) -> Laid:
    """Lay ``DEMAND`` out over a span once, for many fluid runs of it or of its multiples (:meth:`Laid.times`).

    The fleets of those runs may differ in everything but their regions, models and tiers. Arguments and errors as of
    :func:`run`.
    """
    from workbench.simulation import intake

    span = intake.span_of(
        demand, start=start, hours=hours, step_s=step_s, window_s=SECONDS_PER_HOUR, demand_window_s=demand_window_s
    )
    return intake.laid_of(demand, fleet, span)
