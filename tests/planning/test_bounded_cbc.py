"""workbench.planning.bounded_cbc: what CBC proved, by its log, beside what HiGHS proves."""

from __future__ import annotations

import math
import random

import pulp
import pytest

from workbench.errors import PlanError
from workbench.planning.bounded_cbc import BoundedCBC, bound_in, cbc

CONSTANT = 700.0


def covering(columns: int, rows: int) -> pulp.LpProblem:
    """Choose of priced columns enough for every row, whole ones only: slow to prove."""
    drawn = random.Random(1)
    programme = pulp.LpProblem("covering", pulp.LpMinimize)
    chosen = [programme.add_variable(f"x{i}", 0, 1, pulp.LpInteger) for i in range(columns)]
    programme += pulp.lpSum(drawn.randint(10, 40) * one for one in chosen) + CONSTANT
    for _ in range(rows):
        programme += pulp.lpSum(drawn.randint(5, 30) * one for one in chosen) >= 6 * columns
    return programme


def cost(programme: pulp.LpProblem) -> float:
    return float(pulp.value(programme.objective))


@pytest.mark.parametrize(("gap", "is_exact"), [({}, True), ({"gapRel": 0.05}, False), ({"gapAbs": 40.0}, False)])
def test_a_proven_plan_lies_within_the_gap_of_its_bound(gap: dict[str, float], is_exact: bool) -> None:
    best = covering(60, 4)
    best.solve(pulp.HiGHS(msg=False, gapRel=0.0))
    programme, solver = covering(60, 4), cbc(time_limit_s=20.0, threads=1, **gap)
    programme.solve(solver)
    allowed = max(gap.get("gapRel", 0.0) * cost(programme), gap.get("gapAbs", 0.0), 2e-3)
    assert solver.is_proven
    assert cost(programme) - allowed <= solver.bound <= cost(best) + 1e-6
    assert (cost(programme) == pytest.approx(cost(best))) or not is_exact


def test_a_search_cut_short_proves_nothing_but_a_bound() -> None:
    """PuLP's status says optimal; the relaxation and what CBC added to it lie below every plan."""
    programme, solver = covering(300, 40), cbc(time_limit_s=60.0, threads=1, maxNodes=1)
    status = programme.solve(solver)
    relaxed = covering(300, 40)
    relaxed.solve(pulp.HiGHS(msg=False, mip=False))
    assert status == pulp.LpStatusOptimal
    assert not solver.is_proven
    assert cost(relaxed) - 0.01 <= solver.bound < cost(programme)


def test_what_cannot_be_has_no_bound() -> None:
    programme = covering(5, 1)
    programme += pulp.lpSum(programme.variables()) <= 1
    solver = cbc(time_limit_s=5.0, threads=1)
    assert programme.solve(solver) == pulp.LpStatusInfeasible
    assert (solver.is_proven, solver.bound) == (False, -math.inf)


@pytest.mark.parametrize(
    ("log", "bound"),
    [
        ("Objective value:   12.00000000\nLower bound:       11.500\nGap:     0.04\n", 11.499),
        ("Objective value:   12.00000000\nEnumerated nodes:  0\n", None),
        ("No feasible solution found\nLower bound:      -1e+50\n", None),
        ("", None),
    ],
)
def test_the_bound_is_the_logs_last_word(log: str, bound: float | None) -> None:
    assert bound_in(log) == (None if bound is None else pytest.approx(bound))


def test_without_cbc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedCBC, "available", lambda _: False)
    with pytest.raises(PlanError, match=r"coinor-cbc.*or choose highs"):
        cbc(time_limit_s=1.0, threads=1)
