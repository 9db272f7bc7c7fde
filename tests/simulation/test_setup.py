"""workbench.simulation.setup and workbench.simulation.loads: what is refused; silos, gaps, surprises."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation.simulation_cases import FAST, START, allocation, constant, demand, fleet
from tests.simulation.test_fluid import REACTIVE, plan_of
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import loads, setup
from workbench.simulation import rules as r

SILOED = Policy(key="siloed", label="Siloed", siloed=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hours": 0.0}, "hours and step_s must be positive"),
        ({"step_s": 7.0}, "whole number of steps"),
        ({"window_s": 5.0}, "whole number of steps"),
        ({"window_s": 90.0}, "divide an hour and be whole minutes"),
        ({"window_s": 420.0}, "divide an hour and be whole minutes"),
        ({"window_s": 7200.0}, "divide an hour and be whole minutes"),
        ({"start": START + timedelta(seconds=30)}, "edge of the demand's windows"),
        ({"policy": Policy(key="i", label="i", follow_plan="at_once")}, "follows a plan and got none"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    arguments = {"fleet": fleet(), "policy": REACTIVE, "start": START, "hours": 1.0} | changes
    with pytest.raises(SimulationError, match=message):
        simulation.run(constant(1.0, 1.0), **arguments)  # type: ignore[arg-type]


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
    sides = setup.pools_of(world, SILOED)
    assert sum(pool.ready + pool.lent for pool in sides) == ready + lent
    assert min(pool.ready for pool in sides) >= 0
    assert min(pool.lent for pool in sides) >= 0


def test_silos_share_the_same_total_as_the_shared_pool() -> None:
    world = fleet(ready=20, lent=5)
    shared, sides = setup.pools_of(world, REACTIVE), setup.pools_of(world, SILOED)
    assert [(pool.silo, pool.ready, pool.lent) for pool in shared] == [(r.SHARED, 20, 5)]
    assert [(pool.silo, pool.ready, pool.lent) for pool in sides] == [(r.INTERACTIVE, 16, 4), (r.DEFERRABLE, 4, 1)]


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


def test_surprise_is_observed_over_expected_and_one_where_nothing_is_known() -> None:
    span = loads.Span(start=START, steps=720, step_s=10.0, window_s=300.0, demand_window_s=60.0)
    expected = pl.DataFrame(
        {
            "window_start": [START + timedelta(hours=1)],
            "region": ["east"],
            "model": ["m"],
            "input_tps": [2.0 * 1490.0],
        }
    )
    inputs = setup.inputs_of(
        constant(10.0, 2.0),
        fleet=fleet(),
        policy=REACTIVE,
        pools=setup.pools_of(fleet(), REACTIVE),
        span=span,
        plan=None,
        expected=expected,
    )
    ratio = inputs.observed_over_forecast[:, 0, 0]
    assert np.all(ratio[:360] == 1.0)
    assert ratio[360:] == pytest.approx(5.0)
