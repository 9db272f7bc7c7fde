"""A programme inside HiGHS, to be changed and solved again, and an honest reading of what came back.

Rounding a plan means solving nearly the same programme many times; HiGHS keeps its basis between runs, so each costs a
fraction of the first. No status code is believed: whether values keep every row and are whole is computed here from the
matrix, and a bound is only one where the solver gave a finite number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from workbench.planning.bounded_cbc import cbc
from workbench.planning.handover import BulkHiGHS, Handed, Matrix, relaxation_in_highs
from workbench.planning.lookahead.outlook import Numbers, Places

FEASIBILITY = 1e-5
INTEGRALITY = 1e-5
IPM_ABOVE_ROWS = 30_000
DEAR_RATIO = 300.0
INSIDE_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """Values of the matrix's columns with what they cost, and the least that any values could."""

    values: Numbers
    objective: float
    bound: float
    is_proven: bool


class Session:
    """One programme in HiGHS: all columns continuous, or the whole ones whole (``whole=True``).

    Without ``handed``, PuLP's problem of the matrix, it is the relaxation and goes to PuLP's HiGHS as arrays.
    """

    def __init__(
        self, matrix: Matrix, handed: Handed | None, *, whole: bool = False, threads: int, gap_usd: float = 0.0
    ) -> None:
        self.matrix = matrix
        if handed is None:
            self._highs = relaxation_in_highs(matrix, threads=threads)
            self._order = np.arange(matrix.cost.size, dtype=np.int32)
        else:
            solver = BulkHiGHS(mip=whole, msg=False, threads=threads)
            solver.createAndConfigureSolver(handed.programme)
            solver.buildSolverModel(handed.programme)
            self._highs = handed.programme.solverModel
            self._order = handed.columns
        self._is_whole = whole and handed is not None
        self._highs.setOptionValue("mip_rel_gap", 0.0)
        self._highs.setOptionValue("mip_abs_gap", gap_usd)
        self._is_first = True

    def bound(self, columns: Places, low: Numbers, high: Numbers) -> None:
        """Give columns other bounds."""
        self._highs.changeColsBounds(
            columns.size,
            self._order[columns.ravel()],
            np.asarray(low, dtype=float).ravel(),
            np.asarray(high, dtype=float).ravel(),
        )

    def price(self, columns: Places, cost: Numbers) -> None:
        """Give columns another cost; answers keep telling what values cost by the matrix."""
        self._highs.changeColsCost(columns.size, self._order[columns.ravel()], np.asarray(cost, dtype=float).ravel())

    def limit(self, rows: Places, high: Numbers) -> None:
        """Let rows be anything up to a value, infinity for no limit."""
        low = np.full(rows.size, -np.inf)
        self._highs.changeRowsBounds(rows.size, rows.astype(np.int32), low, np.asarray(high, dtype=float))

    def admit_excess(self, rows: Places, cost: float) -> None:
        """Let rows go beyond their upper limit at a price; answers are silent about how far they do."""
        count = rows.size
        self._highs.addCols(
            count,
            np.full(count, cost),
            np.zeros(count),
            np.full(count, np.inf),
            count,
            np.arange(count, dtype=np.int32),
            rows.astype(np.int32),
            np.full(count, -1.0),
        )

    def stay_inside(self) -> None:
        """Solve by interior point and stay inside: prices of rows without a basis, near enough and soon had."""
        self._highs.setOptionValue("solver", "ipx")
        self._highs.setOptionValue("run_crossover", "off")
        self._highs.setOptionValue("ipm_optimality_tolerance", INSIDE_TOLERANCE)
        self._is_first = False

    def start_from(self, values: Numbers) -> None:
        """Offer values to start from; a solver that cannot use them ignores them."""
        ordered = np.empty(values.size)
        ordered[self._order] = values
        solution = highspy.HighsSolution()
        solution.col_value = ordered.tolist()
        self._highs.setSolution(solution)

    def run(self, *, time_limit_s: float, gap_usd: float | None = None) -> Answer | None:
        """Solve; None where no acceptable values came back."""
        if gap_usd is not None:
            self._highs.setOptionValue("mip_abs_gap", gap_usd)
        # HiGHS counts its limit from the first run of the object, not from this one
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(0.01, time_limit_s))
        if self._is_first and not self._is_whole and self.matrix.right.size > IPM_ABOVE_ROWS:
            self._solve_first_with_low_prices()
        self._is_first = False
        self._highs.run()
        info = self._highs.getInfo()
        is_proven = self._highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        values = np.array(self._highs.getSolution().col_value)[self._order]
        bound = float(info.mip_dual_bound) if self._is_whole else float(info.objective_function_value)
        if not self._is_whole and not is_proven:
            bound = -math.inf
        return Answer(
            values=values,
            objective=cost_of(self.matrix, values),
            bound=bound if math.isfinite(bound) else -math.inf,
            is_proven=is_proven,
        )

    def duals(self) -> tuple[Numbers, Numbers]:
        """Return what one unit more of each right-hand side is worth, and of each column."""
        solution = self._highs.getSolution()
        return np.array(solution.row_dual), np.array(solution.col_dual)[self._order]

    def _solve_first_with_low_prices(self) -> None:
        """Get a basis for a large programme by interior point, the prices of what goes wrong brought down.

        Prices a million times those of replicas cost the interior point most of its steps. Where nothing goes wrong at
        lower ones, the basis is optimal at the true ones too; where something does, the simplex repairs it.
        """
        cost = self.matrix.cost
        usual = np.median(np.abs(cost[cost != 0.0])) if cost.any() else 1.0
        dear = np.flatnonzero(cost > DEAR_RATIO * usual)
        self._highs.changeColsCost(dear.size, self._order[dear], np.full(dear.size, DEAR_RATIO * usual))
        self._highs.setOptionValue("solver", "ipm")
        self._highs.run()
        self._highs.changeColsCost(dear.size, self._order[dear], cost[dear])
        self._highs.setOptionValue("solver", "choose")


def solve_with_cbc(
    matrix: Matrix, handed: Handed, *, time_limit_s: float, threads: int, gap_usd: float
) -> Answer | None:
    """Solve PuLP's problem by CBC; None where what it leaves in the variables is no whole plan."""
    solver = cbc(time_limit_s=max(1.0, time_limit_s), threads=threads, gapAbs=gap_usd, gapRel=0.0)
    handed.programme.solve(solver)
    found: list[Any] = [variable.value() for variable in handed.variables]
    values = np.array([np.nan if value is None else value for value in found], dtype=float)
    if np.isnan(values).any() or not is_acceptable(matrix, values):
        return None
    return Answer(values=values, objective=cost_of(matrix, values), bound=solver.bound, is_proven=solver.is_proven)


def cost_of(matrix: Matrix, values: Numbers) -> float:
    """Return what values cost by the objective of the programme."""
    return float(matrix.cost @ values) + matrix.constant


def is_acceptable(matrix: Matrix, values: Numbers) -> bool:
    """Whether values keep every bound and row, and are whole where they must be."""
    whole = values[matrix.is_whole]
    if whole.size and np.abs(whole - np.round(whole)).max() > INTEGRALITY:
        return False
    slack = FEASIBILITY * (1.0 + np.abs(values))
    if (values < matrix.lower - slack).any() or (values > matrix.upper + slack).any():
        return False
    low, high = matrix.row_bounds
    products = matrix.coefficients * values[matrix.columns]
    sums = np.concatenate(([0.0], np.cumsum(products)))
    sizes = np.concatenate(([0.0], np.cumsum(np.abs(products))))
    row, size = (part[matrix.starts[1:]] - part[matrix.starts[:-1]] for part in (sums, sizes))
    allowed = FEASIBILITY * (1.0 + size)
    return bool((row >= low - allowed).all() and (row <= high + allowed).all())
