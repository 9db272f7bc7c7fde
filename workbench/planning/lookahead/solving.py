"""Solve the look-ahead programme: relax, round, and only then search.

The relaxation gives a bound that is nearly attained; diving from it gives a whole plan (see ``rounding``). Where that
plan is within the gap asked for, the work is done without a search tree. Else branch and bound starts from it with the
time that is left. Whatever a solver says of itself, a plan counts only when it keeps every row of the matrix, and the
bound is the better of what the relaxation and the search have proven.

Models that share no GPU kind in any region and no cap do not couple; they are solved apart, which loses nothing. Large
programmes of models that do couple are first tried model by model, at prices for what they share (see ``apart``); where
plan and bound of that are too far apart, all models are solved together.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import numpy as np

from workbench.errors import PlanError
from workbench.planning.handover import Handed, refuse_unknown, to_pulp
from workbench.planning.lookahead.apart import divide, is_divisible, solve_apart
from workbench.planning.lookahead.building import Programme, build
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.rounding import dive, fix, free
from workbench.planning.lookahead.sessions import Answer, Session, is_acceptable, solve_with_cbc

PRICED_GAPS = ("unmet_bound", "unmet_pooled", "floor_gap", "late", "reserve_gap")
LEAST_SEARCH_S = 0.5
SMALLER_BLOCKS = (24, 6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """The programme with the values of its columns, how good they are, and where the time went.

    ``bound_usd`` is the least that any plan could cost by the objective, shortfall priced in. ``status`` is optimal
    (within the gap asked for), feasible (time ran out first) or heuristic (no bound, or the search never answered).
    """

    programme: Programme
    values: Numbers
    objective_usd: float
    bound_usd: float
    status: str
    build_s: float
    solve_s: float

    @property
    def gap_fraction(self) -> float:
        """How far the objective may lie above the least possible, relative to it."""
        distance = self.objective_usd - self.bound_usd
        return max(0.0, distance / abs(self.objective_usd)) if self.objective_usd else 0.0


def solve_outlook(
    outlook: Outlook,
    *,
    solver: str = "highs",
    gap_fraction: float = 0.005,
    time_limit_s: float = 60.0,
    start: Numbers | None = None,
) -> Solved:
    """Return the best plan found within the time; always answers.

    ``gap_fraction`` is relative to the money in the plan, shortfall left out, so that a dear shortfall forgives no
    replica. ``start`` [p, t] are counts to begin from, such as yesterday's. Raises PlanError for an unknown solver, one
    that is not installed, or caps that nothing can keep.
    """
    refuse_unknown(solver)
    began = time.perf_counter()
    programme = build(outlook)
    deadline_s, build_s, known = began + time_limit_s, time.perf_counter() - began, None
    if solver == "highs" and is_divisible(programme):
        divided = divide(programme)
        build_s = time.perf_counter() - began
        known = solve_apart(divided, gap_fraction=gap_fraction, deadline_s=deadline_s)
        known = known if known is not None and is_acceptable(programme.matrix, known.values) else None
    if known is not None and known.objective - known.bound <= gap_fraction * money_usd(programme, known.values):
        answer = known
    else:
        answer, handing_s = _solve_together(
            programme, known, solver=solver, gap_fraction=gap_fraction, deadline_s=deadline_s, start=start
        )
        build_s += handing_s
    if not is_acceptable(programme.matrix, answer.values):
        raise PlanError("the look-ahead plan: the solver's values break a constraint; report the scenario.")
    return Solved(
        programme=programme,
        values=answer.values,
        objective_usd=answer.objective,
        bound_usd=min(answer.bound, answer.objective),
        status=("optimal" if answer.is_proven else "feasible") if math.isfinite(answer.bound) else "heuristic",
        build_s=build_s,
        solve_s=time.perf_counter() - began - build_s,
    )


def _solve_together(
    programme: Programme,
    known: Answer | None,
    *,
    solver: str,
    gap_fraction: float,
    deadline_s: float,
    start: Numbers | None,
) -> tuple[Answer, float]:
    """Return the best plan with its bound, and how long handing over took; ``known`` is a plan with a bound so far."""
    began = time.perf_counter()
    handed = to_pulp(programme.matrix)
    session = Session(programme.matrix, handed, whole=False, threads=programme.outlook.options.threads)
    built = time.perf_counter()
    relaxed = session.run(time_limit_s=deadline_s - built)
    if relaxed is None or not relaxed.is_proven:
        answer = known or dataclasses.replace(_fall_back(programme, session, relaxed), bound=-math.inf)
        return dataclasses.replace(answer, is_proven=False), built - began
    gap_usd = gap_fraction * max(money_usd(programme, relaxed.values), 1e-9)
    answer, bound = _make_whole(
        programme, handed, session, relaxed, known, solver=solver, gap_usd=gap_usd, deadline_s=deadline_s, start=start
    )
    is_within = answer.objective - bound <= gap_usd * (1 + 1e-9) + 1e-9
    return dataclasses.replace(answer, bound=bound, is_proven=is_within), built - began


def money_usd(programme: Programme, values: Numbers) -> float:
    """Return what a plan costs without the prices of what it leaves open."""
    gaps = [block for block in programme.columns.blocks if block.name in PRICED_GAPS]
    priced = sum(float((block.cost * values[block.index]).sum()) for block in gaps)
    return float(programme.matrix.cost @ values) + programme.matrix.constant - priced


def _make_whole(
    programme: Programme,
    handed: Handed,
    session: Session,
    relaxed: Answer,
    known: Answer | None,
    *,
    solver: str,
    gap_usd: float,
    deadline_s: float,
    start: Numbers | None,
) -> tuple[Answer, float]:
    """Return the best whole plan and the best bound."""
    bound, found = max(relaxed.bound, -math.inf if known is None else known.bound), [known]
    if solver == "highs":
        found += [_from_start(programme, session, start, deadline_s=deadline_s)]
        for block_windows in _blocks(programme.outlook):
            if not _is_within(found, bound, gap_usd):
                found.append(_dived(programme, session, relaxed, block_windows, deadline_s=deadline_s))
    if not _is_within(found, bound, gap_usd):
        searched = _search(programme, handed, found, solver=solver, gap_usd=gap_usd, deadline_s=deadline_s)
        found.append(searched)
        bound = max(bound, searched.bound if searched is not None else -math.inf)
    if all(answer is None for answer in found):
        found.append(_dived(programme, session, relaxed, programme.outlook.whole_windows, deadline_s=math.inf))
    whole = [answer for answer in found if answer is not None]
    best = min(whole, key=lambda answer: answer.objective) if whole else _fall_back(programme, session, relaxed)
    return best, bound


def _is_within(found: list[Answer | None], bound: float, gap_usd: float) -> bool:
    return any(answer is not None and answer.objective - bound <= gap_usd for answer in found)


def _blocks(outlook: Outlook) -> list[int]:
    """Return the sizes of block to dive by: all windows at once is quickest, fewer at a time comes closer."""
    return [outlook.whole_windows, *(size for size in SMALLER_BLOCKS if size < outlook.whole_windows)]


def _dived(
    programme: Programme, session: Session, relaxed: Answer, block_windows: int, *, deadline_s: float
) -> Answer | None:
    free(programme, session, np.flatnonzero(programme.matrix.is_whole))
    answer = dive(programme, session, relaxed, block_windows=block_windows, deadline_s=deadline_s)
    return answer if answer is not None and is_acceptable(programme.matrix, answer.values) else None


def _from_start(programme: Programme, session: Session, start: Numbers | None, *, deadline_s: float) -> Answer | None:
    if start is None:
        return None
    values = np.zeros(programme.matrix.cost.size)
    chosen = programme.columns.replicas
    values[chosen] = np.clip(start, programme.matrix.lower[chosen], programme.matrix.upper[chosen])
    answer = fix(programme, session, values, deadline_s=deadline_s)
    free(programme, session, np.flatnonzero(programme.matrix.is_whole))
    return answer if answer is not None and is_acceptable(programme.matrix, answer.values) else None


def _search(
    programme: Programme,
    handed: Handed,
    found: list[Answer | None],
    *,
    solver: str,
    gap_usd: float,
    deadline_s: float,
) -> Answer | None:
    left_s = deadline_s - time.perf_counter()
    if left_s < LEAST_SEARCH_S:
        return None
    threads = programme.outlook.options.threads
    if solver == "cbc":
        return solve_with_cbc(programme.matrix, handed, time_limit_s=left_s, threads=threads, gap_usd=gap_usd)
    search = Session(programme.matrix, handed, whole=True, threads=threads, gap_usd=gap_usd)
    known = [answer for answer in found if answer is not None]
    if known:
        search.start_from(min(known, key=lambda answer: answer.objective).values)
    answer = search.run(time_limit_s=left_s)
    return answer if answer is not None and is_acceptable(programme.matrix, answer.values) else None


def _fall_back(programme: Programme, session: Session, relaxed: Answer | None) -> Answer:
    """Return a plan when nothing else is known: fractions rounded down, else what stands, kept through all windows."""
    for values in (relaxed.values if relaxed is not None else None, None):
        counts = np.zeros(programme.matrix.cost.size)
        chosen = programme.columns.replicas
        if values is None:
            counts[chosen] = programme.outlook.serving_now[:, None]
        else:
            counts[chosen] = np.floor(values[chosen] + 1e-6)
        answer = fix(programme, session, counts, deadline_s=math.inf)
        if answer is not None and is_acceptable(programme.matrix, answer.values):
            return answer
    raise PlanError(
        "the look-ahead plan: nothing keeps all limits, not even what stands now left as it is; raise budget_usd, "
        "carbon_cap_kg, quota_gpus or stops_per_window."
    )
