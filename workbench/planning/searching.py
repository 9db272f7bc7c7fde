"""How an hour of Programme S is solved by HiGHS: its relaxation with cuts, the plans near it, then the whole.

A solver left alone spends most of its time on cuts of its own and finds its first good plan late. Here the relaxation
is sharpened by the cuts of :mod:`workbench.planning.cutting` until no pool breaks one; the best plan is then looked for
among the counts within one replica of the relaxed ones, which is a much smaller programme; and where that plan is not
yet within the gap asked for, the whole programme is solved with the cuts and that plan as a start. The bound always
holds for the whole programme. A small one is solved at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
import pulp

from workbench.domain import SOLVERS
from workbench.errors import PlanError
from workbench.planning.bounded_cbc import BoundedCBC, cbc
from workbench.planning.constraints import Variables
from workbench.planning.cutting import broken_cuts
from workbench.planning.handover import BulkHiGHS, refuse_unknown
from workbench.planning.problem import Place, Problem

LARGE_PLACES = 150
MOST_ROUNDS = 10
# A gap below this asks for cuts by parts of the rates too; they take longer to find than they save above it.
FINE_GAP, FINE_PARTS = 0.005, (1.0, 1 / 2, 1 / 3)
NEIGHBOURHOOD_REPLICAS = 1
NEIGHBOURHOOD_TIME_SHARE = 0.3
NEIGHBOURHOOD_NODES = 100
IMPOSSIBLE = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a solver is sure of: a bound below any plan (None without), and whether the gap asked for was proven."""

    bound: float | None
    is_proven: bool
    is_impossible: bool


class SearchingHiGHS(BulkHiGHS):
    """PuLP's HiGHS for an hour of Programme S; ``found`` says afterwards what is proven."""

    found: Found

    def __init__(
        self,
        problem: Problem,
        chosen: Variables,
        *,
        gap_rel: float,
        gap_abs: float,
        time_limit_s: float,
        start: Mapping[Place, int] | None = None,
    ):
        super().__init__(msg=False, threads=1, timeLimit=time_limit_s, gapRel=gap_rel, gapAbs=gap_abs)
        self.problem, self.chosen, self.start = problem, chosen, start

    def callSolver(self, lp: pulp.LpProblem) -> None:
        """Solve the problem and keep what was found out."""
        if len(self.problem.places) < LARGE_PLACES:
            if self.start is not None:
                solution = highspy.HighsSolution()
                values = np.zeros(lp.solverModel.getNumCol())
                for place, (started, removed) in moves(self.problem, self.start).items():
                    values[self.chosen.started[place].index] = started
                    values[self.chosen.removed[place].index] = removed
                solution.col_value = values.tolist()
                lp.solverModel.setSolution(solution)
            lp.solverModel.run()
            self.found = read(lp.solverModel)
        else:
            self.found = _Search(lp.solverModel, self).run()


class _Search:
    """The three steps on one model; columns are those of ``started`` and ``removed``, in the order of the places."""

    def __init__(self, model: Any, solver: SearchingHiGHS):
        self.model, self.solver, self.problem = model, solver, solver.problem
        self.ends_at = time.perf_counter() + solver.timeLimit
        chosen, places = solver.chosen, solver.problem.places
        self.started = np.array([chosen.started[place].index for place in places], dtype=np.int32)
        self.removed = np.array([chosen.removed[place].index for place in places], dtype=np.int32)
        self.row_of = {place: index for index, place in enumerate(places)}
        self.now = np.array([self.problem.replicas_now[place] for place in places], dtype=np.float64)

    def run(self) -> Found:
        """Return what the steps found; the last solution of the model is the plan."""
        bound = self._relax()
        if bound is None:
            return Found(bound=None, is_proven=False, is_impossible=True)
        allowed = max(self.solver.gapRel * abs(bound), self.solver.gapAbs)
        if not self._starts_within(bound + allowed):
            self._search_near(bound, allowed)
        if self._is_within(bound + allowed):
            return Found(bound=bound, is_proven=True, is_impossible=False)
        start = self.model.getSolution() if self._has_plan() else None
        self._whole_again()
        if start is not None:
            self.model.setSolution(start)
        self._run(gap_rel=self.solver.gapRel, target=-math.inf, share=1.0)
        found = read(self.model)
        if found.is_impossible or found.bound is None:
            return found
        return replace(
            found, bound=max(bound, found.bound), is_proven=self._is_within(max(bound, found.bound) + allowed)
        )

    def _relax(self) -> float | None:
        """Solve the relaxation, cut until no pool breaks a cut, and return its cost; None where there is no plan."""
        self.model.setOptionValue("solve_relaxation", True)
        for _ in range(MOST_ROUNDS):
            self._run(gap_rel=0.0, target=-math.inf, share=1.0)
            if self.model.getModelStatus() in IMPOSSIBLE:
                return None
            if not self._cut():
                break
        self.model.setOptionValue("solve_relaxation", False)
        self.relaxed = np.array(self.model.getSolution().col_value)
        return float(self.model.getObjectiveValue())

    def _cut(self) -> int:
        values = np.array(self.model.getSolution().col_value)
        places, gaps = self.problem.places, self.solver.chosen.local_gap
        cuts = broken_cuts(
            self.problem,
            started=dict(zip(places, values[self.started].tolist(), strict=True)),
            removed=dict(zip(places, values[self.removed].tolist(), strict=True)),
            local_gap={pool: values[gap.index] for pool, gap in gaps.items()},
            parts=FINE_PARTS if self.solver.gapRel < FINE_GAP else (1.0,),
        )
        for cut in cuts:
            rows = [self.row_of[place] for place in cut.places]
            columns = np.concatenate((self.started[rows], self.removed[rows], [gaps[cut.pool].index]))
            weights = np.concatenate((cut.started, cut.removed, [cut.gap]))
            self.model.addRow(cut.at_least, math.inf, len(columns), columns.astype(np.int32), weights)
        return len(cuts)

    def _starts_within(self, most: float) -> bool:
        """Whether the plan to begin from costs no more than this; it is then the solution of the model."""
        if self.solver.start is None:
            return False
        values = np.array(list(moves(self.problem, self.solver.start).values()), dtype=np.float64)
        self._bound(self.started, values[:, 0], values[:, 0])
        self._bound(self.removed, values[:, 1], values[:, 1])
        self._run(gap_rel=self.solver.gapRel, target=-math.inf, share=1.0)
        return self._is_within(most)

    def _search_near(self, bound: float, allowed: float) -> None:
        """Look for the best plan among the counts near the relaxed ones, until one is within the gap."""
        counts = self.now + self.relaxed[self.started] - self.relaxed[self.removed]
        low = np.maximum(np.floor(counts + TOLERANCE) - NEIGHBOURHOOD_REPLICAS, 0.0)
        high = np.ceil(counts - TOLERANCE) + NEIGHBOURHOOD_REPLICAS
        self._bound(self.started, np.maximum(low - self.now, 0.0), np.maximum(high - self.now, 0.0))
        self._bound(self.removed, np.maximum(self.now - high, 0.0), np.maximum(self.now - low, 0.0))
        self.model.setOptionValue("mip_max_nodes", NEIGHBOURHOOD_NODES)
        self._run(gap_rel=self.solver.gapRel / 4, target=bound + allowed, share=NEIGHBOURHOOD_TIME_SHARE)
        self.model.setOptionValue("mip_max_nodes", highspy.kHighsIInf)

    def _is_within(self, most: float) -> bool:
        return self._has_plan() and float(self.model.getObjectiveValue()) <= most + TOLERANCE * abs(most)

    def _has_plan(self) -> bool:
        feasible = int(highspy.SolutionStatus.kSolutionStatusFeasible)
        return int(self.model.getInfo().primal_solution_status) == feasible

    def _whole_again(self) -> None:
        count = len(self.started)
        self._bound(self.started, np.zeros(count), np.full(count, highspy.kHighsInf))
        self._bound(self.removed, np.zeros(count), self.now)

    def _bound(self, columns: Any, low: Any, high: Any) -> None:
        self.model.changeColsBounds(len(columns), columns, low, high)

    def _run(self, *, gap_rel: float, target: float, share: float) -> None:
        left_s = max(0.05, share * (self.ends_at - time.perf_counter()))
        self.model.setOptionValue("time_limit", left_s)
        self.model.setOptionValue("mip_rel_gap", gap_rel)
        self.model.setOptionValue("objective_target", target)
        self.model.run()


def moves(problem: Problem, counts: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
    """Return what is started and what is removed at each place to come from what stands to counts."""
    change = {place: counts.get(place, 0) - now for place, now in problem.replicas_now.items()}
    return {place: (max(0, more), max(0, -more)) for place, more in change.items()}


def read(model: Any) -> Found:
    """Return what a run of HiGHS proved, by its own status: at its time limit a plan is not called optimal."""
    status, bound = model.getModelStatus(), float(model.getInfo().mip_dual_bound)
    return Found(
        bound=bound if math.isfinite(bound) else None,
        is_proven=status == highspy.HighsModelStatus.kOptimal,
        is_impossible=status in IMPOSSIBLE,
    )


def read_cbc(solver: BoundedCBC, status: int) -> Found:
    """Return what a run of CBC proved, by its own log."""
    return Found(
        bound=solver.bound if math.isfinite(solver.bound) else None,
        is_proven=solver.is_proven,
        is_impossible=status == pulp.LpStatusInfeasible,
    )


def solver_named(
    name: str,
    problem: Problem,
    chosen: Variables,
    *,
    gap_rel: float,
    gap_abs: float,
    time_limit_s: float,
    start: Mapping[Place, int] | None = None,
) -> Any:
    """Return the solver of a name for a problem; raises PlanError for one that is unknown or not installed.

    ``start`` are counts to begin from that leave nothing open.
    """
    refuse_unknown(name)
    if name == "cbc":
        return cbc(time_limit_s=time_limit_s, threads=1, gapRel=gap_rel, gapAbs=gap_abs or None)
    made = SearchingHiGHS(problem, chosen, gap_rel=gap_rel, gap_abs=gap_abs, time_limit_s=time_limit_s, start=start)
    if not made.available():
        raise PlanError(f"the solver '{name}' is not installed: pip install highspy, or choose {' or '.join(SOLVERS)}.")
    return made
