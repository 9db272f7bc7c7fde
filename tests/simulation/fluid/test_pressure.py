"""workbench.simulation.fluid.pressure: Chiron's back-pressure, beside the replay on the same requests.

Tolerances: replicas with an interactive request 6 %, and 15 % where a few lie among batch work, which the choice
of the least loaded replica keeps apart a little better than chance; GPU-hours 5 % where some twenty replicas serve
interactive work. How they are split between the interactive and the mixed pool is not compared: inside the dead band
any split is stable, and which one a run comes to hangs on single requests.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.replay.replay_cases import Row, prepared, requests
from tests.simulation.simulation_cases import BATCH, FAST, START, constant, demand, fleet
from workbench import performance, simulation
from workbench.domain import Fleet, Policy, TokenMix
from workbench.results import SimRun
from workbench.simulation import loads, outset, rules, setup
from workbench.simulation.fluid import pressure
from workbench.simulation.loads import Span
from workbench.simulation.replay import pressure as counting

CHIRON = Policy(
    key="chiron",
    label="Chiron",
    siloed=True,
    deferrable_share=0.25,
    mixed_share=0.25,
    scale_by="back_pressure",
    deferrable_ages_after_s=86_400.0,
)
STILL = dataclasses.replace(CHIRON, pressure_out_above_fraction=1.0, pressure_in_below_fraction=0.0, drain_in_ratio=0.0)
PROMPT, OUTPUT = 400, 200
EQUAL = TokenMix(input_tokens=float(PROMPT), output_tokens=float(OUTPUT))


def poisson(rates: list[tuple[float, str]], seconds: float, seed: int = 3) -> list[Row]:
    """Requests of one length at random instants, by rate and tier."""
    drawn = np.random.default_rng(seed)
    rows: list[Row] = []
    for rate, tier in rates:
        at = np.cumsum(drawn.exponential(1.0 / rate, int(1.3 * rate * seconds) + 20))
        rows += [(float(t), PROMPT, OUTPUT, tier, "east") for t in at[at < seconds]]
    return sorted(rows)


def run(rows: list[Row], world: Fleet, policy: Policy, engine: str, hours: float) -> SimRun:
    return simulation.run(
        requests(rows), fleet=world, policy=policy, start=START, hours=hours, engine=engine, window_s=600.0
    )


def expected(inside: float, variance: float, ready: int, share: float) -> float:
    """What the fluid simulator expects of a pool that holds so much, a share of it interactive."""
    world = fleet(ready=20)
    span = Span(start=START, steps=6, step_s=10.0, window_s=60.0, demand_window_s=60.0)
    pools = setup.pools_of(world, CHIRON)
    x = setup.inputs_of(
        loads.grid_of(constant(1.0, 0.1), world, span),
        fleet=world,
        policy=CHIRON,
        pools=pools,
        span=span,
        plan=None,
        expected=None,
    )
    s = outset.state_of(world, pools, span, cooldown_s=15.0)
    s.pools[0].ready, rank = ready, s.ranks[0]
    rank.inside[0], rank.variance[0] = inside, variance
    s.crews.inside[0, 0, :, 0] = [share * inside, 0.0, (1.0 - share) * inside]
    return float(pressure.expected_busy(x, s, 0))


@pytest.mark.parametrize("busy_fraction", [0.2, 0.5, 0.8, 1.5])
def test_expected_replicas_at_interactive_work_are_those_the_replay_counts(busy_fraction: float) -> None:
    """Ten interactive replicas, random arrivals: the mean of what is counted every ten seconds for two hours."""
    world = fleet(ready=20, mix=EQUAL, lent=0)
    ready = setup.pools_of(world, STILL)[0].ready
    stay_s = OUTPUT * (world.replicas[0].decode_base_s + 0.0004)
    rows = poisson([(busy_fraction * ready / stay_s, FAST)], 7200.0)
    made, x, s, _, steps = prepared(requests(rows), world, STILL, hours=2.0)
    seen, inside = [], []
    for step in range(steps):
        made.advance(step, step + 1)
        seen.append(counting.counted_busy(made.world, x.deferrable, 0))
        inside.append(s.pools[0].inside)
    late = slice(60, None)
    mean = float(np.mean(inside[late]))
    assert expected(mean, mean, ready, 1.0) == pytest.approx(float(np.mean(seen[late])), rel=0.06)


@pytest.mark.parametrize("interactive", [2.0, 8.0])
def test_interactive_requests_among_batch_work_lie_where_chance_puts_them(interactive: float) -> None:
    """A mixed pool of ten with some forty batch requests: counted over an hour, each replica holding about five."""
    world = fleet(ready=20, mix=EQUAL, lent=0)
    all_mixed = dataclasses.replace(STILL, route_below_fraction=0.0, floor_replicas=0, mixed_share=0.5)
    all_mixed = dataclasses.replace(all_mixed, deferrable_share=0.49, batch_fill_fraction=0.0)
    stay_s = OUTPUT * (world.replicas[0].decode_base_s + 0.002)
    rows = poisson([(interactive / stay_s, FAST), (40.0 / stay_s, BATCH)], 3600.0)
    made, x, s, _, steps = prepared(requests(rows), world, all_mixed, hours=1.0)
    mixed = next(p for p in range(s.pools.size) if s.pools[p].silo == rules.MIXED)
    s.pools.ready[0] = 0  # no interactive pool: what is interactive overflows
    seen, wanted = [], []
    for step in range(steps):
        made.advance(step, step + 1)
        seen.append(counting.counted_busy(made.world, x.deferrable, mixed))
        total = float(s.pools[mixed].inside)
        share = interactive / (interactive + 40.0)
        wanted.append(expected(total, total, int(s.pools[mixed].ready), share) if total > 0.0 else 0.0)
    assert float(np.mean(seen[60:])) == pytest.approx(float(np.mean(wanted[60:])), rel=0.15)
    assert 1.0 < float(np.mean(seen[60:])) < 9.0


def test_a_day_under_back_pressure_takes_as_many_gpus_in_both_engines() -> None:
    world = fleet(ready=40, lent=100, mix=EQUAL)
    wave = [4.0, 8.0, 12.0, 16.0, 12.0, 8.0, 4.0, 2.0]
    rows = [
        (hour * 3600.0 + row[0], *row[1:])
        for hour, rate in enumerate(wave)
        for row in poisson([(rate, FAST), (2.0, BATCH)], 3600.0, seed=hour)
    ]
    fluid, replayed = (run(rows, world, CHIRON, engine, float(len(wave))) for engine in ("fluid", "replay"))
    hours = {name: found.pools["gpu_hours"].sum() for name, found in (("fluid", fluid), ("replay", replayed))}
    assert hours["fluid"] == pytest.approx(hours["replay"], rel=0.05)
    for found in (fluid, replayed):
        served = found.windows.group_by("tier").agg(pl.col("served").sum() / pl.col("arrived").sum())
        assert served.filter(pl.col("tier").is_in([FAST, BATCH]))["served"].min() > 0.99
        silos = found.pools.group_by("silo").agg(pl.col("ready").min())
        assert silos["ready"].min() >= 2.0  # every silo keeps its floor
        assert set(silos["silo"]) == {"interactive", "mixed", "deferrable"}


@pytest.mark.parametrize("engine", ["fluid", "replay"])
def test_every_silo_is_fed_and_judged(engine: str) -> None:
    """The artifact's batch pool never ran. Here batch work runs in it, the mixed pool fills, both come and go."""
    world = fleet(ready=12, lent=40, mix=EQUAL)
    each = performance.sustained(world.replicas[0], EQUAL, signal_fraction=0.85).rps
    rows = poisson([(6.0, FAST), (6.0 * each, BATCH)], 5400.0)
    found = run(rows, world, CHIRON, engine, 1.5)
    running = dict(found.pools.group_by("silo").agg(pl.col("running").max()).iter_rows())
    assert min(running.values()) > 1.0
    moved = found.scaling.filter(pl.col("kind") != "refused").group_by("silo").agg(pl.col("replicas").sum())
    assert set(moved["silo"]) == {"interactive", "mixed", "deferrable"}


@pytest.mark.parametrize("engine", ["fluid", "replay"])
def test_a_batch_silo_grows_in_time_for_its_deadlines(engine: str) -> None:
    """Deadline an hour, five times what two replicas do: the queue grows while time is left, and none is missed."""
    world = fleet(ready=8, lent=40, mix=EQUAL)
    tiers = tuple(dataclasses.replace(tier, deadline_s=3600.0) if tier.deferrable else tier for tier in world.tiers)
    world = dataclasses.replace(world, tiers=tiers)
    each = performance.sustained(world.replicas[0], EQUAL, signal_fraction=0.85).rps
    policy = dataclasses.replace(CHIRON, mixed_share=0.0)
    policy = dataclasses.replace(CHIRON, release_one_below_fraction=0.0, release_two_below_fraction=0.0)
    rows = poisson([(10.0 * each, BATCH)], 3 * 3600.0)
    found = run(rows, world, policy, engine, 3.0)
    batch = found.pools.filter(pl.col("silo") == "deferrable").sort("window_start")
    assert batch["ready"][0] < 3.0
    assert batch["ready"].max() >= 9.0
    assert found.windows["missed_deadlines"].sum() == 0.0
    assert found.windows["oldest_wait_s"].max() > 900.0


@pytest.mark.slow
def test_both_engines_size_the_batch_silo_alike() -> None:
    world = fleet(ready=8, lent=40, mix=EQUAL)
    tiers = tuple(dataclasses.replace(tier, deadline_s=3600.0) if tier.deferrable else tier for tier in world.tiers)
    world = dataclasses.replace(world, tiers=tiers)
    each = performance.sustained(world.replicas[0], EQUAL, signal_fraction=0.85).rps
    rows = poisson([(8.0 * each, BATCH)], 3 * 3600.0)
    hours = [
        run(rows, world, CHIRON, engine, 3.0).pools.filter(pl.col("silo") == "deferrable")["gpu_hours"].sum()
        for engine in ("fluid", "replay")
    ]
    assert hours[0] == pytest.approx(hours[1], rel=0.05)


@pytest.mark.parametrize("engine", ["fluid", "replay"])
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_requests_and_gpus_are_conserved_in_three_silos(engine: str, data: st.DataObject) -> None:
    """Arrived = served + backlog, serving + lent + free GPUs = stock, whatever comes and however short replicas are."""
    ready, lent, free = data.draw(st.integers(0, 8)), data.draw(st.integers(0, 6)), data.draw(st.integers(0, 24))
    rates = data.draw(st.lists(st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)), min_size=1, max_size=4))
    rows = [
        (quarter * 900.0 + row[0], *row[1:])
        for quarter, (fast, batch) in enumerate(rates)
        for row in poisson([(fast, FAST), (batch, BATCH)], 900.0, seed=quarter)
    ]
    world = fleet(ready=ready, lent=lent, free_gpus=free + 8, mix=EQUAL)
    policy = dataclasses.replace(CHIRON, swap_s=120.0, remote_s=300.0)
    found = run(rows, world, policy, engine, len(rates) / 4.0)
    last = found.windows.filter(pl.col("window_start") == found.windows["window_start"].max())
    assert found.windows["arrived"].sum() == pytest.approx(len(rows))
    assert found.windows["served"].sum() + last["backlog"].sum() == pytest.approx(len(rows), abs=1e-6)
    states = ("ready", "starting_reclaim", "starting_swap", "starting_remote", "draining", "lent")
    held = found.pools.group_by("window_start").agg(pl.sum_horizontal(states).sum().alias("held"))["held"] * 8
    stock = world.stock_gpus["east", "h100"]
    assert held.max() <= stock + 1e-6
    assert held.min() >= stock - free - 8 - 1e-6


def test_constant_load_does_not_flap() -> None:
    """Six hours of the same rate: after the first hour hardly a replica comes or goes."""
    world = fleet(ready=40, lent=40, mix=EQUAL)
    rows = poisson([(4.0, FAST)], 6 * 3600.0)
    for engine in ("fluid", "replay"):
        found = run(rows, world, CHIRON, engine, 6.0)
        late = found.scaling.filter(pl.col("window_start") >= START + timedelta(hours=1))
        assert late["replicas"].sum() <= 10.0, engine


def test_without_deferrable_work_there_is_one_pool_under_back_pressure() -> None:
    world = fleet(ready=6, lent=20)
    alone = dataclasses.replace(world, tiers=tuple(tier for tier in world.tiers if not tier.deferrable))
    found = simulation.run(
        demand({("east", "m", FAST): [8.0] * 120}), fleet=alone, policy=CHIRON, start=START, hours=2.0
    )
    assert set(found.pools["silo"]) == {"shared"}
    assert found.pools["ready"].max() > 6.0
