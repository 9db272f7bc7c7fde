"""What the perfect forecast must pay for counts held by the hour, when it may miss the same share of the work.

A plan that misses work is rightly cheaper than one that misses none, so it is put beside a bound that may miss as much:
the cheapest whole counts of each model for the loop of :mod:`tests.planning.quality_loop`, everything known, with at
most that share of interactive work unserved. All regions help each other there, so a model's counts are one number.

How much of the distance to it no rule can close is told by a second bound (:func:`best_rule_usd`): the counts of an
hour are a function of what is known when it begins, a sum of nondecreasing functions, one of each number that was seen
or foreseen, chosen for each model with the judged days in view. No rule of that form, with whatever quantile, headroom
or hours kept, costs less on these days. A rule outside of it may: one that asks what time it is, holds less after more
was seen, weighs two numbers against each other, or changes as it learns. With 48 hours that all differ such a sum bends
to nearly anything: where it stands at the bound (ServeGen) it says nothing, where it stays above (SageServe) no rule of
the form gets there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pulp

from tests.planning.planning_cases import BATCH
from tests.planning.quality_loop import FLOOR, PER_HOUR, USD_PER_HOUR, interactive, judged_hours
from tests.planning.quality_worlds import SHARES, WINDOW_S, Numbers, World

GAP_FRACTION = 0.002
LIMIT_S = 10.0


def cheapest_usd(world: World, short_fraction: float) -> float:
    """The proven least that any counts of the judged days cost which miss no more than a share of interactive work."""
    programme = pulp.LpProblem("bound", pulp.LpMinimize)
    counts = {model: _counts(programme, world, name, pulp.LpInteger) for name, model in _named(world)}
    _judge(programme, world, counts, short_fraction)
    return _least_usd(programme)


def best_rule_usd(world: World, short_fraction: float, known: Mapping[str, Sequence[Numbers]]) -> float:
    """The least that counts cost which are a sum of nondecreasing functions of what is known, fitted in hindsight.

    ``known`` holds for each model arrays of one number per judged hour, each known when the hour begins. Counts may be
    fractions, so that the least of whole ones lies above.
    """
    programme = pulp.LpProblem("rule", pulp.LpMinimize)
    counts = {model: _counts(programme, world, name, pulp.LpContinuous) for name, model in _named(world)}
    for name, model in _named(world):
        parts: list[list[pulp.LpVariable]] = [[] for _ in counts[model]]
        for number, values in enumerate(known[model]):
            levels, at = np.unique(values, return_inverse=True)
            heights = [programme.add_variable(f"{name}_{number}_{level}", 0) for level in range(levels.size)]
            for lower, higher in itertools.pairwise(heights):
                programme += lower <= higher
            for hour, level in enumerate(at.tolist()):
                parts[hour].append(heights[level])
        for count, part in zip(counts[model], parts, strict=True):
            programme += count == pulp.lpSum(part)
    _judge(programme, world, counts, short_fraction)
    return _least_usd(programme)


def _named(world: World) -> list[tuple[str, str]]:
    return [(f"m{number}", model) for number, model in enumerate(world.theta)]


def _counts(programme: pulp.LpProblem, world: World, name: str, kind: str) -> list[pulp.LpVariable]:
    least = FLOOR * len(SHARES)
    return [programme.add_variable(f"{name}_{hour}", least, None, kind) for hour in judged_hours(world)]


def _judge(
    programme: pulp.LpProblem, world: World, counts: Mapping[str, Sequence[pulp.LpVariable]], short_fraction: float
) -> None:
    """Add how the judged days are lived through with counts, what that costs, and how much may be missed."""
    hours = judged_hours(world)
    begin = hours.start * PER_HOUR
    judged = slice(begin, hours.stop * PER_HOUR)
    costs: list[pulp.LpAffineExpression] = []
    missed: list[pulp.LpAffineExpression] = []
    asked = 0.0
    for name, model in _named(world):
        theta = world.theta[model]
        live = np.asarray(sum(interactive(world, region, model) for region in SHARES)) / theta
        waits = np.asarray(sum(world.rates[region, model, BATCH.key] for region in SHARES)) / theta
        sized = [interactive(world, region, model)[begin - PER_HOUR : begin].max() / theta for region in SHARES]
        before = sum(max(FLOOR, int(np.ceil(busiest))) for busiest in sized)
        left, short = _add_model(programme, name, counts[model], live[judged], waits[judged], before)
        costs.append(pulp.lpSum(counts[model]) * USD_PER_HOUR + left * (WINDOW_S / 3600.0 * USD_PER_HOUR))
        missed.append(short * theta)
        asked += float(live[judged].sum()) * theta
    programme.setObjective(pulp.lpSum(costs))
    programme += pulp.lpSum(missed) <= short_fraction * asked


def _least_usd(programme: pulp.LpProblem) -> float:
    solver = pulp.HiGHS(msg=False, threads=1, timeLimit=LIMIT_S, gapRel=GAP_FRACTION)
    programme.solve(solver)
    info = programme.solverModel.getInfo()
    return float(info.mip_dual_bound if programme.isMIP() else info.objective_function_value)


def _add_model(
    programme: pulp.LpProblem,
    name: str,
    counts: Sequence[pulp.LpVariable],
    live: Numbers,
    waits: Numbers,
    before: int,
) -> tuple[pulp.LpAffineExpression, pulp.LpAffineExpression]:
    """Serve a model with counts; return deferrable work left and interactive work missed, in replicas."""
    queue: pulp.LpAffineExpression = pulp.lpSum([])
    missed = []
    for window, (asked, came) in enumerate(zip(live.tolist(), waits.tolist(), strict=True)):
        hour, is_first = window // PER_HOUR, window % PER_HOUR == 0
        short = programme.add_variable(f"{name}_short_{window}", 0, asked)
        served = programme.add_variable(f"{name}_served_{window}", 0)
        left = programme.add_variable(f"{name}_left_{window}", 0)
        programme += asked - short + served <= counts[hour]
        if is_first:  # what is added serves nothing in its first ten minutes
            programme += asked - short + served <= (counts[hour - 1] if hour else before)
        programme += left == queue + came - served
        queue = pulp.lpSum([left])
        missed.append(short)
    return queue, pulp.lpSum(missed)
