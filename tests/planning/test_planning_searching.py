"""The search finds what the plain solver finds, and claims no more than it proved."""

from __future__ import annotations

import pytest
from planning_cases import problem

from workbench.planning import searching
from workbench.planning.problem import Problem
from workbench.planning.programme import solve_hour

KINDS = {"a": 70.0, "b": 110.0, "c": 131.0}


def scarce(models: int, *, gpus: int = 60) -> Problem:
    """Models in three regions on three kinds whose cheapest kinds together need more than the stock."""
    names = [f"m{index}" for index in range(models)]
    places = [(region, model, kind) for region in ("e", "n", "w") for model in names for kind in KINDS]
    return problem(
        now={place: (index * 7) % 5 for index, place in enumerate(places)},
        demand={(region, model): 97.0 * (2 + index) for region in ("e", "n", "w") for index, model in enumerate(names)},
        theta={
            (model, kind): tps * (1 + index / 10) for index, model in enumerate(names) for kind, tps in KINDS.items()
        },
        hold={place: 7.0 + 3 * "abc".index(place[2]) + 0.1 * (index % 7) for index, place in enumerate(places)},
        stock={(region, kind): gpus for region in ("e", "n", "w") for kind in KINDS},
        epsilon=0.6,
        floor=1,
    )


def test_the_search_and_the_plain_solver_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    given = scarce(6)
    plain = solve_hour(given)
    monkeypatch.setattr(searching, "LARGE_PLACES", 1)
    searched = solve_hour(given)
    assert (plain.status, searched.status) == ("optimal", "optimal")
    assert searched.objective_usd == pytest.approx(plain.objective_usd, rel=1e-6)
    assert searched.bound_usd == pytest.approx(plain.objective_usd, rel=1e-6)


def test_a_large_hour_is_proven_within_the_gap_asked_for() -> None:
    given = scarce(20, gpus=150)
    assert len(given.places) >= searching.LARGE_PLACES
    plan = solve_hour(given, gap_fraction=0.01)
    assert plan.status == "optimal"
    assert plan.gap_fraction is not None
    assert plan.gap_fraction <= 0.01


def test_a_large_hour_without_enough_stock_falls_short_and_uses_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three GPUs of each kind in each region: whatever is planned, none is left idle."""
    monkeypatch.setattr(searching, "LARGE_PLACES", 1)
    given = scarce(5, gpus=3)
    plan = solve_hour(given, gap_fraction=0.001)
    assert plan.status == "optimal"
    assert sum(plan.unmet_input_tps.values()) > 0
    assert sum(plan.replicas.values()) == 3 * 9


def test_models_are_solved_alone_where_the_stock_binds_nothing() -> None:
    """With stock to spare the plan costs what the models cost one by one."""
    given = scarce(4, gpus=500)
    together = solve_hour(given)
    alone = [solve_hour(given.of_model(model)) for model in given.models]
    assert together.status == "optimal"
    assert together.objective_usd == pytest.approx(sum(plan.objective_usd for plan in alone))
    assert together.bound_usd == pytest.approx(sum(plan.bound_usd or 0.0 for plan in alone))
