"""Both engines on one fleet without a request, so that a test sets what the rules look at and reads what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.simulation.replay.replay_cases import prepared, requests
from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan
from workbench.simulation import replay, rules, scaling, state
from workbench.simulation.fluid import replicas
from workbench.simulation.replay import dispatch, fleet, setup
from workbench.simulation.replay.engine import note_lengths
from workbench.simulation.replay.state import Order, Ways
from workbench.simulation.scheduling import Scheduling

STEP_S = 10.0
ENGINES = ("fluid", "replay")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One engine with what it runs on; only the replay has a machine."""

    engine: str
    x: state.Inputs
    s: state.State
    rec: state.Record
    rules: rules.Rules
    machine: replay.Replay
    how: Order
    ways: Ways

    @property
    def pools(self) -> state.Pools:
        return self.s.pools

    def begin(self, step: int) -> None:
        """What an engine does before it scales: replicas become ready, drained ones are lent, an hour's plan begins."""
        scaling.become_ready(self.pools, self.s.starting, self.s.ready_at, self.s.drained_at, step)
        if self.engine == "replay":
            fleet.lend_drained(self.machine.world, self.machine.outside, self.pools)
            fleet.start_ready(self.how, self.machine.world, self.machine.outside, self.pools, self.rules, step * STEP_S)
        if step % 360 == 0 and self.rules.follow_plan != rules.NO_PLAN:
            scaling.follow_plan(self.pools, self.s.starting, self.x.target, step // 360)

    def scale(self, step: int) -> None:
        """Take the engine's own scaling step."""
        if self.engine == "fluid":
            replicas.scale(self.x, self.s, self.rec, self.rules, step)
        else:
            world, outside = self.machine.world, self.machine.outside
            fleet.scale(self.x, self.s, self.rec, self.how, world, outside, self.rules, step)

    def scale_as_seen(self, step: int) -> None:
        """Take the scaling step without looking at queues and replicas first: what the test has set counts."""
        p = scaling.scale_from(self.x, self.s, self.rec, self.rules, step, -1)
        while p >= 0:
            if self.engine == "fluid":
                replicas.scale_in(self.x, self.s, self.rec, step, p)
            else:
                world, outside = self.machine.world, self.machine.outside
                fleet.retire(self.how, world, outside, self.pools, self.rules, p, step * STEP_S)
            p = scaling.scale_from(self.x, self.s, self.rec, self.rules, step, p)

    def enqueue(self, rows: Sequence[int]) -> None:
        """Let the prepared requests of these rows arrive in the replay."""
        for row in rows:
            dispatch.arrive(
                self.ways, self.how, self.machine.world, self.machine.outside, self.pools, self.rules,
                self.machine.rows.requests, 0, row,
            )  # fmt: skip

    def standing(self) -> dict[str, object]:
        """Everything a scaling decision leaves behind."""
        fields = ("ready", "draining", "lent_gpus", "budget", "last_action_s")
        return {name: self.pools[name].tolist() for name in fields} | {
            "starting": self.s.starting.tolist(),
            "free": self.s.free_gpus.tolist(),
            "events": self.rec.events.sum(axis=0).tolist(),
        }

    def gpus(self) -> list[list[int]]:
        """GPUs of every region and kind: serving, draining, starting, lent and free."""
        total = self.s.free_gpus.copy()
        for p in range(self.pools.size):
            pool = self.pools[p]
            replicas = pool.ready + pool.draining + self.s.starting[p].sum()
            total[pool.region, pool.gpu] += replicas * pool.gpus + pool.lent_gpus
        return [[int(count) for count in row] for row in total]


def both(
    world: Fleet, policy: Policy, *, hours: float = 1.0, plan: CapacityPlan | None = None, gap: float = 1.0,
    rows: Sequence[tuple[float, int, int, str, str]] = (),
) -> list[Side]:  # fmt: skip
    """Return both engines on the fleet; every hour the observed load is ``gap`` times the forecast."""
    sides = []
    for engine in ENGINES:
        made, x, s, rec, _ = prepared(requests(rows), world, policy, hours=hours, plan=plan)
        x = x._replace(observed_over_forecast=np.full_like(x.observed_over_forecast, gap))
        s.pools.output = s.ranks.output = 1.0  # a drained replica is lent at the next tick in both
        for p in range(s.pools.size):
            note_lengths(x, made.world, s.pools, p)
        sides.append(
            Side(
                engine=engine,
                x=x,
                s=s,
                rec=rec,
                rules=rules.rules_of(policy),
                machine=made,
                how=setup.order_of(Scheduling(), x.promise_s),
                ways=Ways(x.preference, x.pools_in, x.deferrable, x.siloed),
            )
        )
    return sides


def walk(sides: Sequence[Side], steps: range, see: Callable[[state.Pools, int], None]) -> None:
    """Tick both engines on the same sights; after each tick they must have done the same and lost no GPU."""
    stock = sides[0].gpus()
    for step in steps:
        for side in sides:
            side.begin(step)
            see(side.pools, step)
            if side.rules.scale_by == rules.BACK_PRESSURE:
                side.scale_as_seen(step)
            else:
                side.scale(step)
            assert side.gpus() == stock, (side.engine, step)
        fluid, replayed = (side.standing() for side in sides)
        assert fluid == replayed, step
