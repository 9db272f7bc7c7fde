"""Who goes short, region by region and tier by tier, from figures small enough to divide by hand."""

from __future__ import annotations

import pytest
from planning_cases import START, TIERS, problem, requirement

from workbench.planning.programme import solve_hour
from workbench.planning.shortfall import shortfall_rows

EAST, WEST = ("east", "m", "h100"), ("west", "m", "h100")


def short(
    rows: list[tuple[int, str, str, str, float]], *, demand: dict[tuple[str, str], float], stock: tuple[int, int]
) -> list[tuple[str, str, float, float]]:
    given = problem(
        now={EAST: 0, WEST: 0},
        demand=demand,
        theta={("m", "h100"): 100.0},
        stock={("east", "h100"): stock[0], ("west", "h100"): stock[1]},
        epsilon=0.0,
    )
    made = shortfall_rows(
        given, solve_hour(given), window_start=START, required=requirement(rows).to_dicts(), tiers=TIERS
    )
    return made.select("region", "tier", "input_tps", "output_tps").rows()


def test_regions_share_what_is_unmet_by_what_they_lack() -> None:
    """Lacking 200 and 400 with 600 unmet: each its own lack."""
    rows = [(0, "east", "m", "fast", 300.0), (0, "west", "m", "fast", 500.0)]
    assert short(rows, demand={("east", "m"): 300.0, ("west", "m"): 500.0}, stock=(1, 1)) == [
        ("east", "fast", pytest.approx(200.0), pytest.approx(20.0)),
        ("west", "fast", pytest.approx(400.0), pytest.approx(40.0)),
    ]


def test_capacity_elsewhere_lowers_every_share() -> None:
    """East lacks 200 and west has 100 to spare: 100 unmet, all of it in east."""
    rows = [(0, "east", "m", "fast", 300.0), (0, "west", "m", "fast", 100.0)]
    assert short(rows, demand={("east", "m"): 300.0, ("west", "m"): 100.0}, stock=(1, 2)) == [
        ("east", "fast", pytest.approx(100.0), pytest.approx(10.0))
    ]


def test_deferrable_work_of_the_hour_before_is_given_up_first() -> None:
    """D = 300 + a buffer of 50 from the hour before, whose tier has no row now: it borrows the model's output ratio."""
    rows = [(0, "east", "m", "fast", 200.0), (0, "east", "m", "normal", 100.0)]
    assert short(rows, demand={("east", "m"): 350.0, ("west", "m"): 0.0}, stock=(2, 0)) == [
        ("east", "batch", pytest.approx(50.0), pytest.approx(5.0)),
        ("east", "normal", pytest.approx(100.0), pytest.approx(10.0)),
    ]


def test_nothing_unmet_makes_no_row() -> None:
    rows = [(0, "east", "m", "fast", 100.0)]
    assert short(rows, demand={("east", "m"): 100.0, ("west", "m"): 0.0}, stock=(1, 0)) == []
