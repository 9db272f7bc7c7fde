"""What workbench.simulation.replay refuses, by name and place, before anything is compiled or run."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.replay.replay_cases import STILL, requests, run, steadily
from tests.simulation.replay.test_replay_reference import REGIONS
from tests.simulation.simulation_cases import FAST, START, allocation, constant, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import ScenarioError, SimulationError, TableError


@pytest.mark.parametrize(("column", "value"), [("input_tokens", 0), ("output_tokens", 0), ("input_tokens", -5)])
def test_a_request_without_tokens_is_refused(column: str, value: int) -> None:
    load = steadily(1.0, 10.0).with_columns(pl.lit(value).alias(column))
    with pytest.raises(TableError, match=f"not \\({column} >= 1\\) in 10 of 10 rows"):
        run(load, fleet())


@pytest.mark.parametrize("column", ["arrived_at", "input_tokens", "tier"])
def test_a_request_with_a_hole_is_refused(column: str) -> None:
    load = steadily(1.0, 10.0).with_columns(pl.lit(None).alias(column))
    with pytest.raises(TableError, match=f"{column} is null"):
        run(load, fleet())


def test_a_length_that_is_not_a_number_is_refused() -> None:
    load = steadily(1.0, 10.0).with_columns(pl.lit(float("nan")).alias("input_tokens"))
    with pytest.raises(TableError, match="cannot be cast"):
        run(load, fleet())


@pytest.mark.parametrize("column", ["region", "model", "tier"])
def test_a_name_that_the_fleet_lacks_is_refused(column: str) -> None:
    with pytest.raises(SimulationError, match=f"{column}\\(s\\) nowhere that the fleet lacks"):
        run(steadily(1.0, 10.0).with_columns(pl.lit("nowhere").alias(column)), fleet())


@pytest.mark.parametrize("engine_name", ["fluid", "replay"])
def test_a_region_without_route_is_refused(engine_name: str) -> None:
    world = fleet(regions=REGIONS)
    lonely = dataclasses.replace(world, network_latency_s={("east", "east"): 0.003, ("east", "west"): 0.04})
    load = requests([(1.0, 100, 10, FAST, "west")])
    with pytest.raises(SimulationError, match="requests from west for m have no route"):
        simulation.run(load, fleet=lonely, policy=STILL, start=START, hours=0.5, engine=engine_name)


def test_a_full_region_without_route_to_the_next_keeps_its_requests() -> None:
    world = fleet(regions=REGIONS, ready=1)
    alone = dataclasses.replace(world, network_latency_s={(here, here): 0.003 for here in REGIONS})
    load = steadily(8.0, 600.0)
    assert run(load, world).windows["served_elsewhere"].sum() > 100.0
    assert run(load, alone).windows["served_elsewhere"].sum() == 0.0


@pytest.mark.parametrize("delay_s", [-0.1, float("nan")])
def test_a_network_latency_that_is_no_delay_is_refused(delay_s: float) -> None:
    bad = dataclasses.replace(fleet(), network_latency_s={("east", "east"): delay_s})
    with pytest.raises(SimulationError, match=r"latency from east to east is (-0.1|nan) s; give seconds"):
        run(steadily(1.0, 10.0), bad)


def test_sums_per_window_cannot_be_replayed() -> None:
    with pytest.raises(SimulationError, match="takes single requests"):
        run(constant(1.0, 0.5), fleet())


def test_a_plan_with_a_hole_is_refused() -> None:
    plan = plan_of(allocation([{("east", "m"): 2}]))
    with pytest.raises(SimulationError, match="no replicas for m on h100 in east in hour 1"):
        run(steadily(1.0, 10.0), fleet(), Policy(key="i", label="i", follow_plan="at_once"), hours=2.0, plan=plan)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_a_span_that_is_none_is_refused(hours: float) -> None:
    with pytest.raises(SimulationError, match="hours and step_s must be positive numbers"):
        run(steadily(1.0, 10.0), fleet(), hours=hours)


@pytest.mark.parametrize("delay", ["reclaim_s", "swap_s", "remote_s"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_delay_that_is_no_time_is_refused(delay: str, value: float) -> None:
    with pytest.raises(ScenarioError, match=f"{delay} must be a number of seconds"):
        dataclasses.replace(STILL, **{delay: value})


def test_a_fleet_without_a_gpu_is_refused() -> None:
    with pytest.raises(SimulationError, match="no region holds enough GPUs for one replica of any model"):
        run(
            steadily(1.0, 10.0),
            dataclasses.replace(fleet(), stock_gpus={}, initial_replicas={}, initial_lent_replicas={}),
        )


def test_a_length_beyond_all_memory_is_shed_like_any_that_fits_nowhere() -> None:
    load = requests([(1.0, 2**31, 1, FAST, "east"), (2.0, 1, 2**40, FAST, "east"), (3.0, 10, 10, FAST, "east")])
    run_ = run(load, fleet(), keep_requests=True)
    assert run_.requests is not None
    assert run_.requests["outcome"].to_list() == ["shed", "shed", "served"]
    (note,) = run_.notes
    assert note.startswith("2 requests were shed: prompt and output together are more KV tokens than")
