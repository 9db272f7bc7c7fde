"""Each constraint in a case that only it decides, worked out in the docstring; and its LP text."""

from __future__ import annotations

import pytest
from golden_case import GOLDEN, texts
from planning_cases import problem

from workbench.errors import PlanError
from workbench.planning.constraints import CONSTRAINTS
from workbench.planning.problem import Problem
from workbench.planning.programme import solve_hour

EAST, WEST = ("east", "m", "h100"), ("west", "m", "h100")
THETA = {("m", "h100"): 100.0}


def delta(given: Problem) -> dict[tuple[str, str, str], int]:
    plan = solve_hour(given)
    assert plan.status == "optimal"
    assert plan.gap_fraction == pytest.approx(0.0, abs=1e-9)
    return {place: count - given.replicas_now[place] for place, count in plan.replicas.items()}


def test_worked_check_of_one_pool() -> None:
    """sageserve.md section 7.4: D = 267 048, theta = 225 500, n = 8: two suffice, delta = -6."""
    theta = {("m", "h100"): 225_500.0}
    assert delta(problem(now={EAST: 8}, demand={("east", "m"): 267_048.0}, theta=theta)) == {EAST: -6}


def test_worked_check_of_two_regions() -> None:
    """sageserve.md section 7.4: D = (300, 100), theta 100, n = (1, 1), epsilon 0.5: C2 needs (2, 1), C3 four."""
    given = problem(
        now={EAST: 1, WEST: 1}, demand={("east", "m"): 300.0, ("west", "m"): 100.0}, theta=THETA, epsilon=0.5
    )
    plan = solve_hour(given)
    assert sum(plan.replicas.values()) == 4
    assert plan.replicas[EAST] >= 2
    assert plan.replicas[WEST] >= 1


def test_nothing_is_removed_that_is_not_there() -> None:
    """No demand, three replicas, no floor: C1 stops at delta = -3."""
    assert delta(problem(now={EAST: 3}, demand={("east", "m"): 0.0}, theta=THETA)) == {EAST: -3}


def test_the_floor_is_kept_without_demand() -> None:
    assert delta(problem(now={EAST: 3}, demand={("east", "m"): 0.0}, theta=THETA, floor=2)) == {EAST: -1}


def test_the_floor_is_what_a_region_can_hold_at_most() -> None:
    """A region with room for one replica keeps one, and no gap is reported."""
    given = problem(now={EAST: 0}, demand={("east", "m"): 0.0}, theta=THETA, floor=2, stock={("east", "h100"): 1})
    plan = solve_hour(given)
    assert plan.replicas == {EAST: 1}
    assert plan.floor_gap_replicas == {("east", "m"): 0}


def test_a_region_serves_its_own_share_even_where_it_is_dear() -> None:
    """East costs 9, west 1; D = (400, 0), epsilon 0.5: two in east (C2), the other two in west (C3)."""
    given = problem(
        now={EAST: 0, WEST: 0},
        demand={("east", "m"): 400.0, ("west", "m"): 0.0},
        theta=THETA,
        epsilon=0.5,
        hold={EAST: 9.0, WEST: 1.0},
    )
    assert delta(given) == {EAST: 2, WEST: 2}


def test_all_regions_together_serve_all_peaks() -> None:
    """epsilon = 0 and D = (250, 250): five replicas in all, not three and three."""
    given = problem(
        now={EAST: 0, WEST: 0}, demand={("east", "m"): 250.0, ("west", "m"): 250.0}, theta=THETA, epsilon=0.0
    )
    assert sum(delta(given).values()) == 5


def test_the_stock_sends_demand_elsewhere() -> None:
    """East holds one replica only; epsilon 0.25 of 400 needs one, the other three go west."""
    given = problem(
        now={EAST: 0, WEST: 0},
        demand={("east", "m"): 400.0, ("west", "m"): 0.0},
        theta=THETA,
        epsilon=0.25,
        stock={("east", "h100"): 1, ("west", "h100"): 10},
    )
    assert delta(given) == {EAST: 1, WEST: 3}


def test_a_start_costs_so_what_stands_is_kept_at_equal_price() -> None:
    """Either region may hold the replica; only the standing one starts nothing."""
    given = problem(now={EAST: 0, WEST: 1}, demand={("east", "m"): 50.0, ("west", "m"): 0.0}, theta=THETA, epsilon=0.0)
    plan = solve_hour(given)
    assert plan.replicas == {EAST: 0, WEST: 1}
    assert plan.objective_usd == pytest.approx(6.0)


def test_the_cheaper_kind_per_token_is_chosen() -> None:
    """250 tokens/s: three a100 at 3 (9 USD) beat one h100 of 300 at 10; four a100 would be needed for 350 (12 > 10)."""
    slow, quick = ("east", "m", "a100"), ("east", "m", "h100")
    theta = {("m", "a100"): 90.0, ("m", "h100"): 360.0}
    hold = {slow: 3.0, quick: 10.0}
    low = problem(now={slow: 0, quick: 0}, demand={("east", "m"): 250.0}, theta=theta, hold=hold, start=0.0)
    high = problem(now={slow: 0, quick: 0}, demand={("east", "m"): 350.0}, theta=theta, hold=hold, start=0.0)
    assert delta(low) == {slow: 3, quick: 0}
    assert delta(high) == {slow: 0, quick: 1}


def test_impossible_problems_are_refused() -> None:
    with pytest.raises(PlanError, match=r"epsilon_fraction must lie in 0-1, got 1\.5"):
        problem(now={EAST: 0}, demand={("east", "m"): 1.0}, theta=THETA, epsilon=1.5)
    with pytest.raises(PlanError, match="must not be negative"):
        problem(now={EAST: -1}, demand={("east", "m"): -1.0}, theta=THETA)


def test_every_constraint_has_its_golden_file() -> None:
    written = {path.name for path in GOLDEN.glob("*.lp")}
    assert written == {f"{constraint.__name__}.lp" for constraint in CONSTRAINTS} | {"programme.lp"}


@pytest.mark.parametrize("name", [f"{constraint.__name__}.lp" for constraint in CONSTRAINTS] + ["programme.lp"])
def test_the_programme_reads_as_reviewed(name: str) -> None:
    """``python tests/planning/golden_case.py`` rewrites the files after a change that is meant."""
    assert texts()[name] == (GOLDEN / name).read_text(encoding="utf-8")
