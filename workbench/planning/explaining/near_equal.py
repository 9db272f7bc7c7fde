"""Plans that cost nearly the same and differ most: what may be decided on other grounds than money.

The cheapest plan is one of many within a percent of it, and which of them it is hangs on the last digit of a price.
Alternatives are looked for one after the other, each using the places that the plans before it use as little as the
cost allows ("hop, skip and jump": Brill, Chang and Hopkins, "Modeling to generate alternatives", 1982). What no
alternative gives up is what the plan really needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pulp

from workbench.planning.handover import BulkHiGHS
from workbench.planning.problem import Place, Problem
from workbench.planning.programme import build, objective_usd, solve_hour

TIME_LIMIT_S = 20.0
NEW_GPUS = 1e-6


@dataclass(frozen=True, kw_only=True)
class NearEqual:
    """A plan of an hour, what it costs by the objective, and how many GPUs stand elsewhere than in the cheapest."""

    replicas: Mapping[Place, int]
    objective_usd: float
    gpus_moved: int


def near_equal(problem: Problem, *, slack_fraction: float = 0.01, most: int = 4) -> tuple[NearEqual, ...]:
    """Return the cheapest plan of an hour and up to ``most`` others within ``slack_fraction`` of its cost.

    The others come in the order in which they were found, each as far from all before it as the cost allows; fewer
    where nothing new is left. An hour that falls short has the cheapest alone: its cost is the price of what is
    missing, of which a hundredth would pay for any detour.
    """
    best = solve_hour(problem)
    found = [NearEqual(replicas=best.replicas, objective_usd=best.objective_usd, gpus_moved=0)]
    if any(best.unmet_input_tps.values()) or any(best.local_gap_input_tps.values()):
        return tuple(found)
    limit = best.objective_usd * (1.0 + slack_fraction)
    for _ in range(most):
        replicas = _furthest(problem, [plan.replicas for plan in found], limit)
        if replicas is None or any(replicas == plan.replicas for plan in found):
            break
        found.append(
            NearEqual(
                replicas=replicas,
                objective_usd=objective_usd(problem, replicas),
                gpus_moved=_moved(problem, replicas, best.replicas),
            )
        )
    return tuple(found)


def near_equal_by_region(plans: Sequence[NearEqual]) -> pl.DataFrame:
    """Return plans as rows, the cheapest first, with the replicas of each region and what they cost."""
    rows = []
    for place, plan in enumerate(plans):
        regions: dict[str, int] = {}
        for (region, _, _), count in plan.replicas.items():
            regions[region] = regions.get(region, 0) + count
        name = "cheapest" if place == 0 else f"alternative {place}"
        counts = {f"replicas in {region}": count for region, count in sorted(regions.items())}
        rows.append({"plan": name, "cost_usd": plan.objective_usd, "gpus_elsewhere": plan.gpus_moved, **counts})
    return pl.DataFrame(rows)


def _furthest(problem: Problem, plans: list[Mapping[Place, int]], limit_usd: float) -> dict[Place, int] | None:
    """Return the plan within the cost that uses least what the plans before use, or None where there is none."""
    programme, chosen = build(problem, may_fall_short=False)
    cost = programme.objective
    weight = {
        place: problem.gpus(place) * sum(plan[place] > 0 for plan in plans) / len(plans) for place in problem.places
    }
    terms = [(chosen.started[place], used) for place, used in weight.items() if used]
    terms += [(chosen.removed[place], -used) for place, used in weight.items() if used]
    programme += pulp.LpConstraint(pulp.LpAffineExpression(cost), pulp.LpConstraintLE, "cost", limit_usd)
    programme.setObjective(pulp.LpAffineExpression(terms))
    programme.solve(BulkHiGHS(msg=False, threads=1, timeLimit=TIME_LIMIT_S, gapRel=0.01))
    values = {place: (chosen.started[place].value(), chosen.removed[place].value()) for place in problem.places}
    if any(value is None for pair in values.values() for value in pair):
        return None
    replicas = {place: problem.replicas_now[place] + round(up) - round(down) for place, (up, down) in values.items()}
    is_within = problem.fits(replicas) and objective_usd(problem, replicas) <= limit_usd * (1 + NEW_GPUS)
    return replicas if is_within else None


def _moved(problem: Problem, replicas: Mapping[Place, int], others: Mapping[Place, int]) -> int:
    return sum(problem.gpus(place) * max(0, replicas[place] - others[place]) for place in problem.places)
