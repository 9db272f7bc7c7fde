"""Plans within a limit of cost that use few GPUs of some places: surcharges instead of a row on cost.

A limit on cost would tie all windows together and make the programme of a week several times as slow, so GPUs there
are made dearer instead, until the plan costs too much (Lagrange; Geoffrion, "Lagrangean relaxation for integer
programming", 1974). The plans below and above the limit are then mixed, which fractions allow; the first hours are
whole and the same in both. Every surcharge proves how few GPUs any plan within the limit needs there.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.planning.lookahead.building import Programme
from workbench.planning.lookahead.outlook import Numbers
from workbench.planning.lookahead.rounding import dive, fix, free
from workbench.planning.lookahead.sessions import Answer, Session, cost_of, is_acceptable
from workbench.planning.lookahead.solving import PRICED_GAPS, Solved, money_usd

NEGLIGIBLE = 1e-7  # replicas' work: what the solver leaves undone by rounding
SAME_FRACTION = 1e-3  # surcharges that differ by less are one
FIRST, DEAREST, GROWTH = 0.1, 1.6, 4.0  # surcharges, as shares of what GPUs cost, tried until the limit is passed
STEPS = 6  # surcharges tried in a direction
BEYOND = 1.01  # times the surcharge where plans on either side of the limit cost alike, to get to the far side


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """The best plan, the programme of plans that lack no more than it, solved at its least cost, and the limit."""

    best: Solved
    programme: Programme
    session: Session
    cheapest: Answer
    limit_usd: float
    deadline_s: float

    def at(self, surcharge_usd: float, gpus: Numbers) -> Answer | None:
        """Return the best values with GPUs made dearer by so much; None where time ran out."""
        self.session.price(np.arange(gpus.size), self.programme.matrix.cost + surcharge_usd * gpus)
        answer = self.session.run(time_limit_s=self.deadline_s - time.perf_counter())
        return answer if answer is not None and answer.is_proven else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Reached:
    """Answers on either side of the limit (both below it where no surcharge goes beyond), and what is proven."""

    below: Answer
    above: Answer
    above_usd: float
    least_gpus: float

    def at_limit(self, limit_usd: float) -> Numbers:
        """Return the answers mixed so that they cost as much as is allowed."""
        over_usd = self.above.objective - limit_usd
        share = 1.0 if over_usd <= 0.0 else 1.0 - over_usd / (self.above.objective - self.below.objective)
        return np.asarray(self.below.values + share * (self.above.values - self.below.values))


def search_within(best: Solved, slack_fraction: float, deadline_s: float) -> Search | None:
    """Return what all directions share; None where time ran out."""
    programme, matrix = best.programme, best.programme.matrix
    upper, lower = matrix.upper.copy(), matrix.lower.copy()
    for block in programme.columns.blocks:
        if block.name in PRICED_GAPS:
            lacking = best.values[block.index]
            upper[block.index] = np.minimum(block.upper, np.where(lacking > NEGLIGIBLE, lacking, 0.0))
    left_over = programme.columns.waiting[..., -1]
    lower[left_over] = upper[left_over] = np.clip(best.values[left_over], 0.0, upper[left_over])
    programme = dataclasses.replace(programme, matrix=dataclasses.replace(matrix, lower=lower, upper=upper))
    session = Session(programme.matrix, None, threads=programme.outlook.options.threads)
    cheapest = session.run(time_limit_s=deadline_s - time.perf_counter())
    if cheapest is None or not cheapest.is_proven:
        return None
    return Search(
        best=best,
        programme=programme,
        session=session,
        cheapest=cheapest,
        limit_usd=best.objective_usd + slack_fraction * abs(money_usd(best.programme, best.values)),
        deadline_s=deadline_s,
    )


def with_fewest(search: Search, is_meant: NDArray[np.bool_]) -> tuple[Solved | None, float | None]:
    """Return a plan with few GPUs of some keys [k], and the proven least of them; None where time ran out."""
    began, programme, session = time.perf_counter(), search.programme, search.session
    ahead, cost = programme.outlook, programme.matrix.cost
    gpus = np.zeros(cost.size)
    gpus[programme.columns.replicas] = ahead.place_gpus[:, None] / ahead.windows
    usd_per_gpu = money_usd(search.best.programme, search.best.values) / max(float(gpus @ search.best.values), 1.0)
    gpus[programme.columns.replicas] *= is_meant[ahead.place_key][:, None]
    free(programme, session, np.flatnonzero(programme.matrix.is_whole))
    reached = _go(search, gpus, search.cheapest, FIRST * usd_per_gpu, dearest_usd=DEAREST * usd_per_gpu)
    if reached is None:
        return None, None
    beyond_usd = BEYOND * reached.above_usd
    session.price(np.arange(cost.size), cost + beyond_usd * gpus)
    is_whole = dive(programme, session, reached.above, block_windows=ahead.whole_windows, deadline_s=search.deadline_s)
    cheapest = search.at(0.0, gpus) if is_whole is not None else None
    if cheapest is None or cheapest.objective > search.limit_usd:
        # first hours that alone cost too much give way to those of the best plan, and only the rest moves
        session.price(np.arange(cost.size), cost)
        cheapest = fix(programme, session, search.best.values, deadline_s=search.deadline_s)
    whole = None if cheapest is None else _go(search, gpus, cheapest, beyond_usd, dearest_usd=DEAREST * usd_per_gpu)
    values = None if whole is None else whole.at_limit(search.limit_usd)
    if values is None or not is_acceptable(programme.matrix, values):
        return None, reached.least_gpus
    solved = dataclasses.replace(
        search.best,
        values=values,
        objective_usd=cost_of(programme.matrix, values),
        status="feasible" if math.isfinite(search.best.bound_usd) else "heuristic",
        build_s=0.0,
        solve_s=time.perf_counter() - began,
    )
    return solved, reached.least_gpus


def _go(search: Search, gpus: Numbers, cheapest: Answer, first_usd: float, *, dearest_usd: float) -> Reached | None:
    """Return what surcharges on GPUs lead to, from the cheapest plan on; None where time ran out before the first.

    Each surcharge is the slope between the nearest plans on either side of the limit: a plan below the line between
    them would show there.
    """
    below, above, above_usd, surcharge_usd, least_gpus = cheapest, None, first_usd, first_usd, 0.0
    for _ in range(STEPS):
        tried = search.at(surcharge_usd, gpus)
        if tried is None:
            break
        over_usd = tried.objective - search.limit_usd
        least_gpus = max(least_gpus, float(gpus @ tried.values) + over_usd / surcharge_usd)
        if over_usd > 0.0:
            above, above_usd = tried, surcharge_usd
        else:
            below = tried
        next_usd = _next(below, above, gpus, surcharge_usd)
        if next_usd > dearest_usd or abs(next_usd - surcharge_usd) <= SAME_FRACTION * surcharge_usd:
            break
        surcharge_usd = next_usd
    if below is cheapest and above is None:
        return None
    return Reached(below=below, above=above or below, above_usd=above_usd, least_gpus=least_gpus)


def _next(below: Answer, above: Answer | None, gpus: Numbers, surcharge_usd: float) -> float:
    """Return the slope between plans on either side of the limit, or a higher surcharge where none is above it."""
    if above is None:
        return GROWTH * surcharge_usd
    saved = float(gpus @ (below.values - above.values))
    return (above.objective - below.objective) / saved if saved > NEGLIGIBLE else surcharge_usd
