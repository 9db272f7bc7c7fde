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

from workbench.planning import heuristic
from workbench.planning.constraints import CONSTRAINTS, Variables, variables
from workbench.planning.problem import Place, Pool, Problem
from workbench.planning.searching import SearchingHiGHS, read_cbc, solver_named

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


def solve_hour(
    problem: Problem,
    *,
    solver: str = "highs",
    gap_fraction: float = 0.0,
    time_limit_s: float = 30.0,
    start: Mapping[Place, int] | None = None,
) -> HourPlan:
    """Return the cheapest counts for one hour; always answers.

    ``gap_fraction`` is relative to the cost of the replicas held, ``time_limit_s`` is wall time for the hour. Where the
    stock binds nothing, each model is solved by itself: only the stock couples them. ``start`` are counts to begin
    from, such as yesterday's: HiGHS takes them where they are within the gap and searches from them where they serve
    everything; CBC does not use them. Raises PlanError for an unknown solver or one that is not installed.
    """
    began = time.perf_counter()
    answer = _model_by_model(problem, solver, gap_fraction, time_limit_s, start)
    if answer is None:
        answer = _attempt(problem, solver, gap_fraction, time_limit_s, may_fall_short=False, start=start)
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


def _model_by_model(
    problem: Problem, solver: str, gap_fraction: float, time_limit_s: float, start: Mapping[Place, int] | None
) -> _Answer | None:
    """Return the plans of the models solved alone, where they fit the stock together; None where they do not.

    Whether that is likely is read off the rounded-up plan for a stock without limit, so that a scarce stock costs no
    solve in vain.
    """
    if len(problem.models) < 2 or not problem.fits(heuristic.round_up(problem.with_ample_stock())):
        return None
    ends_at = time.perf_counter() + time_limit_s
    answers = []
    for model in problem.models:
        left_s = ends_at - time.perf_counter()
        if left_s <= 0:
            return _Answer(replicas=None, bound_usd=None, is_proven=False, is_impossible=False)
        answer = _attempt(problem.of_model(model), solver, gap_fraction, left_s, may_fall_short=False, start=start)
        if answer.replicas is None:
            return None
        answers.append(answer)
    replicas = {place: count for answer in answers for place, count in (answer.replicas or {}).items()}
    bounds = [answer.bound_usd for answer in answers if answer.bound_usd is not None]
    if not problem.fits(replicas):
        return None
    return _Answer(
        replicas={place: replicas[place] for place in problem.places},
        bound_usd=math.fsum(bounds) if len(bounds) == len(answers) else None,
        is_proven=all(answer.is_proven for answer in answers),
        is_impossible=False,
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
        need = problem.total_input_tps[model]
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
    hold, start = problem.hold_usd, problem.start_usd
    terms = [(variable, hold[place] + start[place]) for place, variable in chosen.started.items()]
    terms += [(variable, -hold[place]) for place, variable in chosen.removed.items()]
    terms += [(unmet, unmet_usd_per_tps(problem, model)) for model, unmet in chosen.unmet.items()]
    terms += [(gap, local_gap_usd_per_tps(problem, pool[1])) for pool, gap in chosen.local_gap.items()]
    terms += [(gap, floor_gap_usd(problem)) for gap in chosen.floor_gap.values()]
    standing = math.fsum(hold[place] * now for place, now in problem.replicas_now.items())
    return pulp.LpAffineExpression(terms, constant=standing)


def _attempt(
    problem: Problem,
    solver: str,
    gap_fraction: float,
    time_limit_s: float,
    *,
    may_fall_short: bool,
    start: Mapping[Place, int] | None = None,
) -> _Answer:
    programme, chosen = build(problem, may_fall_short=may_fall_short)
    # with gaps priced in, a gap relative to the objective would forgive whole replicas
    gap_rel = 0.0 if may_fall_short else gap_fraction
    gap_abs = gap_fraction * _whole_stock_usd(problem) if may_fall_short else 0.0
    known = None if start is None else {place: start.get(place, 0) for place in problem.places}
    if known is not None and not _is_acceptable(problem, known, may_fall_short=False):
        known = None
    used = solver_named(
        solver, problem, chosen, gap_rel=gap_rel, gap_abs=gap_abs, time_limit_s=time_limit_s, start=known
    )
    status = programme.solve(used)
    found = used.found if isinstance(used, SearchingHiGHS) else read_cbc(used, status)
    if found.is_impossible:
        return _Answer(replicas=None, bound_usd=None, is_proven=False, is_impossible=not may_fall_short)
    replicas = _whole(problem, chosen)
    if replicas is None or not _is_acceptable(problem, replicas, may_fall_short=may_fall_short):
        return _Answer(replicas=None, bound_usd=found.bound, is_proven=False, is_impossible=False)
    return _Answer(replicas=replicas, bound_usd=found.bound, is_proven=found.is_proven, is_impossible=False)


def _whole_stock_usd(problem: Problem) -> float:
    usd_per_gpu = {(place[0], place[2]): problem.hold_usd[place] / problem.gpus(place) for place in problem.places}
    return math.fsum(problem.stock_gpus[key] * usd for key, usd in usd_per_gpu.items())


def _whole(problem: Problem, chosen: Variables) -> dict[Place, int] | None:
    replicas = {}
    for place, now in problem.replicas_now.items():
        values = chosen.started[place].value(), chosen.removed[place].value()
        if any(
            value is None or not math.isfinite(value) or abs(value - round(value)) > INTEGRALITY for value in values
        ):
            return None
        replicas[place] = now + round(values[0]) - round(values[1])
    return replicas


def _is_acceptable(problem: Problem, replicas: Mapping[Place, int], *, may_fall_short: bool) -> bool:
    fits = problem.fits(replicas) and min(replicas.values()) >= 0
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
