"""Programme S, one named function per constraint.

Every function takes the problem and its variables and yields (name, row); :data:`CONSTRAINTS` is the whole programme.
C1-C3 are those of sageserve.md section 6.1; the floor and the stock are additions that the paper lacks. Removals are
unlimited inside an hour. The paper's delta is written as ``started`` - ``removed``, both whole and never below zero:
starting a replica to remove another at the same place costs money and gains nothing, so ``started`` is max(0, delta)
without a binary, a big-M or a row of its own, and C1 is the upper bound of ``removed``.

Three gaps keep the programme answerable when the stock is too small: ``unmet`` (input tokens per second of a model that
no region serves), ``local_gap`` (what a region lacks of its own epsilon share, although it may be served elsewhere) and
``floor_gap`` (replicas missing from the floor). They are held at zero in the first attempt and priced in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulp

from workbench.planning.problem import Place, Pool, Problem

Row = tuple[str, Any]


@dataclass(frozen=True, kw_only=True)
class Variables:
    """The programme's variables; the replicas of a place are what stands there + ``started`` - ``removed``."""

    started: Mapping[Place, Any]
    removed: Mapping[Place, Any]
    unmet: Mapping[str, Any]
    local_gap: Mapping[Pool, Any]
    floor_gap: Mapping[Pool, Any]


def variables(problem: Problem, programme: pulp.LpProblem, *, may_fall_short: bool) -> Variables:
    """Add the variables of a problem to a programme; the gaps are fixed at zero unless it may fall short.

    C1 stands here: what is removed from a place is no more than what stands there, 0 <= removed <= n.
    """

    def whole(name: str, place: Place, most: int | None) -> Any:
        return programme.add_variable(_label(name, *place), 0, most, pulp.LpInteger)

    def gap(name: str, *keys: str, most: float) -> Any:
        return programme.add_variable(_label(name, *keys), 0, most if may_fall_short else 0, pulp.LpContinuous)

    return Variables(
        started={place: whole("started", place, None) for place in problem.places},
        removed={place: whole("removed", place, now) for place, now in problem.replicas_now.items()},
        unmet={model: gap("unmet", model, most=problem.total_input_tps[model]) for model in problem.models},
        local_gap={pool: gap("local_gap", *pool, most=problem.demand_input_tps[pool]) for pool in problem.pools},
        floor_gap={pool: gap("floor_gap", *pool, most=problem.floor_replicas) for pool in problem.pools},
    )


def keep_floor(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """A model keeps its floor of replicas in every region that can hold them: sum_k (n + delta) >= floor."""
    for region, model in problem.pools:
        places = problem.places_of(model, region)
        floor = problem.floor((region, model))
        if places and floor:
            standing = sum(problem.replicas_now[place] for place in places)
            added = _added(chosen, [(place, 1.0) for place in places], (chosen.floor_gap[region, model], 1.0))
            yield _label("floor", region, model), added >= floor - standing


def local_floor(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """C2: a region serves epsilon of its own peak itself: sum_k theta (n + delta) >= epsilon D."""
    for region, model in problem.pools:
        need = problem.epsilon_fraction * problem.demand_input_tps[region, model]
        if need > 0:
            places = problem.places_of(model, region)
            added = _added(chosen, _capacities(problem, places), (chosen.local_gap[region, model], 1.0))
            yield _label("C2", region, model), added >= need - problem.capacity(problem.replicas_now, model, region)


def global_cover(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """C3: all regions together serve all of a model's peaks: sum_jk theta (n + delta) >= sum_j D."""
    for model, need in problem.total_input_tps.items():
        if need > 0:
            added = _added(chosen, _capacities(problem, problem.places_of(model)), (chosen.unmet[model], 1.0))
            yield _label("C3", model), added >= need - problem.capacity(problem.replicas_now, model)


def gpu_stock(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """The replicas of a region fit the GPUs it has: sum_i gpus (n + delta) <= stock."""
    for (region, gpu), places in problem.places_by_stock.items():
        standing = sum(problem.gpus(place) * problem.replicas_now[place] for place in places)
        added = _added(chosen, [(place, float(problem.gpus(place))) for place in places])
        yield _label("stock", region, gpu), added <= problem.stock_gpus[region, gpu] - standing


CONSTRAINTS: tuple[Callable[[Problem, Variables], Iterator[Row]], ...] = (
    keep_floor,
    local_floor,
    global_cover,
    gpu_stock,
)


def _added(chosen: Variables, weights: Sequence[tuple[Place, float]], *more: tuple[Any, float]) -> Any:
    """Return the weighted sum of what is added, delta = started - removed, and further terms."""
    terms = [(chosen.started[place], weight) for place, weight in weights]
    terms += [(chosen.removed[place], -weight) for place, weight in weights]
    return pulp.LpAffineExpression([*terms, *more])


def _capacities(problem: Problem, places: Sequence[Place]) -> list[tuple[Place, float]]:
    return [(place, problem.theta(place)) for place in places]


def _label(*parts: str) -> str:
    return "|".join(parts)
