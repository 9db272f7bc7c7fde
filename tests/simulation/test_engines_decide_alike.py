"""Fluid and replay take the same decisions on the same ticks: scaling, release and routing, whatever they are shown.

Covers workbench.simulation.scaling too: hand-solved walks of sageserve.md section 7.4 through both engines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.decision_cases import ENGINES, STEP_S, Side, both, walk
from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.simulation_cases import BATCH, allocation, fleet
from workbench.domain import Fleet, Policy
from workbench.simulation import rules as r
from workbench.simulation import scaling, state
from workbench.simulation.fluid import routing, traffic
from workbench.simulation.replay import dispatch

SOON = {"reclaim_s": 20.0, "swap_s": 40.0, "remote_s": 70.0}
POLICIES = {
    "reactive": Policy(key="reactive", label="Reactive", **SOON),
    "siloed": Policy(key="siloed", label="Siloed", siloed=True, **SOON),
    "lt_i": Policy(key="lt_i", label="LT-I", follow_plan="at_once", **SOON),
    "lt_u": Policy(key="lt_u", label="LT-U", follow_plan="paced", **SOON),
    "lt_ua": Policy(key="lt_ua", label="LT-UA", follow_plan="paced_with_override", **SOON),
    "chiron": Policy(key="chiron", label="Chiron", siloed=True, mixed_share=0.25, scale_by="back_pressure", **SOON),
    "tracking": Policy(key="tracking", label="Tracking", scale_by="arrivals", **SOON),
    "tracking_plan": Policy(key="tracking_plan", label="Tracking", scale_by="arrivals", follow_plan="paced", **SOON),
}
MODELS, REGIONS = ("m", "other"), ("east", "west")


def two_sizes(ready: int = 6, lent: int = 2, free_gpus: int = 12) -> Fleet:
    """Two models in two regions on one stock; a replica of the second takes half as many GPUs as one of the first."""
    world = fleet(regions=REGIONS, models=MODELS, ready=ready, lent=lent, free_gpus=free_gpus)
    small = dataclasses.replace(world.replicas[1], gpus=4)
    return dataclasses.replace(world, replicas=(world.replicas[0], small))


def start(policy: Policy, replicas_by_hour: Sequence[int], gap: float) -> list[Side]:
    """Both engines on the two models; the plan, where one is followed, is the same for every model and region."""
    cells = [(region, model) for region in REGIONS for model in MODELS]
    plan = plan_of(allocation([dict.fromkeys(cells, count) for count in replicas_by_hour]))
    return both(two_sizes(), policy, hours=2.0, plan=plan if policy.needs_plan else None, gap=gap)


@pytest.mark.parametrize("name", POLICIES)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_both_engines_scale_alike_tick_by_tick_and_lose_no_gpu(name: str, data: st.DataObject) -> None:
    planned, gap = data.draw(st.lists(st.integers(2, 12), min_size=2, max_size=2)), data.draw(st.floats(0, 9))
    sides = start(POLICIES[name], planned, gap)
    count = sides[0].pools.size
    sights = {
        name: data.draw(st.lists(st.lists(values, min_size=count, max_size=count), min_size=4, max_size=8))
        for name, values in {
            "signal": st.floats(0, 1),
            "busy": st.floats(0, 8),
            "queued": st.floats(0, 5000),
            "left_s": st.floats(0, 90_000),
            "drain_rps": st.floats(0.01, 3),
        }.items()
    }

    def see(pools: state.Pools, step: int) -> None:
        for field, values in sights.items():
            pools[field] = values[step // 7 % len(values)]

    walk(sides, range(345, 400), see)  # the end of an hour, where the override holds, and the next one's plan


@pytest.mark.parametrize("name", POLICIES)
def test_a_rush_and_a_lull_bring_every_kind_of_event(name: str) -> None:
    """What the walks compare is not two standstills: replicas come from every source, are refused, and go again."""

    def see(pools: state.Pools, step: int) -> None:
        rush = (362 <= step < 430) & (pools.model == 0)  # of one model, so that it takes what the other has lent
        pools.signal, pools.busy = np.where(rush, 0.95, 0.05), np.where(rush, pools.ready, 0)
        pools.queued, pools.left_s, pools.drain_rps = np.where(rush, 1e6, 0.0), 3600.0, 0.5

    events = np.zeros(len(r.KINDS))
    for planned in ([6, 20], [6, 2]):
        few = POLICIES[name].scale_by == "arrivals"  # who would be staffed for six replicas' arrivals lends none
        sides = start(POLICIES[name], planned, gap=1.0 if few else 6.0)
        walk(sides, range(345, 470), see)
        events += sides[0].rec.events.sum(axis=(0, 1))
    assert (events > 0).all()


def ticks_of_starts(side: Side, *, signal: float, steps: Sequence[int]) -> list[int]:
    """Show one pool a steady signal and return the ticks at which it started a replica."""
    found: list[int] = []
    for step in steps:
        side.begin(step)
        side.pools.signal = signal
        before = side.rec.events[..., : r.REFUSED].sum()
        side.scale(step)
        found += [step] * int(side.rec.events[..., : r.REFUSED].sum() - before)
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_lt_u_with_two_to_add_at_three_quarters_load_adds_two_and_stops(engine: str) -> None:
    """sageserve.md section 7.4: one out, 15 s, the second out, then nothing though the load stays high."""
    plan = plan_of(allocation([{("east", "m"): 42}]))
    side = both(fleet(ready=40, lent=10), POLICIES["lt_u"], plan=plan)[ENGINES.index(engine)]
    assert ticks_of_starts(side, signal=0.75, steps=range(40)) == [6, 8]  # at 60 s scaling begins, 15 s are two ticks


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("gap", "starts"), [(5.0, [6, 8, 240, 242]), (4.9, [6, 8])])
def test_lt_ua_goes_beyond_the_plan_after_minute_forty_at_five_times_the_forecast(
    engine: str, gap: float, starts: list[int]
) -> None:
    plan = plan_of(allocation([{("east", "m"): 42}]))
    sides = both(fleet(ready=40, lent=10), POLICIES["lt_ua"], plan=plan, gap=gap)
    steps = [*range(20), *range(230, 244)]
    assert ticks_of_starts(sides[ENGINES.index(engine)], signal=0.75, steps=steps) == starts


@pytest.mark.parametrize("engine", ENGINES)
def test_lt_i_removes_before_it_adds(engine: str) -> None:
    """The stock is full: what one model gives up is lent a tick later and only then becomes the other's."""
    world = fleet(models=MODELS, ready=4)
    plan = plan_of(allocation([{("east", "m"): 2, ("east", "other"): 6}]))
    side = both(world, POLICIES["lt_i"], plan=plan)[ENGINES.index(engine)]
    side.begin(0)
    side.scale(0)
    assert (side.pools.ready.tolist(), side.s.starting.sum(), side.pools.budget.tolist()) == ([2, 4], 0, [0, 2])
    assert side.rec.events[0, :, r.REFUSED].tolist() == [0, 1]
    side.begin(1)
    side.scale(1)
    assert (side.s.starting[1].tolist(), side.pools.budget.tolist()) == ([0, 2, 0], [0, 0])
    assert side.rec.events[0, :, r.REFUSED].tolist() == [0, 1]  # told once an hour


def test_gpus_are_taken_from_own_spot_then_others_then_free_stock_then_not() -> None:
    side = both(fleet(models=MODELS, ready=2, lent=1, free_gpus=8), POLICIES["reactive"])[0]
    s = side.s
    kinds = [
        scaling.scale_out(side.pools, s.starting, s.free_gpus, s.ready_at, side.rules, 0, STEP_S, 0) for _ in range(4)
    ]
    assert kinds == [r.RECLAIM, r.SWAP, r.REMOTE, r.REFUSED]
    assert (side.pools.lent_gpus.tolist(), s.free_gpus.tolist()) == ([0, 0], [[0]])
    assert [int(np.flatnonzero(s.ready_at[:, 0, kind])[0]) for kind in range(3)] == [2, 4, 7]


def test_two_small_lent_replicas_make_one_large_one() -> None:
    side = both(two_sizes(ready=2, lent=1, free_gpus=0), POLICIES["reactive"])[0]
    side.pools.lent_gpus = [0, 8, 0, 8]
    s = side.s
    s.free_gpus[:] = 0
    take = (side.pools, s.starting, s.free_gpus, s.ready_at, side.rules, 0, STEP_S)
    assert scaling.scale_out(*take, 0) == r.SWAP
    assert side.pools.lent_gpus.tolist() == [0, 0, 0, 8]
    assert scaling.scale_out(*take, 0) == r.REFUSED


#: KV room so large that a request changes no signal, and a signal that is KV cache alone.
ROOM = 1e12


def seated(side: Side, **values: npt.ArrayLike) -> None:
    """Put numbers of the pools where the fluid simulator has them, side by side."""
    for name, numbers in values.items():
        side.s.ranks[name].reshape(-1)[: side.pools.size] = numbers


def with_signals(side: Side, signals: list[float]) -> None:
    """Put pools of both engines at a signal, the replay's by what its replicas hold."""
    side.pools.signal = signals
    seated(side, ready=side.pools.ready, signal=side.pools.signal, release_each=1e9, route_each=1e9)
    for p, signal in enumerate(signals):
        side.machine.world.speeds[p].held = signal * side.pools[p].ready * ROOM


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    signals=st.lists(st.sampled_from([0.1, 0.49, 0.5, 0.59, 0.6, 0.84, 0.85, 1.0]), min_size=3, max_size=3),
    queued=st.integers(0, 60),
    aged=st.integers(0, 10),
    finished=st.integers(0, 9),
    is_chiron=st.booleans(),
)
def test_both_engines_release_as_many(
    signals: list[float], queued: int, aged: int, finished: int, is_chiron: bool
) -> None:
    """Old requests go at once; of the others each completion and each ready replica lets go what the rule says."""
    policy = dataclasses.replace(
        POLICIES["chiron" if is_chiron else "reactive"], signal="kv_cache", deferrable_ages_after_s=20.0
    )
    arrivals = [4.0] * aged + [25.0] * queued
    rows = [(at, 1, 1, BATCH, "east") for at in arrivals]
    step, released = 3, []
    for side in both(fleet(ready=9, kv_cache_tokens=ROOM), policy, rows=rows):
        side.begin(0)
        with_signals(side, signals[: side.pools.size])
        side.s.arrived[1:, 0, 0, 0] = aged
        side.s.arrived[3:, 0, 0, 0] += queued
        if side.engine == "fluid":
            seated(side, finished=float(finished))
            traffic.arrive(side.x, side.s, side.rules, step, 2)
            released.append(float(side.s.released[0, 0, 0]))
            continue
        world, outside = side.machine.world, side.machine.outside
        side.enqueue(range(len(rows)))
        dispatch.release_aged(side.ways, side.how, world, outside, side.pools, side.rules, step * STEP_S)
        for p in range(side.pools.size):
            world.speeds[p].credits = finished + side.pools[p].ready
            dispatch.release(side.ways, side.how, world, outside, side.pools, side.rules, p, step * STEP_S)
        released.append(float(aged + queued - outside.queued[0, 0]))
    assert released[0] == pytest.approx(released[1])
    assert released[0] >= aged


@settings(deadline=None, max_examples=60)
@given(
    signals=st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6),
    ready=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    origin=st.integers(0, 1),
    kind=st.integers(0, 1),
    name=st.sampled_from(["reactive", "siloed", "chiron"]),
)
def test_both_engines_route_a_request_alike(
    signals: list[float], ready: list[int], origin: int, kind: int, name: str
) -> None:
    """Region by region, silo by silo in each; a tiny part of a request goes where a whole one does."""
    side = both(fleet(regions=REGIONS, ready=12), POLICIES[name])[0]
    pools, x = side.pools, side.x
    pools.ready, pools.signal = ready[: pools.size], signals[: pools.size]
    seated(side, ready=pools.ready, signal=pools.signal, route_each=100.0 / np.maximum(pools.ready, 1))
    seated(side, inside=pools.signal / side.rules.route_below * 100.0)
    chosen = r.choose_pool(side.rules, x.preference, origin, x.pools_in, 0, kind, pools)
    routing.route(side.s, x.preference, x.pools_in, side.rules, origin, 0, 0, kind, 1e-6, 100.0, 10.0)
    assert side.s.crews.inflow[0, origin, 0].argmax() == chosen
    assert side.s.crews.inflow.sum() == pytest.approx(1e-6)
