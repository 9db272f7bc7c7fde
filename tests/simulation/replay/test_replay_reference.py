"""The replay equals a simulator in plain Python that runs every iteration: to 1e-9 s on every request.

Covers workbench.simulation.replay.batching, workbench.simulation.replay.balancing, workbench.simulation.replay.queues,
workbench.simulation.replay.dispatch and workbench.simulation.replay.fleet through what they do.
"""

from __future__ import annotations

import dataclasses
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.replay.reference import Reference
from tests.simulation.replay.reference_machine import Asked
from tests.simulation.replay.replay_cases import STILL, TIERS, Row, replayed, requests, uneven
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL
from workbench.domain import Fleet, Policy
from workbench.simulation.scheduling import BALANCES, SCHEDULERS, Scheduling

pytestmark = pytest.mark.uncounted  # the reference takes twice as long while coverage looks on

TOLERANCE_S = 1e-9
REGIONS = ("east", "west")
SCALING = Policy(
    key="scaling",
    label="reactive with short delays",
    floor_replicas=1,
    route_below_fraction=0.3,
    scale_out_above_fraction=0.35,
    scale_in_below_fraction=0.1,
    release_two_below_fraction=0.15,
    release_one_below_fraction=0.25,
    deferrable_ages_after_s=120.0,
    reclaim_s=20.0,
    remote_s=45.0,
)


def rows_of(count: int, *, regions: int, most_gap_us: int, longest: int) -> st.SearchStrategy[list[Row]]:
    """Requests at whole microseconds, gaps of nought included, so that arrivals coincide."""
    single = st.tuples(
        st.one_of(st.integers(0, most_gap_us), st.just(0)),
        st.integers(1, longest),
        st.integers(1, 60),
        st.sampled_from(TIERS),
        st.sampled_from(REGIONS[:regions]),
    )

    def lay_out(drawn: list[tuple[int, int, int, str, str]]) -> list[Row]:
        times = accumulate(row[0] for row in drawn)
        return [(at / 1e6, *row[1:]) for at, row in zip(times, drawn, strict=True)]

    return st.lists(single, min_size=1, max_size=count).map(lay_out)


def compare(rows: list[Row], world: Fleet, policy: Policy, how: Scheduling, hours: float = 0.25) -> None:
    done = replayed(requests(rows), world, policy, hours=hours, scheduling=how)
    asked = [
        Asked(at, prompt, output, TIERS.index(tier), REGIONS.index(home)) for at, prompt, output, tier, home in rows
    ]
    Reference(world, policy, how, done.tables).run(asked, round(hours * 360))
    for name in ("ttft_s", "e2e_s"):
        expected = np.array([getattr(one, name) for one in asked])
        found = done.latencies.get_column(name).fill_null(np.nan).to_numpy()
        assert np.isnan(expected).tolist() == np.isnan(found).tolist(), name
        assert np.nan_to_num(np.abs(expected - found)).max() <= TOLERANCE_S, name
    assert done.latencies.get_column("pool").to_list() == [one.pool for one in asked]


@settings(deadline=None, max_examples=200)
@given(
    rows=rows_of(40, regions=1, most_gap_us=400_000, longest=3000),
    ready=st.integers(1, 3),
    room=st.sampled_from([2500.0, 9000.0, 1e6]),
    cap=st.sampled_from([1, 3, 64]),
    order=st.sampled_from(SCHEDULERS),
    chunk=st.sampled_from([0, 0, 256, 1024]),
    severe_s=st.sampled_from([0.3, 10.0]),
    balance=st.sampled_from(BALANCES),
)
def test_a_fixed_pool_under_every_order(
    rows: list[Row], ready: int, room: float, cap: int, order: str, chunk: int, severe_s: float, balance: str
) -> None:
    """Mixed lengths, three tiers, KV-limited, slot-limited, overloaded, whole and chunked prompts, some too large."""
    world = uneven(ready=ready, batch_cap=cap, kv_cache_tokens=room)
    compare(rows, world, STILL, Scheduling(order=order, chunk_tokens=chunk, severe_s=severe_s, balance=balance))


@settings(deadline=None, max_examples=30)
@given(
    rows=rows_of(150, regions=1, most_gap_us=150_000, longest=4000),
    ready=st.integers(15, 90),
    room=st.sampled_from([4500.0, 1e6]),
    cap=st.sampled_from([1, 4]),
    balance=st.sampled_from(BALANCES),
)
def test_a_pool_of_many_replicas(rows: list[Row], ready: int, room: float, cap: int, balance: str) -> None:
    """More than are looked at one by one: blocks of them that are full, in part and only just begun."""
    compare(rows, uneven(ready=ready, batch_cap=cap, kv_cache_tokens=room), STILL, Scheduling(balance=balance))


@settings(deadline=None, max_examples=150)
@given(
    rows=rows_of(40, regions=2, most_gap_us=9_000_000, longest=2000),
    ready=st.integers(0, 3),
    lent=st.integers(0, 2),
    free=st.integers(0, 2),
    cap=st.sampled_from([2, 6]),
    order=st.sampled_from(SCHEDULERS),
    chunk=st.sampled_from([0, 0, 300]),
    balance=st.sampled_from(BALANCES),
)
def test_two_regions_with_routing_release_scaling_delays_and_drain(
    rows: list[Row], ready: int, lent: int, free: int, cap: int, order: str, chunk: int, balance: str
) -> None:
    """Pools that begin without a replica, park, start late, overflow, age deferrable work, drain and lend."""
    free = max(free, 1 - ready - lent)
    world = uneven(regions=REGIONS, ready=ready, lent=lent, free_gpus=8 * free, batch_cap=cap)
    compare(rows, world, SCALING, Scheduling(order=order, chunk_tokens=chunk, balance=balance, severe_s=2.0))


@settings(deadline=None, max_examples=80)
@given(
    rows=rows_of(60, regions=2, most_gap_us=2_000_000, longest=2000),
    ready=st.integers(0, 3),
    lent=st.integers(0, 2),
    room=st.sampled_from([4_000.0, 12_000.0]),
    order=st.sampled_from(["fcfs", "edf", "pf"]),
    chunk=st.sampled_from([0, 300]),
)
def test_two_regions_that_look_at_the_kv_cache_alone(
    rows: list[Row], ready: int, lent: int, room: float, order: str, chunk: int
) -> None:
    """The paper's signal: KV held as each macro-step began, and prompts that are owed, over the room of those ready."""
    policy = dataclasses.replace(SCALING, signal="kv_cache", scale_in_below_fraction=0.03)
    world = uneven(regions=REGIONS, ready=ready, lent=lent, free_gpus=8, kv_cache_tokens=room)
    compare(rows, world, policy, Scheduling(order=order, chunk_tokens=chunk))


@pytest.mark.parametrize("order", SCHEDULERS)
def test_a_burst_of_three_hundred_under_every_order(order: str) -> None:
    """Long queues: heads expire and become severely late while they wait."""
    drawn = np.random.default_rng(7)
    rows: list[Row] = [
        (at, int(prompt), int(output), str(tier), "east")
        for at, prompt, output, tier in zip(
            np.sort(drawn.uniform(0, 20, 300)).round(6),
            drawn.lognormal(6.5, 1.0, 300).clip(1, 9000),
            drawn.integers(1, 120, 300),
            drawn.choice([FAST, NORMAL, BATCH], 300),
            strict=True,
        )
    ]
    world = uneven(ready=2, batch_cap=12, kv_cache_tokens=30_000.0)
    compare(rows, world, STILL, Scheduling(order=order, chunk_tokens=512), hours=0.5)


@pytest.mark.parametrize(("order", "signal"), [("pf", "largest"), ("dpa", "largest"), ("pf", "kv_cache")])
def test_a_rush_scales_out_and_in_again_with_delays(order: str, signal: str) -> None:
    """A minute of load for eight replicas on two: reclaimed and remote ones come late, later all but the floor go."""
    drawn = np.random.default_rng(8)
    rows: list[Row] = [
        (float(at), int(prompt), int(output), str(tier), str(home))
        for at, prompt, output, tier, home in zip(
            np.sort(np.concatenate([drawn.uniform(30, 90, 400), drawn.uniform(90, 800, 100)])).round(6),
            drawn.integers(1, 3000, 500),
            drawn.integers(1, 200, 500),
            drawn.choice([FAST, NORMAL, BATCH], 500),
            drawn.choice(REGIONS, 500),
            strict=True,
        )
    ]
    world = uneven(regions=REGIONS, ready=2, lent=2, free_gpus=16, batch_cap=32)
    policy = dataclasses.replace(SCALING, signal=signal, scale_in_below_fraction=0.02 if signal == "kv_cache" else 0.1)
    compare(rows, world, policy, Scheduling(order=order))
