"""workbench.planning.handover: arrays, PuLP's objects and HiGHS hold the same programme."""

from __future__ import annotations

import numpy as np
import pulp
import pytest

from workbench.errors import PlanError
from workbench.planning.bounded_cbc import cbc
from workbench.planning.handover import BulkHiGHS, Matrix, refuse_unknown, relaxation_in_highs, to_pulp

# minimise 3 a + 2 b + 10 subject to a + b >= 3.5, a - b <= 1, b == 2 c; a whole, b <= 2.5
MATRIX = Matrix(
    column_names=["b", "a", "c"],
    lower=np.array([0.0, 0.0, -np.inf]),
    upper=np.array([2.5, np.inf, np.inf]),
    cost=np.array([2.0, 3.0, 0.0]),
    is_whole=np.array([False, True, False]),
    row_names=["sum", "difference", "half"],
    senses=[">=", "<=", "=="],
    right=np.array([3.5, 1.0, 0.0]),
    starts=np.array([0, 2, 4, 6]),
    columns=np.array([0, 1, 1, 0, 0, 2]),
    coefficients=np.array([1.0, 1.0, 1.0, -1.0, 1.0, -2.0]),
    constant=10.0,
)


def test_pulp_holds_what_the_arrays_say() -> None:
    handed = to_pulp(MATRIX)
    assert [variable.name for variable in handed.variables] == MATRIX.column_names
    assert [str(row) for row in handed.constraints] == ["a + b >= 3.5", "a - b <= 1.0", "b - 2.0*c = -0.0"]
    assert handed.variables[0].upBound == 2.5
    assert handed.variables[2].lowBound is None
    assert handed.variables[1].cat == pulp.LpInteger


@pytest.mark.parametrize("make", [lambda: BulkHiGHS(msg=False, threads=1), lambda: cbc(time_limit_s=10.0, threads=1)])
def test_every_solver_gets_the_same_programme(make: object) -> None:
    handed = to_pulp(MATRIX)
    handed.programme.solve(make())  # type: ignore[operator]
    assert [variable.value() for variable in handed.variables] == pytest.approx([2.5, 1.0, 1.25])
    assert pulp.value(handed.programme.objective) == pytest.approx(18.0)


def test_the_bulk_hand_over_is_pulps_own_in_one_call() -> None:
    models = []
    for solver in (BulkHiGHS(msg=False), pulp.HiGHS(msg=False)):
        handed = to_pulp(MATRIX)
        solver.createAndConfigureSolver(handed.programme)
        solver.buildSolverModel(handed.programme)
        solver.callSolver(handed.programme)
        models.append((handed.programme.solverModel, handed.columns.tolist()))
    (bulk, order), (own, _) = models
    assert order == [1, 0, 2]  # PuLP sorts by name
    assert (bulk.getNumRow(), bulk.getNumCol(), bulk.getNumNz()) == (own.getNumRow(), own.getNumCol(), own.getNumNz())
    assert list(bulk.getSolution().col_value) == pytest.approx(list(own.getSolution().col_value))
    assert bulk.getObjectiveValue() == pytest.approx(own.getObjectiveValue() + 10.0)  # with the constant, as it should


def test_as_arrays_highs_gets_the_relaxation_of_the_same_programme() -> None:
    highs = relaxation_in_highs(MATRIX, threads=1)
    highs.run()
    handed = to_pulp(MATRIX)
    handed.programme.solve(BulkHiGHS(mip=False, msg=False))
    assert list(highs.getSolution().col_value) == pytest.approx([variable.value() for variable in handed.variables])
    assert highs.getObjectiveValue() == pytest.approx(pulp.value(handed.programme.objective))


def test_row_bounds_follow_the_sense() -> None:
    low, high = MATRIX.row_bounds
    assert low.tolist() == [3.5, -np.inf, 0.0]
    assert high.tolist() == [np.inf, 1.0, 0.0]


def test_a_solver_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(PlanError, match="there is no solver 'hihgs'; did you mean"):
        refuse_unknown("hihgs")
