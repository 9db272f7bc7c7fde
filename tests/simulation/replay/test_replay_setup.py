"""workbench.simulation.replay.setup: requests in order, tables of prompts, places for replicas."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.simulation.replay.test_replay_reference import REGIONS
from tests.simulation.simulation_cases import START, fleet
from workbench import performance
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import loads
from workbench.simulation.replay import setup, state
from workbench.simulation.scheduling import Scheduling
from workbench.simulation.setup import pools_of

SPAN = loads.Span(start=START, steps=6, step_s=10.0, window_s=60.0, demand_window_s=10.0)


def test_every_pool_has_a_block_of_places_and_a_table_of_prompts() -> None:
    world = fleet(regions=REGIONS, ready=2, lent=1, free_gpus=8)
    pools = pools_of(world, Policy(key="p", label="p"))
    made = setup.world_of(world, pools)
    assert made.speeds.places.tolist() == [4, 4]
    assert made.speeds.first.tolist() == [0, state.BLOCK]
    assert made.replicas.pool.tolist() == [0] * state.BLOCK + [1] * state.BLOCK
    tokens, seconds, slope = made.prompts[0, 1]
    assert tokens == 512.0
    assert seconds == pytest.approx(performance.prompt_s_per_token(world.replicas[0], 512.0) * 512.0)
    assert slope == pytest.approx(55e-6)


def test_the_order_has_a_promise_for_each_of_three_tiers() -> None:
    how = setup.order_of(Scheduling(order="edf", chunk_tokens=512), np.array([1.0, 60.0]))
    assert how.scheduler == state.EDF
    assert how.promise_s.size == state.TIERS
    assert how.promise_s[2] > 1e9


def test_more_tiers_than_there_are_queues_are_refused() -> None:
    with pytest.raises(SimulationError, match="knows up to 3 tiers, the fleet has 4"):
        setup.order_of(Scheduling(), np.ones(4))


def test_deferrable_work_waits_where_the_nearest_pool_is() -> None:
    world = fleet(regions=REGIONS)
    there = {key: count for key, count in world.initial_replicas.items() if key[0] == "east"}
    lean = dataclasses.replace(
        world,
        stock_gpus={("east", "h100"): 32, ("west", "h100"): 4},
        initial_replicas=there,
        initial_lent_replicas=dict.fromkeys(there, 0),
    )
    pools = pools_of(lean, Policy(key="p", label="p"))
    made = setup.world_of(lean, pools)
    records = np.zeros(1, dtype=[("region", np.int64)])
    pools_in = np.array([[[[0, -1], [-1, -1]]] * 2])
    outside = setup.outside_of(lean, made, records, np.array([[0, 1], [1, 0]]), pools_in)
    assert outside.hosts.tolist() == [[0], [0]]
    cut_off = setup.outside_of(lean, made, records, np.array([[0, 1], [1, -1]]), pools_in)
    assert cut_off.hosts.tolist() == [[0], [-1]]
