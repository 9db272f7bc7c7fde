"""Requests by hand and a replay of them with everything it ran on at hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, fleet
from workbench import simulation
from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan, SimRun
from workbench.simulation import loads, outset, replay, rules, setup, state
from workbench.simulation.replay.state import World
from workbench.simulation.scheduling import Scheduling
from workbench.tables import REQUESTS

TIERS = (FAST, NORMAL, BATCH)
STILL = Policy(
    key="still", label="fixed fleet", scale_out_above_fraction=1.0, scale_in_below_fraction=0.0, floor_replicas=1
)

#: arrival in seconds, prompt, output, tier, region
Row = tuple[float, int, int, str, str]


def requests(rows: Sequence[Row], model: str = "m") -> pl.DataFrame:
    """Turn rows into ``REQUESTS``."""
    return REQUESTS.conform(
        pl.DataFrame(
            {
                "arrived_at": [START + timedelta(microseconds=round(row[0] * 1e6)) for row in rows],
                "region": [row[4] for row in rows],
                "model": [model] * len(rows),
                "tier": [row[3] for row in rows],
                "app": [None] * len(rows),
                "tenant": [None] * len(rows),
                "input_tokens": [row[1] for row in rows],
                "output_tokens": [row[2] for row in rows],
                "cached_tokens": [None] * len(rows),
            },
            schema_overrides=REQUESTS.schema,
        )
    )


def steadily(rate: float, seconds: float, *, prompt: int = 1000, output: int = 100, tier: str = FAST) -> pl.DataFrame:
    """Requests of one length at equal distances."""
    return requests([(i / rate, prompt, output, tier, "east") for i in range(int(seconds * rate))])


def uneven(**more: object) -> Fleet:
    """A fleet whose iterations never end on a whole microsecond, where which comes first would hang on a rounding."""
    world = fleet(**more)  # type: ignore[arg-type]
    return dataclasses.replace(
        world, replicas=tuple(dataclasses.replace(one, decode_base_s=0.0299 + 1e-9 * math.pi) for one in world.replicas)
    )


def run(
    load: pl.DataFrame | Iterable[pl.DataFrame],
    world: Fleet,
    policy: Policy = STILL,
    hours: float = 0.5,
    **more: object,
) -> SimRun:
    """Replay through the one entry."""
    return simulation.run(
        load,
        fleet=world,
        policy=policy,
        start=START,
        hours=hours,
        engine="replay",
        **more,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A replay and what it ran on."""

    replay: replay.Replay
    world: World
    tables: state.Inputs
    state: state.State
    record: state.Record
    latencies: pl.DataFrame


def prepared(
    load: pl.DataFrame | Sequence[pl.DataFrame],
    fleet: Fleet,
    policy: Policy = STILL,
    *,
    hours: float = 0.5,
    scheduling: Scheduling | None = None,
    plan: CapacityPlan | None = None,
    window_s: float = 300.0,
    keep_requests: bool = False,
) -> tuple[replay.Replay, state.Inputs, state.State, state.Record, int]:
    """Make a replay ready to be called step by step, with inputs, state, record and the number of steps."""
    steps = round(hours * 360)
    span = loads.Span(start=START, steps=steps, step_s=10.0, window_s=window_s, demand_window_s=10.0)
    pools = setup.pools_of(fleet, policy)
    demand = loads.summed(load, start=START, steps=steps, step_s=10.0)
    tables = setup.inputs_of(
        loads.grid_of(demand, fleet, span), fleet=fleet, policy=policy, pools=pools, span=span, plan=plan, expected=None
    )
    begun, record = (
        outset.state_of(fleet, pools, span, cooldown_s=policy.cooldown_s),
        outset.record_of(fleet, pools, span),
    )
    made = replay.Replay(
        load,
        fleet=fleet,
        pools=pools,
        inputs=tables,
        state=begun,
        record=record,
        rules=rules.rules_of(policy),
        span=span,
        scheduling=scheduling or Scheduling(),
        keep_requests=keep_requests,
    )
    return made, tables, begun, record, steps


def replayed(
    load: pl.DataFrame,
    fleet: Fleet,
    policy: Policy = STILL,
    *,
    hours: float = 0.5,
    scheduling: Scheduling | None = None,
    plan: CapacityPlan | None = None,
) -> Replayed:
    """Replay to the end."""
    made, tables, begun, record, steps = prepared(
        load, fleet, policy, hours=hours, scheduling=scheduling, plan=plan, keep_requests=True
    )
    made(0, steps)
    latencies = made.latencies()
    assert latencies is not None
    return Replayed(replay=made, world=made.world, tables=tables, state=begun, record=record, latencies=latencies)
