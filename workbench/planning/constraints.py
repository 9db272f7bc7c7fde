"""Programme S, one named function per constraint.

Every function takes the problem and its variables and yields (name, row); :data:`CONSTRAINTS` is the whole programme.
C1-C3 are those of sageserve.md section 6.1; the floor and the stock are additions that the paper lacks. Removals are
unlimited inside an hour. ``started`` replaces max(0, delta): its price makes it tight, so no binary and no big-M is
needed.

Three gaps keep the programme answerable when the stock is too small: ``unmet`` (input tokens per second of a model that
no region serves), ``local_gap`` (what a region lacks of its own epsilon share, although it may be served elsewhere) and
``floor_gap`` (replicas missing from the floor). They are held at zero in the first attempt and priced in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulp

from workbench.planning.problem import Place, Pool, Problem

Row = tuple[str, Any]


@dataclass(frozen=True, kw_only=True)
class Variables:
    """The programme's variables; ``delta`` is the replicas to add (above 0) or remove (below 0)."""

    delta: Mapping[Place, Any]
    started: Mapping[Place, Any]
    unmet: Mapping[str, Any]
    local_gap: Mapping[Pool, Any]
    floor_gap: Mapping[Pool, Any]


def variables(problem: Problem, programme: pulp.LpProblem, *, may_fall_short: bool) -> Variables:
    """Add the variables of a problem to a programme; the gaps are fixed at zero unless it may fall short."""

    def add(name: str, keys: tuple[str, ...], *, low: float | None, high: float | None, whole: bool) -> Any:
        kind = pulp.LpInteger if whole else pulp.LpContinuous
        return programme.add_variable(_label(name, *keys), low, high, kind)

    def gap(name: str, *keys: str, most: float) -> Any:
        return add(name, keys, low=0, high=most if may_fall_short else 0, whole=False)

    return Variables(
        delta={place: add("delta", place, low=None, high=None, whole=True) for place in problem.places},
        started={place: add("started", place, low=0, high=None, whole=False) for place in problem.places},
        unmet={model: gap("unmet", model, most=_total(problem, model)) for model in problem.models},
        local_gap={pool: gap("local_gap", *pool, most=problem.demand_input_tps[pool]) for pool in problem.pools},
        floor_gap={pool: gap("floor_gap", *pool, most=problem.floor_replicas) for pool in problem.pools},
    )


def not_below_zero(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """C1: what is removed from a place is no more than what stands there: n + delta >= 0."""
    for place, now in problem.replicas_now.items():
        yield _label("C1", *place), chosen.delta[place] >= -now


def keep_floor(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """A model keeps its floor of replicas in every region that can hold them: sum_k (n + delta) >= floor."""
    for region, model in problem.pools:
        places = problem.places_of(model, region)
        floor = problem.floor((region, model))
        if places and floor:
            standing = sum(problem.replicas_now[place] for place in places)
            kept = pulp.lpSum([chosen.delta[place] for place in places])
            yield _label("floor", region, model), kept + chosen.floor_gap[region, model] >= floor - standing


def local_floor(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """C2: a region serves epsilon of its own peak itself: sum_k theta (n + delta) >= epsilon D."""
    for region, model in problem.pools:
        need = problem.epsilon_fraction * problem.demand_input_tps[region, model]
        if need > 0:
            standing = problem.capacity(problem.replicas_now, model, region)
            added = _capacity_added(problem, chosen, model, region)
            yield _label("C2", region, model), added + chosen.local_gap[region, model] >= need - standing


def global_cover(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """C3: all regions together serve all of a model's peaks: sum_jk theta (n + delta) >= sum_j D."""
    for model in problem.models:
        need = _total(problem, model)
        if need > 0:
            standing = problem.capacity(problem.replicas_now, model)
            yield _label("C3", model), _capacity_added(problem, chosen, model) + chosen.unmet[model] >= need - standing


def gpu_stock(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """The replicas of a region fit the GPUs it has: sum_i gpus (n + delta) <= stock."""
    for (region, gpu), stock in problem.stock_gpus.items():
        places = [place for place in problem.places if (place[0], place[2]) == (region, gpu)]
        if places:
            standing = sum(problem.gpus(place) * problem.replicas_now[place] for place in places)
            added = pulp.lpSum([problem.gpus(place) * chosen.delta[place] for place in places])
            yield _label("stock", region, gpu), added <= stock - standing


def count_starts(problem: Problem, chosen: Variables) -> Iterator[Row]:
    """What is started is at least what is added: u >= delta (and u >= 0)."""
    for place in problem.places:
        yield _label("starts", *place), chosen.started[place] - chosen.delta[place] >= 0


CONSTRAINTS: tuple[Callable[[Problem, Variables], Iterator[Row]], ...] = (
    not_below_zero,
    keep_floor,
    local_floor,
    global_cover,
    gpu_stock,
    count_starts,
)


def _capacity_added(problem: Problem, chosen: Variables, model: str, region: str | None = None) -> Any:
    return pulp.lpSum([problem.theta(place) * chosen.delta[place] for place in problem.places_of(model, region)])


def _total(problem: Problem, model: str) -> float:
    return sum(tps for (_, name), tps in problem.demand_input_tps.items() if name == model)


def _label(*parts: str) -> str:
    return "|".join(parts)
