"""A run under way: one of the two engines with everything it runs on, advanced block of steps by block."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan, SimRun, SoFar
from workbench.simulation import calibration as calibrating
from workbench.simulation import intake, outset, readout, rules, setup, steering
from workbench.simulation.calibration import Calibration
from workbench.simulation.compiling import announced
from workbench.simulation.expectations import Surprise, surprise_for
from workbench.simulation.fluid import engine as fluid
from workbench.simulation.intake import Load
from workbench.simulation.loads import Span
from workbench.simulation.scheduling import Scheduling
from workbench.simulation.setup import Pool
from workbench.simulation.state import SHED, Inputs, Record, State
from workbench.simulation.steering import Steer
from workbench.tables import DEMAND
from workbench.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from workbench.simulation.replay import Replay

BLOCK_HOURS = 24  # between two reports of progress
LISTED_HOURS = 2 * BLOCK_HOURS  # a list larger than all else, or the C library gives a run's memory back at its end
COMPILING = "compiling the simulator (once; later runs start at once)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """An engine on its inputs; ``replay`` is None where the fluid engine runs, which lists latencies block by block."""

    fleet: Fleet
    policy: Policy
    pools: Sequence[Pool]
    span: Span
    inputs: Inputs
    state: State
    record: Record
    surprise: Surprise
    corrections: Sequence[Calibration]
    replay: Replay | None = None
    latencies: list[pl.DataFrame] = field(default_factory=list)

    def advance(self, first: int, last: int) -> None:
        """Run the steps [first, last), of BLOCK_HOURS at most: the list of latencies has room for no more."""
        if self.replay is not None:
            self.replay(first, last)
            return
        self.surprise.tell(first, last)
        fluid.simulate(self.inputs, self.state, self.record, rules.rules_of(self.policy), first, last)
        if 2 * self.record.listed[0] > self.record.filled.size:  # what is left has room for another block
            self.latencies.append(readout.taken(self.record))

    def steered(self, steer: Steer, first: int, last: int) -> None:
        """Ask the controller what the hour of the steps [first, last) shall be like, and note it for the engine."""
        hours = int(first * self.span.step_s / SECONDS_PER_HOUR) + 1
        waiting = (
            self.replay.waiting(hours) if self.replay else steering.waiting_of(self.inputs, self.state, first, hours)
        )
        standing = steering.standing_of(
            self.state, waiting, fleet=self.fleet, pools=self.pools, span=self.span, step=first
        )
        orders = steer(standing)
        if self.policy.scale_by == "arrivals":  # compared with what a replica can serve, not with the forecast
            orders = dataclasses.replace(orders, expected=None)
        steering.carry_over(orders, self.inputs, self.surprise, pools=self.pools, first=first, last=last)

    def _first_tokens(self) -> pl.DataFrame:
        """Return how many requests of an hour, origin, model and tier got their first token in which latency bin."""
        if self.replay is not None:
            return readout.counted(self.replay.first_bins)
        self.latencies.append(readout.taken(self.record))
        return pl.concat(self.latencies)

    def result(self) -> SimRun:
        """Return what was recorded."""
        return SimRun(
            strategy=self.policy.key,
            windows=readout.windows_frame(self.record, self.fleet, self.span, is_measured=self.replay is not None),
            pools=readout.pools_frame(self.record, self.pools, self.span),
            ttft=readout.ttft_frame(self._first_tokens(), self.fleet, self.span),
            scaling=readout.scaling_frame(self.record, self.pools, self.span),
            start=self.span.start,
            end=self.span.start + timedelta(seconds=self.span.steps * self.span.step_s),
            window_s=self.span.window_s,
            step_s=self.span.step_s,
            requests=None if self.replay is None else self.replay.requests(),
            e2e=None
            if self.replay is None
            else readout.e2e_frame(readout.counted(self.replay.whole_bins), self.fleet, self.span),
            notes=(*calibrating.notes_for(self.corrections, self.fleet), *_notes_of_shed(self.record)),
        )


def _notes_of_shed(record: Record) -> tuple[str, ...]:
    """Say why requests were shed, where any were: the one reason there is."""
    shed = record.series[..., SHED].sum()
    if shed <= 0:
        return ()
    return (
        f"{shed:,.0f} requests were shed: prompt and output together are more KV tokens than a replica of any pool "
        "that may serve them has room for.",
    )


def begin(
    load: Load,
    *,
    fleet: Fleet,
    policy: Policy,
    span: Span,
    plan: CapacityPlan | None,
    expected: pl.DataFrame | None,
    is_steered: bool,
    is_replayed: bool,
    scheduling: Scheduling | None,
    corrections: Sequence[Calibration],
    keep_requests: bool,
) -> Run:
    """Lay out what a run needs and return it at its first step.

    The replay takes the requests as they come, so nothing is laid out for it beforehand. Arguments and errors as for
    :func:`workbench.simulation.run`.
    """
    laid = intake.laid_of(DEMAND.empty() if is_replayed else load, fleet, span)
    surprise = surprise_for(policy, fleet, span, expected=expected, is_steered=is_steered)
    surprise.observe_all(laid)
    pools = setup.pools_of(fleet, policy)
    inputs = setup.inputs_of(
        laid,
        fleet=fleet,
        policy=policy,
        pools=pools,
        span=span,
        plan=plan,
        expected=None,
        correction=calibrating.tables_for(corrections, fleet, pools),
    )._replace(observed_over_forecast=surprise.ratio)
    state = outset.state_of(fleet, pools, span, cooldown_s=policy.cooldown_s)
    record = outset.record_of(fleet, pools, span, listed_hours=0 if is_replayed else LISTED_HOURS)
    run = Run(
        fleet=fleet,
        policy=policy,
        pools=pools,
        span=span,
        inputs=inputs,
        state=state,
        record=record,
        surprise=surprise,
        corrections=corrections,
    )
    if not is_replayed:
        return run
    replay = _replay_of(load, run, scheduling=scheduling, keep_requests=keep_requests)
    return dataclasses.replace(run, replay=replay)


def _replay_of(load: Load, run: Run, *, scheduling: Scheduling | None, keep_requests: bool) -> Replay:
    """Return the replay of single requests on what a run has laid out."""
    from workbench.simulation.replay import Replay  # its kernels cost a second that no other run has to wait

    return Replay(
        intake.singles_of(load),
        fleet=run.fleet,
        pools=run.pools,
        inputs=run.inputs,
        state=run.state,
        record=run.record,
        rules=rules.rules_of(run.policy),
        span=run.span,
        scheduling=scheduling or Scheduling(chunk_tokens=run.fleet.chunk_tokens),
        surprise=run.surprise,
        keep_requests=keep_requests,
    )


def finish(run: Run, *, steer: Steer | None, progress: Callable[[SoFar], None] | None) -> SimRun:
    """Run to the end of the span, an hour at a time where somebody steers, and return what was recorded."""
    hour, steps = int(SECONDS_PER_HOUR / run.span.step_s), run.span.steps
    block = hour if steer is not None else BLOCK_HOURS * hour
    with nullcontext() if progress is None else announced(lambda: progress(_had(run, 0, note=COMPILING))):
        for first in range(0, steps, block):
            last = min(first + block, steps)
            if steer is not None:
                run.steered(steer, first, last)
            run.advance(first, last)
            if progress is not None:
                progress(_had(run, last))
        return run.result()


def _had(run: Run, step: int, *, note: str = "") -> SoFar:
    """Return what a run that has come to a step had so far."""
    return dataclasses.replace(readout.so_far(run.record, run.pools, run.fleet, run.span, step), note=note)
