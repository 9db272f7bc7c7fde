"""The invariants that workbench.simulation.replay.engine numbers, closed forms at constant load, and bad input.

Covers workbench.simulation.replay and workbench.simulation.replay.state too, through what they do.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.replay.replay_cases import TIERS, prepared, replayed, requests, run, steadily
from tests.simulation.replay.test_replay_reference import REGIONS, SCALING, rows_of
from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, allocation, fleet
from workbench import performance
from workbench.domain import Policy, TokenMix
from workbench.simulation.replay import state
from workbench.simulation.scheduling import BALANCES, SCHEDULERS, Scheduling

PROMPT, OUTPUT = 1490, 299
EQUAL = TokenMix(input_tokens=float(PROMPT), output_tokens=float(OUTPUT))


def poisson(rate: float, seconds: float) -> pl.DataFrame:
    """Requests of one length at random instants."""
    at = np.cumsum(np.random.default_rng(5).exponential(1.0 / rate, int(1.2 * rate * seconds)))
    return requests([(float(t), PROMPT, OUTPUT, FAST, "east") for t in at[at < seconds]])


def rush(count: int = 600) -> pl.DataFrame:
    """Two regions, three tiers, most of it in one minute."""
    drawn = np.random.default_rng(2)
    at = np.sort(np.concatenate([drawn.uniform(0, 60, count // 2), drawn.uniform(60, 1500, count - count // 2)]))
    return requests(
        [
            (float(t), int(drawn.integers(1, 4000)), int(drawn.integers(1, 150)), str(tier), str(home))
            for t, tier, home in zip(at, drawn.choice(TIERS, count), drawn.choice(REGIONS, count), strict=True)
        ]
    )


@settings(deadline=None, max_examples=40)
@given(
    rows=rows_of(60, regions=2, most_gap_us=15_000_000, longest=4000),
    ready=st.integers(1, 3),
    room=st.sampled_from([3000.0, 1e6]),
    siloed=st.booleans(),
)
def test_1_every_request_is_served_inside_or_shed(rows: list, ready: int, room: float, siloed: bool) -> None:
    policy = dataclasses.replace(SCALING, siloed=siloed)
    world = fleet(regions=REGIONS, ready=ready, lent=1, batch_cap=4, kv_cache_tokens=room)
    done = run(requests(rows), world, policy, hours=0.25, keep_requests=True)
    kept, arrived = done.requests, [row for row in rows if row[0] < 900.0]
    assert kept is not None
    assert kept.height == len(arrived)
    shed = kept.filter(pl.col("outcome") == "shed")
    assert (shed["input_tokens"] + shed["output_tokens"] > room).all()
    at_end = kept.with_columns(ended_at=pl.col("arrived_at") + pl.duration(seconds="e2e_s"))
    for row in done.windows.iter_rows(named=True):
        until = row["window_start"] + timedelta(seconds=300)
        mine = at_end.filter(*(pl.col(name) == row[name] for name in ("region", "model", "tier")))
        inside = mine.filter((pl.col("arrived_at") < until) & (pl.col("outcome") != "shed"))
        assert row["arrived"] == mine.filter(pl.col("arrived_at").is_between(row["window_start"], until, "left")).height
        # an end is told as the origin sees it, a network delay after it was counted where the pool stands
        assert (
            row["backlog"]
            >= inside.filter((pl.col("ended_at") >= until + timedelta(seconds=0.1)).fill_null(True)).height
        )
        assert row["backlog"] <= inside.filter((pl.col("ended_at") >= until).fill_null(True)).height


@pytest.mark.parametrize("order", SCHEDULERS)
@pytest.mark.parametrize("chunk", [0, 512])
def test_2_neither_kv_reserved_nor_batch_passes_its_limit(order: str, chunk: int) -> None:
    """What is admitted and not ended, summed over every instant; the room is nearly used up, so the limit binds."""
    room, cap = 20_000.0, 40
    how = Scheduling(order=order, chunk_tokens=chunk)
    world = fleet(ready=1, kv_cache_tokens=room, batch_cap=cap, regions=REGIONS)
    done = replayed(rush(), world, hours=2.0, scheduling=how).latencies
    for region in REGIONS:
        here = done.filter((pl.col("served_in") == region) & pl.col("wait_s").is_not_null())
        at_s = (here["arrived_at"] - START).dt.total_microseconds().to_numpy() / 1e6
        needed = (here["input_tokens"] + here["output_tokens"]).to_numpy()
        begins, ends = at_s + here["wait_s"].to_numpy(), at_s + here["e2e_s"].fill_null(1e9).to_numpy()
        order_of = np.lexsort((np.repeat([1, 0], len(here)), np.concatenate([begins, ends]).round(9)))
        reserved = np.cumsum(np.concatenate([needed, -needed])[order_of])
        running = np.cumsum(np.repeat([1, -1], len(here))[order_of])
        assert 0.9 * room < reserved.max() <= room
        assert running.max() <= cap


def test_3_no_first_token_before_arrival_admission_or_readiness() -> None:
    policy = dataclasses.replace(SCALING, remote_s=120.0)
    world = fleet(regions=REGIONS, ready=0, free_gpus=16)
    done = replayed(rush(), world, policy).latencies
    at_s = (done["arrived_at"] - START).dt.total_microseconds().to_numpy() / 1e6
    first_s = at_s + done["ttft_s"].to_numpy()
    assert np.nanmin(first_s) >= 60.0 + 120.0  # nothing is scaled in the first minute
    served = done.filter(pl.col("e2e_s").is_not_null())
    assert served.height > 0.9 * done.height
    assert (served["wait_s"] >= 0).all()
    assert (served["ttft_s"] > served["wait_s"]).all()
    assert (served["e2e_s"] >= served["ttft_s"]).all()


def test_4_and_5_gpus_are_conserved_and_no_clock_runs_backwards() -> None:
    world = fleet(regions=REGIONS, ready=3, lent=2, free_gpus=16, batch_cap=8)
    made, _, begun, _, steps = prepared(rush(), world, SCALING)
    stock, clock, moved = 2 * 8 * 7, np.zeros(made.world.ends_s.size), set()
    for step in range(steps):
        made(step, step + 1)
        pools, machines = begun.pools, made.world.replicas
        used = (pools.ready + pools.draining + begun.starting.sum(axis=1)) * pools.gpus + pools.lent_gpus
        assert used.sum() + begun.free_gpus.sum() == stock
        for p in range(2):
            assert (machines.status[machines.pool == p] == state.READY).sum() == pools[p].ready
        assert (machines.reserved <= world.replicas[0].kv_cache_tokens).all()
        away = machines.status != state.READY
        assert (made.world.keys[away] == state.UNCHOSEN).all()  # 3: none is sent there
        assert (machines.waiting[away] == 0).all()
        assert (machines.running[machines.status == state.OFF] == 0).all()
        assert (machines.begin_s >= clock).all()
        assert (made.world.ends_s > (step + 1) * 10.0).all()
        clock = machines.begin_s.copy()
        moved.add(tuple(pools.ready.tolist()))
    assert len(moved) >= 5


def test_7_same_inputs_same_bytes_whatever_the_calls() -> None:
    world = fleet(regions=REGIONS, ready=2, lent=2)
    first, second = (run(rush(), world, SCALING) for _ in range(2))
    for name in ("windows", "pools", "ttft", "scaling"):
        assert getattr(first, name).equals(getattr(second, name))
    whole, parts = replayed(rush(), world, SCALING), prepared(rush(), world, SCALING, keep_requests=True)
    for step in range(0, parts[4], 9):
        parts[0](step, step + 9)
    assert parts[0].latencies().equals(whole.latencies)


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize(("rate", "seed"), [(2.0, 1), (9.0, 2), (15.0, 3)])
def test_6_more_replicas_never_lengthen_the_wait(rate: float, seed: int, balance: str) -> None:
    """One region, so none is routed elsewhere; lengths and instants at random, from little load to far too much."""
    drawn = np.random.default_rng(seed)
    at_s = np.cumsum(drawn.exponential(1.0 / rate, int(rate * 900.0)))
    lengths = drawn.lognormal(6.8, 1.0, (2, at_s.size)).clip(1, [[20_000], [1_500]]).astype(int)
    load = requests([(float(at), int(p), int(o), FAST, "east") for at, p, o in zip(at_s, *lengths, strict=True)])
    told = [
        replayed(load, fleet(ready=n), hours=1.0, scheduling=Scheduling(balance=balance)).latencies["ttft_s"]
        for n in (1, 2, 4, 8, 16, 32)
    ]
    for measure in (lambda ttft_s: ttft_s.mean(), lambda ttft_s: ttft_s.quantile(0.95)):
        found = [measure(ttft_s) for ttft_s in told]
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("load_fraction", "replicas"), [(0.2, 4), (0.5, 2), (0.5, 17), (0.8, 4), (0.9, 4)])
def test_constant_load_matches_the_closed_forms(load_fraction: float, replicas: int) -> None:
    """B/n = l O c / (1 - rho) and gap = c / (1 - rho) (simulation.md section 3), within 2 %."""
    world = fleet(ready=replicas, mix=EQUAL)
    each = load_fraction * performance.max_rps(world.replicas[0], EQUAL)
    hours = 2.0 + 10.0 / replicas
    done = replayed(poisson(each * replicas, hours * 3600.0), world, hours=hours).latencies
    first, last = START + timedelta(hours=0.5), START + timedelta(hours=hours - 0.5)
    settled = done.filter(pl.col("arrived_at").is_between(first, last, closed="left"))
    rate = settled.height / (last - first).total_seconds() / replicas
    expected = performance.steady_state(world.replicas[0], EQUAL, rate)
    decoding_s = (settled["e2e_s"] - settled["ttft_s"]).to_numpy()
    assert decoding_s.mean() / (OUTPUT - 1) == pytest.approx(expected.itl_s, rel=0.02)
    assert rate * decoding_s.mean() == pytest.approx(expected.running, rel=0.02)  # Little's law


def test_the_greatest_load_is_that_of_the_closed_form() -> None:
    world = fleet(ready=2, mix=EQUAL)
    greatest = 2 * performance.max_rps(world.replicas[0], EQUAL)
    done = run(poisson(1.3 * greatest, 5400.0), world, hours=1.5).windows.filter(pl.col("tier") == FAST)
    late = done.filter(pl.col("window_start") >= START + timedelta(hours=0.5))
    assert late["served"].sum() / 3600.0 == pytest.approx(greatest, rel=0.02)
    assert late["is_saturated"].all()


def test_without_replicas_all_waits_and_nothing_is_invented() -> None:
    done = run(steadily(1.0, 1800.0), fleet(ready=0, free_gpus=8)).windows.filter(pl.col("tier") == FAST)
    assert done["served"].sum() == 0.0
    assert done["backlog"][-1] == 1800.0
    assert done["slo_attainment_fraction"].max() == 0.0
    assert done["ttft_p50_s"].min() > 900_000.0
    assert done["ttft_mean_s"][0] == pytest.approx(1800.0 - 149.5)  # ages at the end: 1800 s to 1501 s
    assert done["itl_mean_s"].null_count() == done.height


def test_what_fits_nowhere_is_shed_and_marked() -> None:
    load = requests([(1.0, 900, 50, FAST, "east"), (2.0, 990, 50, NORMAL, "west"), (3.0, 990, 50, BATCH, "west")])
    done = replayed(load, fleet(regions=REGIONS, ready=2, kv_cache_tokens=1000.0))
    assert done.latencies["pool"].to_list() == [0, state.SHED, state.SHED]
    assert done.latencies["served_in"].to_list() == ["east", None, None]
    windows = run(load, fleet(regions=REGIONS, ready=2, kv_cache_tokens=1000.0)).windows
    assert windows["shed"].sum() == 2.0
    assert windows["backlog"].filter(windows["window_start"] == windows["window_start"].max()).sum() == 0.0


def test_a_pool_with_more_room_takes_what_fits_nowhere_else() -> None:
    """Two kinds of GPU in one region: the larger takes the request that the rule would send to the smaller."""
    world = fleet(ready=2, kv_cache_tokens=1000.0)
    both = dataclasses.replace(
        world,
        replicas=(*world.replicas, dataclasses.replace(world.replicas[0], gpu="a100", kv_cache_tokens=5000.0)),
        stock_gpus={("east", "h100"): 16, ("east", "a100"): 16},
        initial_replicas={("east", "m", "h100"): 2, ("east", "m", "a100"): 2},
        initial_lent_replicas={},
        usd_per_gpu_hour={("east", "h100"): 10.0, ("east", "a100"): 4.0},
    )
    done = replayed(requests([(1.0, 500, 20, FAST, "east"), (2.0, 2000, 20, FAST, "east")]), both)
    assert done.latencies["pool"].to_list() == [0, 1]


def test_unsorted_arrivals_are_put_in_order() -> None:
    rows = [(float(at), 1000 + at, 40, FAST, "east") for at in range(60)]
    forth, back = (replayed(requests(order), fleet(ready=1)).latencies for order in (rows, rows[::-1]))
    assert forth.equals(back)


def test_a_plan_at_once_is_carried_out_on_the_hour() -> None:
    plan = plan_of(allocation([{("east", "m"): 6}, {("east", "m"): 3}]))
    at_once = Policy(key="i", label="i", follow_plan="at_once", reclaim_s=60.0)
    pools = run(steadily(4.0, 7200.0), fleet(ready=4, lent=4), at_once, hours=2.0, plan=plan, window_s=600.0).pools
    assert pools["ready"].to_list() == [5.8] + [6.0] * 5 + [3.0] * 6


def test_no_requests_at_all_is_an_idle_fleet() -> None:
    done = run(requests([]), fleet(ready=3))
    assert done.windows["arrived"].sum() == 0.0
    assert done.pools["ready"].to_list() == [3.0] * 6


def test_four_hundred_pools_are_replayed() -> None:
    regions, models = tuple(f"r{i}" for i in range(20)), tuple(f"m{i}" for i in range(20))
    world = fleet(regions=regions, models=models, ready=1)
    load = pl.concat([requests([(float(i), 100, 5, FAST, regions[i])], model=models[i]) for i in range(20)])
    done = run(load, world)
    assert done.windows["served"].sum() == 20.0
    assert done.pools.height == 400 * 6


def test_a_tier_first_order_serves_the_fast_tier_first() -> None:
    """A burst on one slot: by priority the fast ones wait less than by arrival, and the others more."""
    load = requests([(0.001 * i, 500, 20, (FAST, NORMAL)[i % 2], "east") for i in range(60)])
    world = fleet(ready=1, batch_cap=1)
    means = {
        order: replayed(load, world, scheduling=Scheduling(order=order))
        .latencies.group_by("tier")
        .agg(pl.col("ttft_s").mean())
        for order in ("fcfs", "pf")
    }
    fcfs, pf = (dict(frame.iter_rows()) for frame in means.values())
    assert pf[FAST] < 0.6 * fcfs[FAST]
    assert pf[NORMAL] > 1.3 * fcfs[NORMAL]
