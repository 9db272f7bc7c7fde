"""Solve one hour of Programme S with PuLP, and believe no status code.

At its time limit HiGHS calls a plan optimal, and CBC leaves fractions in the variables when it found nothing
(ecosystem.md section 3). So the counts are rounded and checked here against the problem itself, the bound is read from
the solver, and where no acceptable plan came back the rounded-up heuristic answers, with a status that says so.

The objective is sageserve.md section 6.1 with the signed sum: alpha times delta, so a removal earns what an addition
costs. Counted from what stands, that is the price of all replicas held through the hour, which is how money is
reported. The programme is first solved with all demand served; only where that is impossible are gaps admitted, at
prices so far above any replica that the stock is used up first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulp

from workbench.domain import SOLVERS
from workbench.errors import PlanError, nearest
from workbench.planning import heuristic
from workbench.planning.constraints import CONSTRAINTS, Variables, variables
from workbench.planning.problem import Place, Pool, Problem

UNMET_PRICE_RATIO = 1e4
LOCAL_GAP_PRICE_RATIO = 1e3
FLOOR_GAP_PRICE_RATIO = 1e5
INTEGRALITY = 1e-4
RELATIVE_SLACK = 5e-6
ABSOLUTE_SLACK_TPS = 5e-6


@dataclass(frozen=True, kw_only=True)
class HourPlan:
    """The counts of one solved hour, what they leave open, and how well the solver says it is solved.

    ``objective_usd`` = replicas held + starts + priced gaps; ``bound_usd`` is the least it could have been, null when
    the solver gave none. ``status`` is optimal (within the gap asked for), feasible or heuristic.
    """

    replicas: Mapping[Place, int]
    unmet_input_tps: Mapping[str, float]
    local_gap_input_tps: Mapping[Pool, float]
    floor_gap_replicas: Mapping[Pool, int]
    objective_usd: float
    bound_usd: float | None
    status: str
    solve_s: float

    @property
    def gap_fraction(self) -> float | None:
        """How far the objective may lie above the least possible, relative to it; null without a bound."""
        if self.bound_usd is None:
            return None
        distance = self.objective_usd - self.bound_usd
        return max(0.0, distance / abs(self.objective_usd)) if self.objective_usd else 0.0


@dataclass(frozen=True, kw_only=True)
class _Answer:
    replicas: Mapping[Place, int] | None
    bound_usd: float | None
    is_proven: bool
    is_impossible: bool


class _HiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS with the objective's constant, without which a relative gap means nothing here."""

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:
        super().buildSolverModel(lp)
        lp.solverModel.changeObjectiveOffset(float(lp.objective.constant))


def solve_hour(
    problem: Problem, *, solver: str = "highs", gap_fraction: float = 0.0, time_limit_s: float = 30.0
) -> HourPlan:
    """Return the cheapest counts for one hour; always answers.

    ``gap_fraction`` is relative to the cost of the replicas held, ``time_limit_s`` is wall time for the hour. Raises
    PlanError for an unknown solver or one that is not installed.
    """
    began = time.perf_counter()
    answer = _attempt(problem, solver, gap_fraction, time_limit_s, may_fall_short=False)
    if answer.is_impossible:
        left_s = max(0.05, time_limit_s - (time.perf_counter() - began))
        answer = _attempt(problem, solver, gap_fraction, left_s, may_fall_short=True)
    accepted = answer.replicas is not None
    replicas = answer.replicas if answer.replicas is not None else heuristic.round_up(problem)
    unmet, local_gap, floor_gap = gaps(problem, replicas)
    objective = objective_usd(problem, replicas)
    status = ("optimal" if answer.is_proven else "feasible") if accepted else "heuristic"
    return HourPlan(
        replicas=replicas,
        unmet_input_tps=unmet,
        local_gap_input_tps=local_gap,
        floor_gap_replicas=floor_gap,
        objective_usd=objective,
        bound_usd=None if answer.bound_usd is None else min(objective, answer.bound_usd),
        status=status,
        solve_s=time.perf_counter() - began,
    )


def build(problem: Problem, *, may_fall_short: bool) -> tuple[pulp.LpProblem, Variables]:
    """Return the programme of a problem with every constraint of CONSTRAINTS, and its variables."""
    programme = pulp.LpProblem("capacity", pulp.LpMinimize)
    chosen = variables(problem, programme, may_fall_short=may_fall_short)
    programme += _objective(problem, chosen), "usd"
    for constraint in CONSTRAINTS:
        for name, row in constraint(problem, chosen):
            programme += row, name
    return programme, chosen


def objective_usd(problem: Problem, replicas: Mapping[Place, int]) -> float:
    """Return what counts of replicas cost by the objective of the programme, computed from the counts alone."""
    unmet, local_gap, floor_gap = gaps(problem, replicas)
    held = math.fsum(problem.hold_usd[place] * count for place, count in replicas.items())
    starts = math.fsum(
        problem.start_usd[place] * max(0, count - problem.replicas_now[place]) for place, count in replicas.items()
    )
    short = math.fsum(unmet_usd_per_tps(problem, model) * tps for model, tps in unmet.items())
    short += math.fsum(local_gap_usd_per_tps(problem, pool[1]) * tps for pool, tps in local_gap.items())
    return held + starts + short + floor_gap_usd(problem) * sum(floor_gap.values())


def gaps(
    problem: Problem, replicas: Mapping[Place, int]
) -> tuple[dict[str, float], dict[Pool, float], dict[Pool, int]]:
    """Return what counts leave open: unmet by model, local gap by pool (input tokens per second), missing floor."""
    unmet = {}
    for model in problem.models:
        need = sum(tps for (_, name), tps in problem.demand_input_tps.items() if name == model)
        unmet[model] = _above(need, problem.capacity(replicas, model))
    local_gap, floor_gap = {}, {}
    for region, model in problem.pools:
        need = problem.epsilon_fraction * problem.demand_input_tps[region, model]
        local_gap[region, model] = _above(need, problem.capacity(replicas, model, region))
        standing = sum(replicas[place] for place in problem.places_of(model, region))
        floor_gap[region, model] = max(0, problem.floor((region, model)) - standing)
    return unmet, local_gap, floor_gap


def unmet_usd_per_tps(problem: Problem, model: str) -> float:
    """Return the price of leaving an input token per second unserved: by what its dearest capacity costs."""
    return UNMET_PRICE_RATIO * _usd_per_tps(problem, model)


def local_gap_usd_per_tps(problem: Problem, model: str) -> float:
    """Return the price of an input token per second that a region should serve itself and cannot."""
    return LOCAL_GAP_PRICE_RATIO * _usd_per_tps(problem, model)


def floor_gap_usd(problem: Problem) -> float:
    """Return the price of a replica missing from a floor."""
    return FLOOR_GAP_PRICE_RATIO * max(
        (problem.hold_usd[place] + problem.start_usd[place] for place in problem.places), default=0.0
    )


def _objective(problem: Problem, chosen: Variables) -> Any:
    terms = [
        (problem.hold_usd[place], chosen.delta[place], problem.hold_usd[place] * now)
        for place, now in problem.replicas_now.items()
    ]
    held = pulp.lpSum([price * delta for price, delta, _ in terms]) + math.fsum(now_usd for *_, now_usd in terms)
    starts = pulp.lpSum([problem.start_usd[place] * started for place, started in chosen.started.items()])
    short = pulp.lpSum([unmet_usd_per_tps(problem, model) * unmet for model, unmet in chosen.unmet.items()])
    local = pulp.lpSum([local_gap_usd_per_tps(problem, pool[1]) * gap for pool, gap in chosen.local_gap.items()])
    floor = pulp.lpSum([floor_gap_usd(problem) * gap for gap in chosen.floor_gap.values()])
    return held + starts + short + local + floor


def _attempt(
    problem: Problem, solver: str, gap_fraction: float, time_limit_s: float, *, may_fall_short: bool
) -> _Answer:
    programme, chosen = build(problem, may_fall_short=may_fall_short)
    # with gaps priced in, a gap relative to the objective would forgive whole replicas
    limits = (
        {"gapRel": 0.0, "gapAbs": gap_fraction * _whole_stock_usd(problem)}
        if may_fall_short
        else {"gapRel": gap_fraction}
    )
    status = programme.solve(_solver(solver, time_limit_s, limits))
    if status == pulp.LpStatusInfeasible:
        return _Answer(replicas=None, bound_usd=None, is_proven=False, is_impossible=not may_fall_short)
    bound, is_proven = _bound(programme, solver, status, limits)
    values = {place: variable.value() for place, variable in chosen.delta.items()}
    replicas = _whole(problem, values)
    if replicas is None or not _is_acceptable(problem, replicas, may_fall_short=may_fall_short):
        return _Answer(replicas=None, bound_usd=bound, is_proven=False, is_impossible=False)
    return _Answer(replicas=replicas, bound_usd=bound, is_proven=is_proven, is_impossible=False)


def _whole_stock_usd(problem: Problem) -> float:
    usd_per_gpu = {(place[0], place[2]): problem.hold_usd[place] / problem.gpus(place) for place in problem.places}
    return math.fsum(problem.stock_gpus[key] * usd for key, usd in usd_per_gpu.items())


def _solver(name: str, time_limit_s: float, limits: Mapping[str, float]) -> Any:
    if name not in SOLVERS:
        raise PlanError(f"there is no solver '{name}'; {nearest(name, SOLVERS)}")
    if name == "highs":
        made = _HiGHS(msg=False, timeLimit=time_limit_s, threads=1, **limits)
        install = "pip install highspy"
    else:
        bundled = pulp.COIN_CMD(path=pulp.PULP_CBC_CMD.pulp_cbc_path, msg=False, timeLimit=time_limit_s, **limits)
        made = bundled if bundled.available() else pulp.COIN_CMD(msg=False, timeLimit=time_limit_s, **limits)
        install = "install the CBC solver of your system (package coinor-cbc)"
    if not made.available():
        raise PlanError(f"the solver '{name}' is not installed: {install}, or choose {' or '.join(SOLVERS)}.")
    return made


def _bound(
    programme: pulp.LpProblem, solver: str, status: int, limits: Mapping[str, float]
) -> tuple[float | None, bool]:
    """Return the solver's lower bound and whether it proved the gap; CBC tells only the latter."""
    if solver == "highs":
        import highspy

        model = programme.solverModel
        bound = float(model.getInfo().mip_dual_bound)
        is_proven = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
        return (bound if math.isfinite(bound) else None), is_proven
    is_proven = status == pulp.LpStatusOptimal and programme.sol_status == pulp.LpSolutionOptimal
    if not is_proven:
        return None, False
    found = float(pulp.value(programme.objective))
    return found - max(limits.get("gapRel", 0.0) * abs(found), limits.get("gapAbs", 0.0)), True


def _whole(problem: Problem, values: Mapping[Place, float | None]) -> dict[Place, int] | None:
    replicas = {}
    for place, value in values.items():
        if value is None or not math.isfinite(value) or abs(value - round(value)) > INTEGRALITY:
            return None
        replicas[place] = problem.replicas_now[place] + round(value)
    return replicas


def _is_acceptable(problem: Problem, replicas: Mapping[Place, int], *, may_fall_short: bool) -> bool:
    used: dict[tuple[str, str], int] = {}
    for place, count in replicas.items():
        key = place[0], place[2]
        used[key] = used.get(key, 0) + problem.gpus(place) * count
    fits = all(gpus <= problem.stock_gpus[key] for key, gpus in used.items()) and min(replicas.values()) >= 0
    unmet, local_gap, floor_gap = gaps(problem, replicas)
    is_short = any(unmet.values()) or any(local_gap.values()) or any(floor_gap.values())
    return fits and (may_fall_short or not is_short)


def _usd_per_tps(problem: Problem, model: str) -> float:
    return max(
        (
            (problem.hold_usd[place] + problem.start_usd[place]) / problem.theta(place)
            for place in problem.places_of(model)
        ),
        default=1.0,
    )


def _above(need: float, capacity: float) -> float:
    short = need - capacity
    return short if short > RELATIVE_SLACK * need + ABSOLUTE_SLACK_TPS else 0.0
