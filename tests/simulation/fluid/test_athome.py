"""workbench.simulation.fluid.athome: sixteen pools at once take what the routing, origin by origin, gives them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.simulation.simulation_cases import BATCH, FAST, NORMAL, START, demand, fleet
from workbench.domain import Fleet, Policy
from workbench.simulation import outset, setup, state
from workbench.simulation import rules as r
from workbench.simulation.fluid import athome
from workbench.simulation.fluid import engine as fluid
from workbench.simulation.loads import Span, grid_of

REGIONS, MODELS, HOURS = ("east", "west"), ("a", "b"), 2
REACTIVE = Policy(key="reactive", label="Reactive", swap_s=60.0, remote_s=120.0)
SPAN = Span(start=START, steps=HOURS * 360, step_s=10.0, window_s=3600.0, demand_window_s=60.0)


def inputs_for(world: Fleet, rates: dict[tuple[str, str, str], list[float]], policy: Policy = REACTIVE) -> state.Inputs:
    """The inputs of a run of two hours."""
    laid = grid_of(demand(rates), world, SPAN)
    return setup.inputs_of(
        laid, fleet=world, policy=policy, pools=setup.pools_of(world, policy), span=SPAN, plan=None, expected=None
    )


def recorded(world: Fleet, x: state.Inputs, policy: Policy) -> tuple[state.Record, state.State]:
    """What the fluid simulator records of two hours, and how it ends."""
    pools = setup.pools_of(world, policy)
    at_start = outset.state_of(world, pools, SPAN, cooldown_s=policy.cooldown_s)
    record = outset.record_of(world, pools, SPAN)
    fluid.simulate(x, at_start, record, r.rules_of(policy), 0, SPAN.steps)
    return record, at_start


def at_rest(batch: float) -> tuple[state.Inputs, state.State, r.Rules]:
    """One pool of four replicas, offered twelve interactive requests a step and some that can wait."""
    world = fleet()
    x = inputs_for(world, {("east", "m", FAST): [1.2] * 120, ("east", "m", BATCH): [batch] * 120})
    s = outset.state_of(world, setup.pools_of(world, REACTIVE), SPAN, cooldown_s=15.0)
    rank = s.ranks[0]
    rank.ready[0], rank.route_each[0], rank.release_each[0] = 4.0, 10.0, 8.0
    x.prompt_mean[:], x.output_mean[:] = (100.0, 100.0, 1000.0), (10.0, 10.0, 50.0)
    assert athome.offer(x, s, 0, 6, 3600, True)
    return x, s, r.rules_of(REACTIVE)


def test_an_idle_pool_takes_its_arrivals_and_two_of_the_queue_by_replica() -> None:
    x, s, rules = at_rest(batch=5.0)
    rank = s.ranks[0]
    assert athome.stay_home(s.ranks, rules)
    assert rank.arriving[0] == 12.0 + 2 * 4
    assert rank.prompts[0] == 12.0 * 100.0 + 8.0 * 1000.0
    assert rank.outputs[0] == 12.0 * 10.0 + 8.0 * 50.0
    athome.tell_home(x, s)
    assert s.crews[0, 0].inflow[:, 0].tolist() == [12.0, 0.0, 8.0]
    assert s.released[0, 0, 0] == 8.0


def test_what_stayed_is_routed_where_others_are() -> None:
    x, s, rules = at_rest(batch=5.0)
    assert athome.stay_home(s.ranks, rules)
    athome.hand_back(x, s)
    assert (s.together[0, 0], s.crews[0, 0, 2].inflow[0], s.released[0, 0, 0]) == (12.0, 8.0, 8.0)


def test_few_pools_stay_home_as_a_whole_rank_does() -> None:
    ends = []
    for is_few in (True, False):
        _, s, rules = at_rest(batch=5.0)
        assert s.few.size == 1
        assert athome.stay_home(s.few, rules) if is_few else athome.stay_home(s.ranks, rules)
        ends.append(s.ranks)
    assert (ends[0] == ends[1]).all()


@pytest.mark.parametrize(("signal", "going"), [(0.55, 4.0), (0.65, 0.0)])
def test_a_fuller_pool_lets_less_go(signal: float, going: float) -> None:
    _, s, rules = at_rest(batch=5.0)
    s.ranks[0].signal[0] = signal
    assert athome.stay_home(s.ranks, rules)
    assert s.ranks[0].arriving[0] == 12.0 + going


@pytest.mark.parametrize(("inside", "signal"), [(33.0, 0.1), (0.0, 0.7)])
def test_nothing_moves_where_a_pool_has_no_room(inside: float, signal: float) -> None:
    """Room is 4 x 10 - 33 = 7, and a request more on each replica: 11 of the 12 that come. At the threshold none is."""
    _, s, rules = at_rest(batch=5.0)
    s.ranks[0].inside[0], s.ranks[0].signal[0] = inside, signal
    assert not athome.stay_home(s.ranks, rules)
    assert s.ranks[0].arriving[0] == 0.0


def test_a_queue_that_has_grown_old_is_routed() -> None:
    x, s, _ = at_rest(batch=5.0)
    s.arrived[1:4, 0, 0, 0] = 50.0
    assert athome.offer(x, s, 6, 12, 11, False)  # in the last step what came before the first is old
    assert not athome.offer(x, s, 6, 12, 10, False)


def test_pools_at_home_are_those_that_share_no_origin() -> None:
    world = fleet(regions=REGIONS, models=MODELS)
    rates = {("east", "a", FAST): [1.0] * 120}
    assert inputs_for(world, rates).homes.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    siloed = dataclasses.replace(REACTIVE, siloed=True)
    assert inputs_for(world, rates, siloed).homes.shape == (0, 2)
    apart = dataclasses.replace(
        world,
        stock_gpus=world.stock_gpus | {("west", "h100"): 0},
        initial_replicas={cell: count for cell, count in world.initial_replicas.items() if cell[0] == "east"},
        initial_lent_replicas={},
    )
    assert inputs_for(apart, rates).homes.shape == (0, 2)


@settings(max_examples=15, deadline=None)
@given(
    levels=st.lists(st.floats(0.0, 40.0), min_size=8, max_size=8),
    ages_s=st.sampled_from([0.0, 600.0, 36_000.0]),
    ready=st.integers(1, 6),
)
@example(levels=[0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.225073858507e-311], ages_s=0.0, ready=1)
def test_it_makes_no_difference_whether_pools_are_looked_at_one_by_one(
    levels: list[float], ages_s: float, ready: int
) -> None:
    world = fleet(regions=REGIONS, models=MODELS, ready=ready, lent=2, free_gpus=16)
    policy = dataclasses.replace(REACTIVE, deferrable_ages_after_s=ages_s)
    cells = [(region, model) for region in REGIONS for model in MODELS]
    rates = {(*cell, FAST): [level] * 60 + [level / 2] * 60 for cell, level in zip(cells, levels[:4], strict=True)}
    rates |= {(*cell, NORMAL): [level / 4] * 120 for cell, level in zip(cells, levels[:4], strict=True)}
    rates |= {(*cell, BATCH): [level / 3] * 120 for cell, level in zip(cells, levels[4:], strict=True)}
    x = inputs_for(world, rates, policy)
    assert x.homes.shape == (4, 2)
    together, end = recorded(world, x, policy)
    singly, other = recorded(world, x._replace(homes=np.empty((0, 2), dtype=np.int64)), policy)
    for name in ("series", "pools", "events"):
        assert getattr(together, name) == pytest.approx(getattr(singly, name), rel=1e-9, abs=1e-6), name
        assert np.isfinite(getattr(together, name)).all(), name
    assert end.released == pytest.approx(other.released, rel=1e-12)
    assert end.arrived == pytest.approx(other.arrived, rel=1e-12)
