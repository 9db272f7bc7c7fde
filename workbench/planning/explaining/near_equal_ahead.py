"""Look-ahead plans that cost nearly the same and stand elsewhere: what may be decided on other grounds than money.

Alternatives to the cheapest plan are looked for in one direction after the other: as few GPUs as possible in a region
or outside it, of a GPU kind or of all others (:mod:`workbench.planning.explaining.surcharging`). Nothing is served
worse than in the cheapest plan, model by model and window by window.

How few GPUs any plan within the limit needs in a direction is proven. That no two plans lie further apart is not: the
distance has a maximum for every combination of directions, and these are tried one at a time. GPUs are only given up,
never asked for, or plans would differ by replicas that stand idle.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.domain import Fleet
from workbench.errors import PlanError
from workbench.planning.explaining.surcharging import search_within, with_fewest
from workbench.planning.lookahead.laying_out import outlook
from workbench.planning.lookahead.options import Key, LookAhead
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.reading import read
from workbench.planning.lookahead.solving import solve_outlook
from workbench.results import CapacityPlan

FIRST_HOURS = 1.0
SAME_FRACTION = 1e-3  # plans that differ by less of all GPUs are one plan


@dataclass(frozen=True, kw_only=True, eq=False)
class NearEqualAhead:
    """A plan, what was asked of it, and its GPUs by region and kind (``gpus``), on the mean of its windows.

    ``gpus_moved`` stand elsewhere than in the cheapest plan. ``gpus_there`` are those that ``name`` asks few of, and
    ``least_gpus`` is how many of them any plan within the limits needs, which is proven; None for the cheapest plan.
    """

    name: str
    plan: CapacityPlan
    gpus: Mapping[Key, float]
    gpus_moved: float = 0.0
    gpus_there: float | None = None
    least_gpus: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class NearEqualsAhead:
    """The cheapest plan, and others of nearly its cost, furthest first; the directions that found none in time."""

    plans: tuple[NearEqualAhead, ...]
    untried: tuple[str, ...]


def near_equal_ahead(
    requirement: pl.DataFrame,
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
    slack_fraction: float = 0.01,
    most: int = 4,
    gap_fraction: float = 0.005,
    time_limit_s: float = 120.0,
    progress: Callable[[int, int], None] | None = None,
) -> NearEqualsAhead:
    """Return the cheapest look-ahead plan and up to ``most`` others within ``slack_fraction`` of its cost.

    Arguments as of :func:`workbench.planning.lookahead.plan_ahead`. Where ``options`` decide all hours in whole
    replicas, here only the first is and the rest in fractions, in every plan alike. Cost is what the plan minimises:
    the bill with starts and ways to other regions; the bill alone may rise by more where starts fall. No work, floor or
    reserve lacks more than in the cheapest plan, in any window, and as much work is left over at the end. The others
    come furthest first, each as far as may be from those before it; there are fewer where nothing is new. Directions
    for which ``time_limit_s`` left no time, or in which no plan was found, are ``untried``.

    Raises PlanError as planning does.
    """
    deadline_s = time.perf_counter() + time_limit_s
    needed = tables.REQUIREMENT.conform(requirement)
    ahead = outlook(
        needed,
        fleet=fleet,
        rates=tables.REPLICA_RATES.conform(rates),
        options=dataclasses.replace(options, integer_hours=options.integer_hours or FIRST_HOURS),
        waiting=waiting,
        quiet=quiet,
    )
    best = solve_outlook(ahead, gap_fraction=gap_fraction, time_limit_s=time_limit_s)
    plan = read(best, requirement=needed, tiers=fleet.tiers, solver="highs")
    cheapest = NearEqualAhead(name="cheapest", plan=plan, gpus=mean_gpus(plan))
    search, directions = search_within(best, slack_fraction, deadline_s), _directions(ahead)
    if search is None:
        return NearEqualsAhead(plans=(cheapest,), untried=tuple(directions))
    found: dict[str, NearEqualAhead] = {}
    for number, (name, is_meant) in enumerate(directions.items()):
        solved, least_gpus = with_fewest(search, is_meant)
        if solved is not None:
            plan = read(solved, requirement=needed, tiers=fleet.tiers, solver="highs")
            gpus = mean_gpus(plan)
            found[name] = NearEqualAhead(
                name=name,
                plan=plan,
                gpus=gpus,
                gpus_moved=_moved(gpus, cheapest.gpus),
                gpus_there=sum(gpus[key] for key, is_there in zip(ahead.keys, is_meant, strict=True) if is_there),
                least_gpus=least_gpus,
            )
        if progress is not None:
            progress(number + 1, len(directions))
    return NearEqualsAhead(
        plans=_furthest_first(cheapest, tuple(found.values()), most),
        untried=tuple(name for name in directions if name not in found),
    )


def mean_gpus(plan: CapacityPlan) -> dict[Key, float]:
    """Return the GPUs in use by region and kind on the mean of a look-ahead plan's windows.

    Raises PlanError for a plan that does not say what its replicas stand on.
    """
    if plan.supply is None:
        raise PlanError("the plan has no supply: only a look-ahead plan says what its replicas stand on.")
    used = pl.col("gpus_reserved") + pl.col("gpus_on_demand") + pl.col("gpus_spot")
    means = plan.supply.group_by("region", "gpu").agg(used.mean()).sort("region", "gpu")
    return {(region, gpu): gpus for region, gpu, gpus in means.iter_rows()}


def near_equal_by_region_and_gpu(
    plans: Sequence[NearEqualAhead], *, beside: CapacityPlan | None = None
) -> pl.DataFrame:
    """Return plans as rows, the cheapest first: what they cost, and the mean GPUs of each region and kind.

    ``objective_usd`` is what the limit is about, shortfall at its price included; ``cost_usd`` is the bill. ``beside``
    is a plan to put above them, such as the plan of record, whole throughout.
    """
    rows = [*plans]
    if beside is not None:
        gpus = mean_gpus(beside)
        moved = _moved(gpus, plans[0].gpus)
        rows.insert(0, NearEqualAhead(name="as planned", plan=beside, gpus=gpus, gpus_moved=moved))
    keys = [key for key in rows[0].gpus if any(row.gpus[key] for row in rows)]
    return pl.DataFrame(
        {
            "plan": row.name,
            "objective_usd": float(row.plan.hours.get_column("objective").sum()),
            "cost_usd": row.plan.cost_usd,
            "gpus_elsewhere": row.gpus_moved,
            "gpus_there": row.gpus_there,
            "least_gpus": row.least_gpus,
            **{f"{gpu} in {region}": row.gpus[region, gpu] for region, gpu in keys},
        }
        for row in rows
    ).cast({"gpus_there": pl.Float64, "least_gpus": pl.Float64})


def _directions(ahead: Outlook) -> dict[str, NDArray[np.bool_]]:
    """Return of which GPUs [k] few are wanted, by what that is called; each set once, and never none or all of them."""
    regions, gpus = (np.array(part) for part in zip(*ahead.keys, strict=True))
    asked = {f"fewest in {region}": regions == region for region in ahead.regions}
    asked |= {f"fewest of {gpu}": gpus == gpu for gpu in ahead.gpus}
    asked |= {f"fewest outside {region}": regions != region for region in ahead.regions}
    asked |= {f"fewest other than {gpu}": gpus != gpu for gpu in ahead.gpus}
    names: dict[bytes, str] = {}
    for name, is_meant in asked.items():
        if is_meant.any() and not is_meant.all():
            names.setdefault(is_meant.tobytes(), name)
    return {name: asked[name] for name in names.values()}


def _furthest_first(cheapest: NearEqualAhead, found: Sequence[NearEqualAhead], most: int) -> tuple[NearEqualAhead, ...]:
    """Return the cheapest plan and up to ``most`` others, each as far as may be from those before it."""
    chosen, same = [cheapest], SAME_FRACTION * sum(cheapest.gpus.values())

    def distance(plan: NearEqualAhead) -> float:
        """Return how many GPUs stand elsewhere than in the nearest plan that is chosen."""
        return min(_moved(plan.gpus, other.gpus) for other in chosen)

    while len(chosen) <= most and found:
        furthest = max(found, key=distance)
        if distance(furthest) <= same:
            break
        chosen.append(furthest)
    return tuple(chosen)


def _moved(gpus: Mapping[Key, float], others: Mapping[Key, float]) -> float:
    return sum(max(0.0, count - others[key]) for key, count in gpus.items())
