"""Look-ahead plans that cost nearly the same and stand elsewhere: what may be decided on other grounds than money.

Alternatives to the cheapest plan are looked for in one direction after the other: as few GPUs as possible in a region
or outside it, of a GPU kind or of all others. A limit on cost would tie all windows together and make a week's
programme several times as slow, so GPUs there get dearer until the plan costs too much (Lagrange; Geoffrion,
"Lagrangean relaxation for integer programming", 1974). The plans below and above the limit are then mixed, which
fractions allow; the first hours are whole and the same in both. Nothing is served worse than in the cheapest plan,
model by model and window by window.

Every surcharge proves how few GPUs any plan within the limit needs there. That no two plans lie further apart is not
proven: the distance has a maximum for every combination of directions, and these are tried one at a time. GPUs are only
given up, never asked for, or plans would differ by replicas that stand idle.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.domain import Fleet
from workbench.errors import PlanError
from workbench.planning.lookahead.building import Programme
from workbench.planning.lookahead.laying_out import outlook
from workbench.planning.lookahead.options import Key, LookAhead
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.reading import read
from workbench.planning.lookahead.rounding import dive, fix, free
from workbench.planning.lookahead.sessions import Answer, Session, cost_of, is_acceptable
from workbench.planning.lookahead.solving import PRICED_GAPS, Solved, money_usd, solve_outlook
from workbench.results import CapacityPlan

FIRST_HOURS = 1.0
NEGLIGIBLE = 1e-7  # replicas' work: what the solver leaves undone by rounding
SAME_FRACTION = 1e-3  # plans that differ by less of all GPUs are one plan, and surcharges that differ by less are one
FIRST, DEAREST, GROWTH = 0.1, 1.6, 4.0  # surcharges, as shares of what GPUs cost, tried until the limit is passed
STEPS = 6  # surcharges tried in a direction
BEYOND = 1.01  # times the surcharge where plans on either side of the limit cost alike, to get to the far side


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
) -> tuple[NearEqualAhead, ...]:
    """Return the cheapest look-ahead plan and up to ``most`` others within ``slack_fraction`` of its cost.

    Arguments as of :func:`workbench.planning.lookahead.plan_ahead`. Where ``options`` decide all hours in whole
    replicas, here only the first is and the rest in fractions, in every plan alike. Cost is what the plan minimises:
    the bill with starts and ways to other regions; the bill alone may rise by more where starts fall. No work, floor or
    reserve lacks more than in the cheapest plan, in any window, and as much work is left over at the end. The others
    come furthest first, each as far as may be from those before it; fewer where nothing is new, or where time ran out
    before every direction was tried.

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
    search = _search(best, slack_fraction, deadline_s)
    if search is None:
        return (cheapest,)
    found, directions = [], _directions(ahead)
    for number, (name, is_meant) in enumerate(directions.items()):
        solved, least_gpus = _with_fewest(search, is_meant)
        if solved is not None:
            plan = read(solved, requirement=needed, tiers=fleet.tiers, solver="highs")
            gpus = mean_gpus(plan)
            there = sum(gpus[key] for key, is_there in zip(ahead.keys, is_meant, strict=True) if is_there)
            found.append(
                NearEqualAhead(
                    name=name,
                    plan=plan,
                    gpus=gpus,
                    gpus_moved=_moved(gpus, cheapest.gpus),
                    gpus_there=there,
                    least_gpus=least_gpus,
                )
            )
        if progress is not None:
            progress(number + 1, len(directions))
    return _furthest_first(cheapest, found, most)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Search:
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
class _Reached:
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


def _search(best: Solved, slack_fraction: float, deadline_s: float) -> _Search | None:
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
    return _Search(
        best=best,
        programme=programme,
        session=session,
        cheapest=cheapest,
        limit_usd=best.objective_usd + slack_fraction * abs(money_usd(best.programme, best.values)),
        deadline_s=deadline_s,
    )


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


def _with_fewest(search: _Search, is_meant: NDArray[np.bool_]) -> tuple[Solved | None, float | None]:
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


def _go(search: _Search, gpus: Numbers, cheapest: Answer, first_usd: float, *, dearest_usd: float) -> _Reached | None:
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
    return _Reached(below=below, above=above or below, above_usd=above_usd, least_gpus=least_gpus)


def _next(below: Answer, above: Answer | None, gpus: Numbers, surcharge_usd: float) -> float:
    """Return the slope between plans on either side of the limit, or a higher surcharge where none is above it."""
    if above is None:
        return GROWTH * surcharge_usd
    saved = float(gpus @ (below.values - above.values))
    return (above.objective - below.objective) / saved if saved > NEGLIGIBLE else surcharge_usd


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
