"""The plan that needs no solver: round up, cheapest capacity first, as far as the stock goes.

It answers when a solver ends without a whole plan. Without coupling between regions and models and with one GPU kind it
is the optimum, delta = ceil(D / theta) - n (sageserve.md section 6.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.planning.problem import Place, Problem


def round_up(problem: Problem) -> dict[Place, int]:
    """Return counts that hold the floors, then each region's own share, then the rest of each model's demand.

    Whatever the stock cannot hold is left open; what is left open is computed from the counts.
    """
    replicas = dict.fromkeys(problem.places, 0)
    room = dict(problem.stock_gpus)
    for region, model in problem.pools:
        cheapest = _by_price(problem, problem.places_of(model, region))
        _add_replicas(problem, replicas, room, cheapest, problem.floor((region, model)))
    for region, model in problem.pools:
        cheapest = _by_price(problem, problem.places_of(model, region))
        need = problem.epsilon_fraction * problem.demand_input_tps[region, model]
        _add_capacity(problem, replicas, room, cheapest, need - problem.capacity(replicas, model, region))
    for model in problem.models:
        need = sum(tps for (_, name), tps in problem.demand_input_tps.items() if name == model)
        cheapest = _by_price(problem, problem.places_of(model))
        _add_capacity(problem, replicas, room, cheapest, need - problem.capacity(replicas, model))
    return replicas


def _by_price(problem: Problem, places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: (problem.hold_usd[place] / problem.theta(place), place))


def _add_replicas(
    problem: Problem, replicas: dict[Place, int], room: dict[tuple[str, str], int], places: Sequence[Place], count: int
) -> None:
    for place in places:
        added = min(count, room[place[0], place[2]] // problem.gpus(place))
        replicas[place] += added
        room[place[0], place[2]] -= added * problem.gpus(place)
        count -= added


def _add_capacity(
    problem: Problem, replicas: dict[Place, int], room: dict[tuple[str, str], int], places: Sequence[Place], tps: float
) -> None:
    for place in places:
        if tps <= 0:
            return
        before = replicas[place]
        _add_replicas(problem, replicas, room, [place], math.ceil(tps / problem.theta(place) - 1e-9))
        tps -= (replicas[place] - before) * problem.theta(place)
