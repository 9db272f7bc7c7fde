"""How a solved hour is judged: statuses, bounds, solvers, and what happens when the stock is too small."""

from __future__ import annotations

import dataclasses

import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import problem

from workbench.errors import PlanError
from workbench.planning.bounded_cbc import BoundedCBC
from workbench.planning.heuristic import round_up
from workbench.planning.problem import Problem
from workbench.planning.programme import gaps, objective_usd, solve_hour

EAST, WEST = ("east", "m", "h100"), ("west", "m", "h100")
THETA = {("m", "h100"): 100.0}
POOLS = ("east", "m"), ("west", "m")


def two_regions(east: float, west: float, *, stock: tuple[int, int] = (100, 100), floor: int = 0) -> Problem:
    return problem(
        now={EAST: 1, WEST: 1},
        demand={("east", "m"): east, ("west", "m"): west},
        theta=THETA,
        epsilon=0.5,
        stock={("east", "h100"): stock[0], ("west", "h100"): stock[1]},
        floor=floor,
    )


def test_demand_over_stock_is_unmet_and_the_stock_is_used_up() -> None:
    """D = (1000, 100) and six GPUs: 600 served, 500 unmet; east lacks nothing of 500 with its four."""
    plan = solve_hour(two_regions(1000.0, 100.0, stock=(4, 2)))
    assert plan.status == "optimal"
    assert plan.replicas == {EAST: 4, WEST: 2}
    assert plan.unmet_input_tps == {"m": 500.0}
    assert plan.local_gap_input_tps == {("east", "m"): 100.0, ("west", "m"): 0.0}


def test_a_share_that_cannot_stand_locally_is_a_local_gap_and_not_unmet() -> None:
    """East has room for one of the two replicas it should have; west serves the rest."""
    plan = solve_hour(two_regions(400.0, 0.0, stock=(1, 100)))
    assert plan.replicas == {EAST: 1, WEST: 3}
    assert plan.unmet_input_tps == {"m": 0.0}
    assert plan.local_gap_input_tps[("east", "m")] == 100.0


def test_the_bound_and_the_objective_agree_at_the_optimum() -> None:
    """Four replicas at 6 and two starts at 1: 26 USD, proven."""
    plan = solve_hour(two_regions(300.0, 100.0))
    assert plan.objective_usd == pytest.approx(26.0)
    assert plan.bound_usd == pytest.approx(26.0)
    assert plan.gap_fraction == pytest.approx(0.0)


def test_both_solvers_find_the_same_cost() -> None:
    given_problem = two_regions(1234.0, 777.0, floor=2)
    highs, cbc = (solve_hour(given_problem, solver=name) for name in ("highs", "cbc"))
    assert highs.objective_usd == pytest.approx(cbc.objective_usd)
    assert (highs.status, cbc.status) == ("optimal", "optimal")
    assert cbc.bound_usd == pytest.approx(cbc.objective_usd)


def test_unknown_and_absent_solvers_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="did you mean 'highs'"):
        solve_hour(two_regions(1.0, 1.0), solver="high")
    monkeypatch.setattr(pulp.HiGHS, "available", lambda _: False)
    with pytest.raises(PlanError, match="pip install highspy"):
        solve_hour(two_regions(1.0, 1.0))


def test_an_answer_that_is_not_whole_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that reports success with fractional counts (as CBC did) gets the rounded-up plan instead."""

    def lie(solver: BoundedCBC, programme: pulp.LpProblem) -> int:
        solver.is_proven = True
        for variable in programme.variables():
            variable.varValue = 0.37
        programme.assignStatus(pulp.LpStatusOptimal, pulp.LpSolutionOptimal)
        return int(pulp.LpStatusOptimal)

    monkeypatch.setattr(BoundedCBC, "actualSolve", lie)
    plan = solve_hour(two_regions(300.0, 100.0), solver="cbc")
    assert plan.status == "heuristic"
    assert sum(plan.replicas.values()) == 4


def test_a_plan_that_ran_out_of_time_does_not_claim_to_be_optimal() -> None:
    """Forty models that compete for the best of three kinds, in 50 ms: HiGHS itself calls such a plan optimal."""
    kinds = {"a": 70.0, "b": 110.0, "c": 130.0}
    models = [f"m{index}" for index in range(40)]
    places = [(region, model, gpu) for region in "nesw" for model in models for gpu in kinds]
    one = problem(
        now=dict.fromkeys(places, 1),
        demand={(region, model): 97.0 * (3 + index) for region in "nesw" for index, model in enumerate(models)},
        theta={(model, gpu): tps for model in models for gpu, tps in kinds.items()},
        hold={place: 7.0 + ord(place[2]) % 5 for place in places},
        stock={(region, gpu): 600 if gpu == "c" else 3000 for region in "nesw" for gpu in kinds},
        epsilon=0.5,
    )
    plan = solve_hour(one, time_limit_s=0.05)
    assert plan.status in {"feasible", "heuristic"}
    assert gaps(one, plan.replicas)[0] == dict.fromkeys(models, 0.0)


def test_rounding_up_is_the_closed_form_of_one_pool() -> None:
    """sageserve.md section 6.2: ceil(267 048 / 225 500) = 2."""
    one = problem(now={EAST: 8}, demand={("east", "m"): 267_048.0}, theta={("m", "h100"): 225_500.0})
    assert round_up(one) == {EAST: 2}


@settings(deadline=None, max_examples=40)
@given(
    demand=st.tuples(*[st.floats(0, 2000)] * 2),
    stock=st.tuples(*[st.integers(2, 12)] * 2),
    floor=st.integers(0, 2),
)
def test_the_solver_is_never_worse_than_rounding_up(
    demand: tuple[float, float], stock: tuple[int, int], floor: int
) -> None:
    one = two_regions(*demand, stock=stock, floor=floor)
    plan = solve_hour(one)
    assert plan.objective_usd <= objective_usd(one, round_up(one)) * (1 + 1e-6) + 1e-6
    assert plan.bound_usd is not None
    assert plan.bound_usd <= plan.objective_usd
    assert gaps(one, plan.replicas)[0]["m"] <= max(0.0, sum(demand) - 100.0 * sum(stock)) + 1e-3


@settings(deadline=None, max_examples=40)
@given(low=st.tuples(*[st.floats(0, 900)] * 2), more=st.tuples(*[st.floats(0, 900)] * 2))
def test_cost_never_falls_when_demand_rises(low: tuple[float, float], more: tuple[float, float]) -> None:
    less = solve_hour(two_regions(*low))
    greater = solve_hour(two_regions(low[0] + more[0], low[1] + more[1]))
    assert greater.objective_usd >= less.objective_usd - 1e-6


@settings(deadline=None, max_examples=40)
@given(
    demand=st.tuples(*[st.floats(0, 1500)] * 2),
    stock=st.tuples(*[st.integers(2, 12)] * 2),
    more=st.tuples(*[st.integers(0, 6)] * 2),
    floor=st.integers(0, 2),
)
def test_a_constraint_relaxed_never_costs_more_and_equal_regions_can_be_swapped(
    demand: tuple[float, float], stock: tuple[int, int], more: tuple[int, int], floor: int
) -> None:
    """More stock, no local share, or no floor; and east and west with their demand and stock exchanged.

    A stock below the floor is left out: the floor is what the region can hold at most, so that more stock raises it.
    """
    one = two_regions(*demand, stock=stock, floor=floor)
    usd = solve_hour(one).objective_usd
    relaxed = (
        two_regions(*demand, stock=(stock[0] + more[0], stock[1] + more[1]), floor=floor),
        dataclasses.replace(one, epsilon_fraction=0.0),
        dataclasses.replace(one, floor_replicas=0),
    )
    assert all(solve_hour(looser).objective_usd <= usd * (1 + 1e-6) + 1e-6 for looser in relaxed)
    swapped = two_regions(*demand[::-1], stock=stock[::-1], floor=floor)
    assert solve_hour(swapped).objective_usd == pytest.approx(usd, rel=1e-6, abs=1e-6)
