"""The fluid simulator: closed forms at constant load, conservation, scaling with delays, deferrable work.

Covers workbench.simulation.fluid.engine, workbench.simulation.fluid.service, workbench.simulation.scaling,
workbench.simulation.fluid.replicas, workbench.simulation.fluid.traffic, workbench.simulation.fluid.routing,
workbench.simulation.fluid.meeting, workbench.simulation.fluid.settling, workbench.simulation.fluid.recording,
workbench.simulation.outset and workbench.simulation.state through what they do.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.simulation_cases import BATCH, FAST, MIX, NORMAL, START, allocation, constant, demand, fleet
from workbench import performance, simulation
from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan, SimRun
from workbench.simulation import loads, outset, rules, setup, state
from workbench.simulation.fluid import routing

STILL = Policy(key="still", label="fixed fleet", scale_out_above_fraction=1.0, scale_in_below_fraction=0.0)
REACTIVE = Policy(key="reactive", label="Reactive")


def run(load: pl.DataFrame, world: Fleet, policy: Policy = STILL, hours: float = 2.0, **more: object) -> SimRun:
    return simulation.run(load, fleet=world, policy=policy, start=START, hours=hours, **more)  # type: ignore[arg-type]


def plan_of(frame: pl.DataFrame) -> CapacityPlan:
    return CapacityPlan(
        allocation=frame,
        shortfall=pl.DataFrame(),
        hours=pl.DataFrame(),
        cost_usd=0.0,
        bound_usd=None,
        gap_fraction=None,
        status="optimal",
        solver="none",
        programme="test",
    )


def settled(simulated: SimRun) -> dict[str, float]:
    """The last window of the only pool."""
    return simulated.pools.sort("window_start").row(-1, named=True)


@pytest.mark.parametrize("load_fraction", [0.2, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("replicas", [1, 4, 17])
def test_constant_load_matches_the_closed_forms(load_fraction: float, replicas: int) -> None:
    """B/n = l O c / (1 - rho) and gap = c / (1 - rho) (simulation.md section 3), within 2 %.

    A replica by itself holds up to 4 % more, as the replay does: a long iteration is followed by long ones.
    """
    world = fleet(ready=replicas)
    rate = load_fraction * performance.max_rps(world.replicas[0], MIX) * replicas
    simulated = run(constant(rate, 3.0), world, hours=3.0)
    expected = performance.steady_state(world.replicas[0], MIX, rate / replicas)
    last = settled(simulated)
    more = (last["running"] + last["waiting"]) / (expected.running * replicas) - 1.0
    assert 0.0 < more < 0.04 if replicas == 1 else abs(more) <= 0.02
    assert last["work_fraction"] == pytest.approx(expected.work_fraction, rel=0.02)
    gap_s = simulated.windows.filter(pl.col("tier") == FAST).sort("window_start").get_column("itl_mean_s")[-1]
    assert gap_s == pytest.approx(expected.itl_s, rel=0.04 if replicas == 1 else 0.02)


@pytest.mark.parametrize("factor", [1.3, 2.0])
def test_overload_is_served_at_the_greatest_rate_and_the_rest_waits(factor: float) -> None:
    world = fleet(ready=4)
    greatest = 4 * performance.max_rps(world.replicas[0], MIX)
    simulated = run(constant(factor * greatest, 3.0), world, hours=3.0)
    late = simulated.windows.filter((pl.col("tier") == FAST) & (pl.col("window_start") >= START + timedelta(hours=1)))
    served_rps = late.get_column("served").sum() / 7200.0
    assert served_rps == pytest.approx(greatest, rel=0.02)
    assert late.get_column("is_saturated").all()
    assert late.get_column("ttft_p95_s").null_count() == late.height
    growth = late.get_column("backlog")[-1] - late.get_column("backlog")[0]
    assert growth == pytest.approx((factor - 1.0) * greatest * 6900.0, rel=0.05)


def test_half_an_hour_of_overload_waits_as_long_as_the_backlog_takes() -> None:
    world = fleet(ready=2)
    greatest = 2 * performance.max_rps(world.replicas[0], MIX)
    rates = [1.5 * greatest] * 30 + [0.3 * greatest] * 90
    simulated = run(demand({("east", "m", FAST): rates}), world, window_s=60.0)
    fast = simulated.windows.filter(pl.col("tier") == FAST).sort("window_start")
    slots = performance.slots(world.replicas[0], MIX)
    waiting = 0.5 * greatest * 1800.0 - 2 * slots  # the surplus of 30 min less what runs, but for the batches filling
    assert fast.get_column("ttft_mean_s").max() == pytest.approx(waiting / greatest, rel=0.08)
    assert fast.get_column("backlog")[-1] < 0.05 * fast.get_column("backlog").max()


@settings(deadline=None, max_examples=25)
@given(
    rates=st.lists(st.lists(st.floats(0, 12), min_size=3, max_size=3), min_size=4, max_size=24),
    ready=st.integers(0, 6),
    lent=st.integers(0, 4),
    free=st.integers(0, 24),
    siloed=st.booleans(),
    signal=st.sampled_from(["largest", "kv_cache"]),
)
def test_requests_and_gpus_are_conserved(
    rates: list[list[float]], ready: int, lent: int, free: int, siloed: bool, signal: str
) -> None:
    """Arrived = served + backlog for every series, and serving + lent + free GPUs = stock, whatever the load."""
    keys = [("east", "m", FAST), ("west", "m", NORMAL), ("west", "m", BATCH)]
    load = demand({key: [row[i] for row in rates for _ in range(10)] for i, key in enumerate(keys)})
    world = fleet(regions=("east", "west"), ready=max(ready, 4), lent=lent, free_gpus=free)
    policy = Policy(key="p", label="p", siloed=siloed, signal=signal, swap_s=120.0, remote_s=300.0)
    simulated = run(load, world, policy, hours=len(rates) / 6.0)
    totals = simulated.windows.group_by("region", "model", "tier").agg(
        pl.col("arrived", "served").sum(), pl.col("backlog").sort_by("window_start").last()
    )
    for row in totals.iter_rows(named=True):
        assert row["arrived"] == pytest.approx(row["served"] + row["backlog"], rel=1e-9, abs=1e-6)
    held = simulated.pools.group_by("window_start", "region").agg(
        (pl.sum_horizontal("ready", "starting_reclaim", "starting_swap", "starting_remote", "draining", "lent")).sum()
        * 8
    )
    assert held.get_column("ready").max() <= world.stock_gpus["east", "h100"] + 1e-6
    assert held.get_column("ready").min() >= world.stock_gpus["east", "h100"] - free - 1e-6
    assert simulated.ttft.get_column("requests").sum() == pytest.approx(
        simulated.windows.filter(pl.col("tier") != BATCH).get_column("arrived").sum(), rel=1e-9, abs=1e-6
    )


def test_nothing_is_served_without_a_ready_replica() -> None:
    simulated = run(constant(3.0, 1.0), fleet(ready=0, lent=0, free_gpus=8), hours=1.0)
    fast = simulated.windows.filter(pl.col("tier") == FAST)
    assert fast.get_column("served").sum() == 0.0
    assert fast.get_column("slo_attainment_fraction").max() == 0.0
    assert fast.get_column("backlog")[-1] == pytest.approx(3.0 * 3600.0)


@pytest.mark.parametrize("remote_s", [1800.0, 1e6])
def test_without_a_ready_replica_arrivals_wait_for_the_first_one_or_for_the_end(remote_s: float) -> None:
    """Ready after half an hour, who comes 5 min before it waits 5 min; ready after the hour, they wait for its end."""
    world, slow = fleet(ready=0, free_gpus=8), dataclasses.replace(REACTIVE, remote_s=remote_s)
    means = []
    for window_s in (10.0, 60.0):
        load = constant(0.2, 1.0, window_s=window_s, tier=NORMAL)
        windows = run(load, world, slow, hours=1.0, window_s=60.0).windows
        normal = windows.filter(pl.col("tier") == NORMAL).sort("window_start")
        means.append(normal.get_column("ttft_mean_s").to_numpy())
        kept = normal.get_column("slo_attainment_fraction").to_numpy()
        until_ready = 1870.0 if remote_s < 3600.0 else 3600.0  # signals are judged from the first minute on
        assert means[-1][25] == pytest.approx(until_ready - 25.5 * 60.0, abs=20.0)
        assert kept[20] == 0.0
        assert (kept[-1] > 0.9) == (remote_s < 3600.0)
    assert means[0][:30] == pytest.approx(means[1][:30], abs=15.0)
    assert max(mean.max() for mean in means) <= 3600.0


def test_lent_replicas_come_back_after_a_minute_and_free_stock_after_two_hours() -> None:
    world = fleet(ready=2, lent=1, free_gpus=8)
    simulated = run(constant(14.0, 3.0), world, REACTIVE, hours=3.0, window_s=60.0)
    pools = simulated.pools.sort("window_start")
    assert pools.get_column("ready").max() == 4.0
    ready = pools.get_column("ready").to_list()
    assert ready[0] == 2.0
    assert ready[3] == pytest.approx(3.0)
    assert max(ready[:120]) == pytest.approx(3.0)
    assert ready[-1] == pytest.approx(4.0)
    kinds = dict(simulated.scaling.group_by("kind").agg(pl.col("replicas").sum()).iter_rows())
    assert kinds["reclaim"] == 1.0
    assert kinds["remote"] == 1.0
    assert kinds["refused"] > 0
    waste = pools.get_column("waste_gpu_hours").sum()
    assert waste == pytest.approx(8 * (60.0 + 7200.0) / 3600.0, rel=0.01)


def test_a_model_takes_the_lent_gpus_of_another_in_ten_minutes() -> None:
    world = fleet(models=("m", "other"), ready=2, lent=1)
    load = demand({("east", "m", FAST): [20.0] * 60, ("east", "other", FAST): [0.1] * 60})
    simulated = run(load, world, REACTIVE, hours=1.0, window_s=60.0)
    busy = simulated.pools.filter(pl.col("model") == "m").sort("window_start")
    assert busy.get_column("starting_swap").max() == 1.0
    swapped = busy.filter(pl.col("ready") >= 4.0).get_column("window_start").min()
    assert swapped - START == pytest.approx(timedelta(minutes=11), abs=timedelta(minutes=1.5))
    assert simulated.pools.filter(pl.col("model") == "other").get_column("lent").min() == 0.0


def test_idle_pools_shrink_to_the_floor_and_lend_the_rest() -> None:
    simulated = run(constant(0.1, 2.0), fleet(ready=10), REACTIVE)
    last = settled(simulated)
    assert (last["ready"], last["lent"], last["draining"]) == (2.0, 8.0, 0.0)


def test_a_plan_at_once_is_carried_out_on_the_hour_and_a_paced_one_only_on_demand() -> None:
    world = fleet(ready=4, lent=6)
    plan = plan_of(allocation([{("east", "m"): 8}, {("east", "m"): 3}]))
    at_once = run(
        constant(2.0, 2.0), world, Policy(key="i", label="i", follow_plan="at_once"), plan=plan, window_s=600.0
    )
    by_window = at_once.pools.sort("window_start").get_column("ready").to_list()
    assert by_window[1] == 8.0
    assert by_window[7] == 3.0
    paced = run(constant(2.0, 2.0), world, Policy(key="u", label="u", follow_plan="paced"), plan=plan, window_s=600.0)
    assert paced.pools.sort("window_start").get_column("ready").to_list()[:6] == [4.0] * 6


def test_override_adds_replicas_beyond_the_plan_only_when_the_forecast_is_far_too_low() -> None:
    """Budget nought, five times the forecast: nothing before minute 40, then out (sageserve.md section 7.4)."""
    world = fleet(ready=2, lent=6)
    plan = plan_of(allocation([{("east", "m"): 2}]))
    expected = pl.DataFrame(
        {"window_start": [START], "region": ["east"], "model": ["m"], "input_tps": [12.0 * MIX.input_tokens / 5.0]}
    )
    policy = Policy(key="ua", label="ua", follow_plan="paced_with_override")
    simulated = run(constant(12.0, 1.0), world, policy, hours=1.0, plan=plan, expected=expected, window_s=600.0)
    ready = simulated.pools.sort("window_start").get_column("ready").to_list()
    assert ready[:4] == [2.0] * 4
    assert ready[5] > 2.0


def test_taking_replicas_away_takes_no_work_off_the_queue() -> None:
    """An hour at twice what four replicas do, then two of them go: what waits is served no faster than two can."""
    world = fleet(ready=4)
    each = performance.max_rps(world.replicas[0], MIX)
    plan = plan_of(allocation([{("east", "m"): 4}, {("east", "m"): 2}]))
    at_once = Policy(key="i", label="i", follow_plan="at_once")
    simulated = run(constant(8.0 * each, 2.0), world, at_once, plan=plan, window_s=600.0)
    served = simulated.windows.filter(pl.col("tier") == FAST).sort("window_start").get_column("served").to_list()
    leaving = 2 * performance.slots(world.replicas[0], MIX)
    assert served[6] <= 2 * each * 600.0 + leaving + 0.02 * served[5]
    assert served[8] == pytest.approx(2 * each * 600.0, rel=0.02)


def test_a_plan_at_once_never_leaves_fewer_ready_than_the_floor() -> None:
    world = fleet(ready=2, free_gpus=16)
    plan = plan_of(allocation([{("east", "m"): count} for count in (4, 2, 2, 2)]))
    at_once = Policy(key="i", label="i", follow_plan="at_once")
    simulated = run(constant(1.0, 4.0), world, at_once, hours=4.0, plan=plan)
    assert simulated.pools.get_column("ready").min() >= 2.0
    assert simulated.pools.sort("window_start").get_column("ready")[-1] == 2.0


def test_what_found_no_gpu_is_tried_again_when_one_is_given_back() -> None:
    world = fleet(models=("m", "other"), ready=4, lent=0)
    plan = plan_of(allocation([{("east", "m"): 2, ("east", "other"): 6}, {("east", "m"): 2, ("east", "other"): 6}]))
    load = demand({("east", "m", FAST): [0.5] * 120, ("east", "other", FAST): [0.5] * 120})
    simulated = run(load, world, Policy(key="i", label="i", follow_plan="at_once"), plan=plan)
    other = simulated.pools.filter(
        (pl.col("model") == "other") & (pl.col("window_start") == START + timedelta(hours=0.5))
    )
    assert other.get_column("ready")[0] == 6.0


@pytest.mark.parametrize("step_s", [5.0, 10.0, 60.0])
def test_a_lent_replica_is_back_after_a_minute_whatever_the_step(step_s: float) -> None:
    world = fleet(ready=2, lent=1)
    simulated = run(constant(14.0, 1.0), world, REACTIVE, hours=1.0, step_s=step_s, window_s=60.0)
    assert simulated.pools.get_column("waste_gpu_hours").sum() == pytest.approx(8 * 60.0 / 3600.0)


def test_a_gap_at_the_start_is_run_at_what_was_known_before_it() -> None:
    load = demand({("east", "m", FAST): [5.0] * 120}).with_columns(
        requests=pl.when(
            pl.col("window_start").is_between(START + timedelta(hours=1), START + timedelta(hours=1.5), closed="left")
        )
        .then(None)
        .otherwise(pl.col("requests"))
    )
    later = simulation.run(load, fleet=fleet(), policy=STILL, start=START + timedelta(hours=1), hours=1.0)
    assert later.windows.get_column("arrived").sum() == pytest.approx(5.0 * 3600.0)


def test_deferrable_work_of_a_region_without_the_model_waits_at_the_nearest_one() -> None:
    world = fleet(regions=("east", "west"), ready=4)
    stock = {("east", "h100"): 32, ("west", "h100"): 4}
    there = {key: count for key, count in world.initial_replicas.items() if key[0] == "east"}
    lean = dataclasses.replace(
        world, stock_gpus=stock, initial_replicas=there, initial_lent_replicas=dict.fromkeys(there, 0)
    )
    load = demand({("west", "m", BATCH): [1.0] * 60})
    batch = run(load, lean, STILL, hours=1.0).windows.filter((pl.col("region") == "west") & (pl.col("tier") == BATCH))
    assert batch.get_column("served").sum() > 0.95 * 3600.0


def test_two_kinds_of_gpu_in_a_region_share_what_comes() -> None:
    world = fleet(ready=4)
    second = dataclasses.replace(world.replicas[0], gpu="a100")
    both = dataclasses.replace(
        world,
        replicas=(*world.replicas, second),
        stock_gpus={("east", "h100"): 32, ("east", "a100"): 32},
        initial_replicas={("east", "m", "h100"): 4, ("east", "m", "a100"): 4},
        initial_lent_replicas={},
        usd_per_gpu_hour={("east", "h100"): 10.0, ("east", "a100"): 4.0},
    )
    pools = run(constant(14.0, 1.0), both, STILL, hours=1.0).pools.filter(
        pl.col("window_start") == START + timedelta(minutes=50)
    )
    works = pools.get_column("work_fraction").to_list()
    assert works[0] == pytest.approx(works[1], rel=0.02)
    assert works[0] > 0.2


def test_an_unused_kind_of_gpu_is_not_filled_to_a_floor_of_its_own() -> None:
    world = fleet(ready=4)
    both = dataclasses.replace(
        world,
        replicas=(*world.replicas, dataclasses.replace(world.replicas[0], gpu="a100")),
        stock_gpus={("east", "h100"): 32, ("east", "a100"): 32},
        usd_per_gpu_hour={("east", "h100"): 10.0, ("east", "a100"): 4.0},
    )
    for policy in (REACTIVE, Policy(key="siloed", label="Siloed", siloed=True)):
        pools = run(constant(2.0, 3.0), both, policy, hours=3.0).pools
        assert pools.filter(pl.col("gpu") == "a100").get_column("gpu_hours").sum() == 0.0


def test_deferrable_work_fills_the_gap_up_to_six_tenths_and_never_scales_out() -> None:
    world = fleet(ready=4, lent=4)
    greatest = performance.sustained(world.replicas[0], MIX, signal_fraction=0.6).rps * 4
    load = demand({("east", "m", FAST): [0.3 * greatest] * 240, ("east", "m", BATCH): [2.0 * greatest] * 240})
    simulated = run(load, world, Policy(key="r", label="r", scale_in_below_fraction=0.0), hours=4.0)
    last = settled(simulated)
    assert last["work_fraction"] == pytest.approx(0.6, abs=0.03)
    assert last["ready"] == 4.0
    batch = simulated.windows.filter(pl.col("tier") == BATCH).sort("window_start")
    late = batch.filter(pl.col("window_start") >= START + timedelta(hours=1))
    assert late.get_column("served").sum() / 10_800.0 == pytest.approx(0.7 * greatest, rel=0.05)
    assert batch.get_column("oldest_wait_s")[-1] > 3600.0


def test_deferrable_work_grown_old_is_served_as_if_interactive() -> None:
    world = fleet(ready=2)
    greatest = performance.max_rps(world.replicas[0], MIX) * 2
    load = demand({("east", "m", FAST): [0.75 * greatest] * 240, ("east", "m", BATCH): [0.1 * greatest] * 240})
    policy = Policy(
        key="old",
        label="old",
        scale_out_above_fraction=1.0,
        scale_in_below_fraction=0.0,
        deferrable_ages_after_s=3600.0,
    )
    batch = run(load, world, policy, hours=4.0).windows.filter(pl.col("tier") == BATCH).sort("window_start")
    assert batch.get_column("served").head(11).sum() < 0.02 * batch.get_column("arrived").head(11).sum()
    assert batch.get_column("oldest_wait_s").max() <= 3610.0
    late = batch.filter(pl.col("window_start") >= START + timedelta(hours=2))
    assert late.get_column("served").sum() / 7200.0 == pytest.approx(0.1 * greatest, rel=0.05)


def test_deadlines_that_pass_without_service_are_counted_once() -> None:
    world = fleet(ready=0, free_gpus=8)
    load = demand({("east", "m", BATCH): [1.0] * 26 * 6}, window_s=600.0)
    never = Policy(key="never", label="nothing gets ready", remote_s=1e6)
    batch = run(load, world, never, hours=26.0).windows.filter(pl.col("tier") == BATCH).sort("window_start")
    assert batch.get_column("missed_deadlines").sum() == pytest.approx(2 * 3600.0, rel=0.01)
    assert batch.get_column("slo_attainment_fraction").drop_nulls().max() == 0.0
    assert batch.get_column("slo_attainment_fraction").null_count() == 24 * 12


def test_an_overloaded_region_sends_its_requests_to_the_next() -> None:
    world = fleet(regions=("east", "west"), ready=2)
    rate = 3.0 * performance.sustained(world.replicas[0], MIX, signal_fraction=0.7).rps
    simulated = run(demand({("east", "m", FAST): [rate] * 120}), world)
    east = simulated.windows.filter((pl.col("region") == "east") & (pl.col("tier") == FAST))
    moved = east.get_column("served_elsewhere").sum() / east.get_column("arrived").sum()
    assert 0.2 < moved < 0.6
    assert not east.get_column("is_saturated").tail(6).any()


@settings(deadline=None, max_examples=60)
@given(
    inside=st.lists(st.floats(0, 60), min_size=3, max_size=3),
    ready=st.lists(st.integers(1, 9), min_size=3, max_size=3),
    requests=st.integers(1, 120),
)
def test_routing_a_step_at_once_is_routing_its_requests_one_by_one(
    inside: list[float], ready: list[int], requests: int
) -> None:
    """Three regions with one pool each; a signal in proportion to what is inside; equal but for a request a replica."""
    policy = rules.rules_of(REACTIVE)
    table = np.array([[[[0, -1], [1, -1], [2, -1]]]])
    order = np.array([[0, 1, 2]])
    world = fleet(regions=("a", "b", "c"), ready=9)
    standing = setup.pools_of(world, REACTIVE)
    span = loads.Span(start=START, steps=1, step_s=10.0, window_s=300.0, demand_window_s=60.0)

    def start() -> state.State:
        begun = outset.state_of(world, standing, span, cooldown_s=0.0)
        for i, record in enumerate(begun.pools):
            record.ready, record.signal = ready[i], 0.1 * inside[i] / ready[i]
        rank, pools = begun.ranks[0], slice(begun.pools.size)
        rank.ready[pools], rank.inside[pools], rank.route_each[pools] = ready, inside, 7.0
        rank.signal[pools] = begun.pools.signal
        return begun

    at_once, one_by_one = start(), start().pools
    routing.route(at_once, order, table, policy, 0, 0, 0, 0, float(requests), 100.0, 10.0)
    counts = np.zeros(3)
    inflow = at_once.crews.inflow[0].transpose(2, 0, 1)[: counts.size]
    for _ in range(requests):
        chosen = rules.choose_pool(policy, order, 0, table, 0, 0, one_by_one)
        counts[chosen] += 1
        pool = one_by_one[chosen]
        pool.signal = 0.1 * (inside[chosen] + counts[chosen]) / pool.ready
    assert inflow.sum() == pytest.approx(requests)
    under = [0.7 * x / (7.0 * n) < 0.7 for x, n in zip(inside, ready, strict=True)]
    room = sum(max(7.0 * n - x, 0.0) for x, n, ok in zip(inside, ready, under, strict=True) if ok)
    if requests < room:  # nobody is turned away everywhere: the same but for one request on each replica
        assert inflow[:, 0, 0] == pytest.approx(counts, abs=sum(ready) + 1)
    else:  # what no region takes goes to the idlest: at least as much as one by one finds no room for
        assert inflow[:, 0, 0].max() >= (requests - room - sum(ready)) / 3


def test_more_replicas_never_lengthen_the_wait_at_fixed_routing() -> None:
    means = [
        run(constant(9.0, 1.0), fleet(ready=count), hours=1.0).windows.filter(pl.col("tier") == FAST)["ttft_mean_s"][-1]
        for count in (2, 3, 4, 6, 9)
    ]
    assert means == sorted(means, reverse=True)


def test_same_inputs_same_bytes() -> None:
    load = demand({("east", "m", FAST): [4.0, 9.0, 1.0] * 40, ("east", "m", BATCH): [3.0] * 120})
    first, second = (run(load, fleet(ready=3, lent=3), REACTIVE) for _ in range(2))
    for name in ("windows", "pools", "ttft", "scaling"):
        assert getattr(first, name).equals(getattr(second, name))


def test_cost_is_gpu_hours_at_the_price() -> None:
    simulated = run(constant(1.0, 1.0), fleet(ready=3, usd_per_gpu_hour=12.29), hours=1.0)
    assert simulated.pools.get_column("gpu_hours").sum() == pytest.approx(24.0)
    assert simulated.pools.get_column("cost_usd").sum() == pytest.approx(24.0 * 12.29)
