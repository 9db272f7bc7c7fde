"""workbench.simulation.setup and workbench.simulation.loads: what is refused; silos, gaps, surprises."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.simulation.fluid.test_fluid import REACTIVE, plan_of
from tests.simulation.simulation_cases import FAST, START, allocation, constant, demand, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import loads, outset, setup
from workbench.simulation import rules as r

SILOED = Policy(key="siloed", label="Siloed", siloed=True)
CHIRON = Policy(
    key="chiron", label="Chiron", siloed=True, deferrable_share=0.25, mixed_share=0.25, scale_by="back_pressure"
)


def test_demand_of_an_unknown_region_is_refused_by_name() -> None:
    load = demand({("mars", "m", FAST): [1.0] * 60})
    with pytest.raises(SimulationError, match="mars"):
        simulation.run(load, fleet=fleet(), policy=REACTIVE, start=START, hours=1.0)


def test_a_plan_with_a_hole_is_refused() -> None:
    plan = plan_of(allocation([{("east", "m"): 3}]))
    policy = Policy(key="i", label="i", follow_plan="at_once")
    with pytest.raises(SimulationError, match="in hour 1"):
        simulation.run(constant(1.0, 2.0), fleet=fleet(), policy=policy, start=START, hours=2.0, plan=plan)


@pytest.mark.parametrize(("ready", "lent"), [(0, 0), (1, 0), (2, 0), (2, 1), (3, 9), (20, 5)])
def test_a_siloed_fleet_starts_with_the_same_total_as_a_shared_one(ready: int, lent: int) -> None:
    world = fleet(ready=ready, lent=lent, free_gpus=80)
    for policy in (SILOED, CHIRON):
        sides = setup.pools_of(world, policy)
        assert len(sides) == policy.silos
        assert sum(pool.ready + pool.lent for pool in sides) == ready + lent
        assert min(pool.ready for pool in sides) >= 0
        assert min(pool.lent for pool in sides) >= 0


def test_silos_share_the_same_total_as_the_shared_pool() -> None:
    world = fleet(ready=20, lent=5)
    shared, sides = setup.pools_of(world, REACTIVE), setup.pools_of(world, SILOED)
    assert [(pool.silo, pool.ready, pool.lent) for pool in shared] == [(r.SHARED, 20, 5)]
    assert [(pool.silo, pool.ready, pool.lent) for pool in sides] == [(r.INTERACTIVE, 16, 4), (r.DEFERRABLE, 4, 1)]


def test_a_chiron_fleet_of_forty_starts_as_twenty_ten_and_ten() -> None:
    sides = setup.pools_of(fleet(ready=40, lent=8), CHIRON)
    assert [(pool.silo, pool.ready, pool.lent) for pool in sides] == [
        (r.INTERACTIVE, 20, 4),
        (r.DEFERRABLE, 10, 2),
        (r.MIXED, 10, 2),
    ]
    small = setup.pools_of(fleet(ready=2, lent=4), CHIRON)
    assert [(pool.ready, pool.lent) for pool in small] == [(2, 0), (2, 0), (2, 0)]


@settings(deadline=None)
@given(
    ready=st.integers(0, 40),
    lent=st.integers(0, 20),
    floor=st.integers(0, 5),
    deferrable=st.floats(0, 0.99),
    mixed=st.floats(0, 0.99),
)
def test_whatever_the_shares_no_replica_is_made_or_lost(
    ready: int, lent: int, floor: int, deferrable: float, mixed: float
) -> None:
    assume(deferrable + mixed < 1.0)
    policy = Policy(
        key="s", label="s", siloed=True, deferrable_share=deferrable, mixed_share=mixed, floor_replicas=floor
    )
    sides = setup.pools_of(fleet(ready=ready, lent=lent, free_gpus=8), policy)
    assert sum(pool.ready + pool.lent for pool in sides) == ready + lent
    assert min(min(pool.ready, pool.lent) for pool in sides) >= 0
    if ready + lent >= floor * policy.silos:
        assert min(pool.ready for pool in sides) >= floor


def test_a_mixed_pool_is_where_either_kind_overflows_before_the_next_region() -> None:
    """Two regions of three pools each: places 0 and 1 are the silos of the first, 2 and 3 those of the second."""
    world = fleet(regions=("east", "west"), ready=12)
    span = loads.Span(start=START, steps=6, step_s=10.0, window_s=60.0, demand_window_s=60.0)
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
    assert x.preference.tolist() == [[0, 1, 2, 3], [2, 3, 0, 1]]
    assert x.pools_in[0, :, :, 0].tolist() == [[0, 2, 3, 5], [1, 2, 4, 5]]
    records = outset.state_of(world, pools, span, cooldown_s=15.0).pools
    assert records.kin.tolist() == [1, 2, 0, 4, 5, 3]
    assert records.group.tolist() == [0, 1, 2, 3, 4, 5]


def test_small_pools_take_their_second_floor_from_the_lent_replicas() -> None:
    sides = setup.pools_of(fleet(ready=2, lent=4), SILOED)
    assert [(pool.ready, pool.lent) for pool in sides] == [(2, 2), (2, 0)]


def test_a_gap_of_the_source_is_run_at_the_last_known_rate() -> None:
    load = demand({("east", "m", FAST): [2.0] * 60}).with_columns(
        pl.when(pl.col("window_start") >= START + timedelta(minutes=30))
        .then(None)
        .otherwise(pl.col("requests"))
        .alias("requests")
    )
    simulated = simulation.run(load, fleet=fleet(), policy=REACTIVE, start=START, hours=1.0)
    assert simulated.windows.get_column("arrived").sum() == pytest.approx(7200.0)


@pytest.mark.parametrize(("ready", "width"), [(65_535, 2), (65_536, 4)])
def test_calendars_hold_all_replicas_of_a_stock(ready: int, width: int) -> None:
    """Starts are counted by step in numbers as narrow as the stock allows, and in none that wraps round."""
    world = fleet(ready=ready)
    span = loads.Span(start=START, steps=6, step_s=10.0, window_s=60.0, demand_window_s=10.0)
    made = outset.state_of(world, setup.pools_of(world, REACTIVE), span, cooldown_s=15.0)
    assert (made.ready_at.itemsize, made.drained_at.itemsize) == (width, width)
