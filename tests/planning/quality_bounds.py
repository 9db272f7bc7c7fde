"""What the perfect forecast must pay for counts held by the hour, when it may miss the same share of the work.

A plan that misses work is rightly cheaper than one that misses none, so it is put beside a bound that may miss as much:
the cheapest whole counts of each model for the loop of :mod:`tests.planning.quality_loop`, everything known, with at
most that share of interactive work unserved. All regions help each other there, so a model's counts are one number.
"""

from __future__ import annotations

import numpy as np
import pulp

from tests.planning.planning_cases import BATCH
from tests.planning.quality_loop import DAYS, FLOOR, PER_HOUR, USD_PER_HOUR, first_hour, interactive
from tests.planning.quality_worlds import SHARES, WINDOW_S, Numbers, World

GAP_FRACTION = 0.002
LIMIT_S = 10.0


def cheapest_usd(world: World, short_fraction: float) -> float:
    """The proven least that any counts of the judged days cost which miss no more than a share of interactive work."""
    begin = first_hour(world) * PER_HOUR
    judged = slice(begin, begin + DAYS * 24 * PER_HOUR)
    programme = pulp.LpProblem("bound", pulp.LpMinimize)
    costs: list[pulp.LpAffineExpression] = []
    missed: list[pulp.LpAffineExpression] = []
    asked = 0.0
    for number, (model, theta) in enumerate(world.theta.items()):
        live = np.asarray(sum(interactive(world, region, model) for region in SHARES)) / theta
        waits = np.asarray(sum(world.rates[region, model, BATCH.key] for region in SHARES)) / theta
        sized = [interactive(world, region, model)[begin - PER_HOUR : begin].max() / theta for region in SHARES]
        before = sum(max(FLOOR, int(np.ceil(busiest))) for busiest in sized)
        held, left, short = _add_model(programme, f"m{number}", live[judged], waits[judged], before)
        costs.append(held * USD_PER_HOUR + left * (WINDOW_S / 3600.0 * USD_PER_HOUR))
        missed.append(short * theta)
        asked += float(live[judged].sum()) * theta
    programme.setObjective(pulp.lpSum(costs))
    programme += pulp.lpSum(missed) <= short_fraction * asked
    solver = pulp.HiGHS(msg=False, threads=1, timeLimit=LIMIT_S, gapRel=GAP_FRACTION)
    programme.solve(solver)
    return float(programme.solverModel.getInfo().mip_dual_bound)


def _add_model(
    programme: pulp.LpProblem, name: str, live: Numbers, waits: Numbers, before: int
) -> tuple[pulp.LpAffineExpression, pulp.LpAffineExpression, pulp.LpAffineExpression]:
    """Add a model's counts; return replica hours, deferrable work left and interactive work missed, in replicas."""
    counts = [
        pulp.LpVariable(f"{name}_{hour}", FLOOR * len(SHARES), None, "Integer") for hour in range(live.size // PER_HOUR)
    ]
    queue: pulp.LpAffineExpression = pulp.lpSum([])
    missed = []
    for window, (asked, came) in enumerate(zip(live.tolist(), waits.tolist(), strict=True)):
        hour, is_first = window // PER_HOUR, window % PER_HOUR == 0
        short = pulp.LpVariable(f"{name}_short_{window}", 0, asked)
        served = pulp.LpVariable(f"{name}_served_{window}", 0)
        left = pulp.LpVariable(f"{name}_left_{window}", 0)
        programme += asked - short + served <= counts[hour]
        if is_first:  # what is added serves nothing in its first ten minutes
            programme += asked - short + served <= (counts[hour - 1] if hour else before)
        programme += left == queue + came - served
        queue = pulp.lpSum([left])
        missed.append(short)
    return pulp.lpSum(counts), queue, pulp.lpSum(missed)
