"""workbench.simulation.expectations: what came beside what was expected, and what no expectation can be.

The replay takes note of single requests block by block, the fluid simulator of a load that is laid out.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.simulation.fluid.test_fluid import REACTIVE, plan_of
from tests.simulation.replay.replay_cases import requests
from tests.simulation.simulation_cases import BATCH, FAST, START, allocation, constant, fleet
from workbench import performance, simulation
from workbench.domain import Policy
from workbench.errors import SimulationError
from workbench.simulation import loads, setup
from workbench.simulation.expectations import Surprise, surprise_for

TWO_MINUTES = loads.Span(start=START, steps=12, step_s=10.0, window_s=60.0, demand_window_s=120.0)


def expecting(input_tps: float) -> pl.DataFrame:
    return pl.DataFrame({"window_start": [START], "region": ["east"], "model": ["m"], "input_tps": [input_tps]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "mars"}, "the expectation names region mars, which the fleet lacks; it has east"),
        ({"model": "gpt"}, "the expectation names model gpt"),
        ({"input_tps": -1.0}, "rates below nought"),
    ],
)
def test_an_impossible_expectation_is_refused(changes: dict[str, object], message: str) -> None:
    row = {"window_start": START, "region": "east", "model": "m", "input_tps": 1.0} | changes
    plan = plan_of(allocation([{("east", "m"): 3}]))
    policy = Policy(key="ua", label="ua", follow_plan="paced_with_override")
    with pytest.raises(SimulationError, match=message):
        simulation.run(
            constant(1.0, 1.0), fleet=fleet(), policy=policy, start=START, hours=1.0, plan=plan,
            expected=pl.DataFrame([row]),
        )  # fmt: skip


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
        loads.grid_of(constant(10.0, 2.0), fleet(), span),
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


def test_the_ratio_is_that_of_the_last_minute() -> None:
    """600 tokens in the first step, 1200 in the seventh; 10 a second are expected."""
    seen = Surprise(fleet(), TWO_MINUTES, is_expecting=True)
    seen.expect(expecting(10.0), 0, 12)
    zero = np.zeros(2, dtype=np.int16)
    seen.observe(np.array([0, 6]), zero, zero, np.array([600.0, 1200.0]))
    seen.tell(0, 5)
    seen.tell(5, 8)  # told in parts as blocks of requests become known
    ratio = seen.ratio[:, 0, 0]
    assert ratio[:6] == pytest.approx([6.0 / n for n in range(1, 7)])
    assert ratio[6:8] == pytest.approx([2.0, 2.0])
    assert ratio[8:].tolist() == [1.0] * 4


def test_the_observed_is_a_mean_over_as_long_as_asked() -> None:
    """600 tokens in the first step alone; 10 a second are expected, and two minutes remember what one forgets."""
    seen = Surprise(fleet(), TWO_MINUTES, is_expecting=True, over_s=120.0)
    seen.expect(expecting(10.0), 0, 12)
    zero = np.zeros(1, dtype=np.int16)
    seen.observe(np.array([0]), zero, zero, np.array([600.0]))
    seen.tell(0, 12)
    assert seen.ratio[:, 0, 0] == pytest.approx([6.0 / n for n in range(1, 13)])


def test_the_highest_of_late_counts_and_is_forgotten_in_time() -> None:
    """Means over 20 s of 600 tokens in the second step: 30 a second for two steps, remembered for 40 s."""
    seen = Surprise(fleet(), TWO_MINUTES, is_expecting=True, over_s=20.0, highest_s=40.0)
    seen.expect(expecting(10.0), 0, 12)
    zero = np.zeros(1, dtype=np.int16)
    seen.observe(np.array([1]), zero, zero, np.array([600.0]))
    for first, last in ((0, 3), (3, 4), (4, 12)):  # in parts it is the same
        seen.tell(first, last)
    assert seen.ratio[:, 0, 0] == pytest.approx([0.0, *[3.0] * 5, *[0.0] * 6])


def test_arrivals_are_held_against_what_one_replica_can_serve() -> None:
    """Whatever a forecast says: the ratio is the load in replicas, of the slowest kind where there are several."""
    world = fleet()
    kind, mix = world.replicas[0], world.mixes["m"]
    one_tps = performance.max_rps(kind, mix) * mix.input_tokens
    slower = dataclasses.replace(kind, gpu="other", decode_base_s=10.0 * kind.decode_base_s)
    policy = dataclasses.replace(REACTIVE, scale_by="arrivals")
    for several in (False, True):
        fleet_now = dataclasses.replace(world, replicas=(kind, slower) if several else (kind,))
        seen = surprise_for(policy, fleet_now, TWO_MINUTES, expected=expecting(1.0), is_steered=True)
        zero = np.zeros(12, dtype=np.int16)
        seen.observe(np.arange(12), zero, zero, np.full(12, 3.0 * one_tps * TWO_MINUTES.step_s))
        seen.tell(0, 12)
        least_tps = min(performance.max_rps(one, mix) for one in fleet_now.replicas) * mix.input_tokens
        assert seen.ratio[:, 0, 0] == pytest.approx(3.0 * one_tps / least_tps)
        assert (least_tps < one_tps) == several


def test_without_an_expectation_nothing_surprises() -> None:
    seen = Surprise(fleet(), TWO_MINUTES, is_expecting=False)
    zero = np.zeros(1, dtype=np.int16)
    seen.observe(np.array([0]), zero, zero, np.array([600.0]))
    seen.tell(0, 12)
    assert seen.ratio.tolist() == [[[1.0]]]  # one step, which holds for all


def test_nothing_expected_and_nothing_come_is_no_surprise() -> None:
    seen = Surprise(fleet(), TWO_MINUTES, is_expecting=True)
    seen.expect(expecting(0.0), 0, 12)
    seen.tell(0, 12)
    assert (seen.ratio == np.ones((12, 1, 1))).all()


def test_the_replay_compares_interactive_requests_alone() -> None:
    """With five times the forecast, and the rest deferrable, LT-UA goes beyond the plan after minute forty."""
    rows = [(i / 10, 2000, 40, FAST if i % 2 else BATCH, "east") for i in range(36_000)]
    plan = plan_of(allocation([{("east", "m"): 3}]))
    policy = Policy(key="ua", label="ua", follow_plan="paced_with_override", scale_out_above_fraction=0.31)
    starts = {}
    for expected_tps in (2000.0, 2001.0):  # 10,000 interactive tokens come a second: five times the first
        done = simulation.run(
            requests(rows), fleet=fleet(ready=3, lent=3), policy=policy, start=START, hours=1.0, plan=plan,
            expected=expecting(expected_tps), engine="replay",
        )  # fmt: skip
        starts[expected_tps] = done.scaling.filter(pl.col("kind") == "reclaim").get_column("replicas").sum()
    assert starts[2000.0] > 0
    assert starts[2001.0] == 0


@pytest.mark.parametrize("engine", ["fluid", "replay"])
def test_a_pool_settles_at_the_least_from_below_and_at_the_most_from_above(engine: str) -> None:
    """Arrivals for 3.9 replicas are staffed with 3.9 / 0.8 + 1 x 1.97 = 6.8 at least, and with 1.5 x 1.97 7.8 at most.

    Deferrable requests come as often and are not staffed for.
    """
    world = fleet()
    mix = world.mixes["m"]
    rps = 3.9 * performance.max_rps(world.replicas[0], mix)
    policy = Policy(
        key="a", label="a", scale_by="arrivals", staffed_load_fraction=0.8, spare_ratio=1.0, spare_in_ratio=1.5,
        scale_out_above_fraction=0.99, release_one_below_fraction=0.0, release_two_below_fraction=0.0,
    )  # fmt: skip
    rows = [
        ((i + 0.5) / rps, round(mix.input_tokens), round(mix.output_tokens), tier, "east")
        for i in range(int(1800 * rps))
        for tier in (FAST, BATCH)
    ]
    settled = []
    for ready in (3, 12):
        done = simulation.run(
            requests(rows), fleet=fleet(ready=ready, lent=12 - ready), policy=policy, start=START, hours=0.5,
            engine=engine,
        )  # fmt: skip
        settled.append(done.pools.sort("window_start").get_column("ready").to_list()[-1])
    assert settled == [7, 8]
