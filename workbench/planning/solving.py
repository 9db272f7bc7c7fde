"""The capacity plan, by either programme: all hours together, or Programme S for each hour in turn.

The look-ahead is the default. SageServe plans one hour at a time (sageserve.md section 6.1), every hour starting from
the plan of the one before. The planner always answers: what the stock cannot serve
comes back as shortfall rows, and how well each hour is solved as its status, bound and gap. Contradictory input is
refused before anything is solved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import polars as pl

from workbench import tables
from workbench.domain import Fleet, RiskPolicy, Tier
from workbench.errors import PlanError, nearest, together
from workbench.planning.lookahead import LookAhead, plan_ahead
from workbench.planning.problem import Place, Problem, standing_problem
from workbench.planning.programme import HourPlan, solve_hour
from workbench.planning.requirement import peak_demand, unknown_names
from workbench.planning.shortfall import shortfall_rows
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

PROGRAMMES = ("sageserve", "lookahead")
STATUSES = ("optimal", "feasible", "heuristic")
SWAP_S = 600.0
WHOLE_GAP, ROLLING_GAP, HOURLY_GAP = 0.02, 0.005, 0.001


def solve(
    requirement: pl.DataFrame,
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    risk: RiskPolicy,
    epsilon_fraction: float,
    solver: str = "highs",
    gap_fraction: float | None = None,
    time_limit_s: float = 30.0,
    floor_replicas: int = 2,
    model: str = "lookahead",
    last_hour_deferrable: pl.DataFrame | None = None,
    start_s: float = SWAP_S,
    progress: Callable[[int, int], None] | None = None,
    options: LookAhead | None = None,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
    yesterday: CapacityPlan | None = None,
) -> CapacityPlan:
    """Decide how many replicas of each model to hold on each GPU kind in each region, window by window.

    ``model`` lookahead plans all windows together (:func:`workbench.planning.lookahead.plan_ahead`, the time limit for
    all of it; ``gap_fraction`` None is 2 % for a plan that is whole throughout, 0.5 % for one whose first hours are):
    ``options`` say everything that ``epsilon_fraction``, ``floor_replicas``, ``risk`` and ``start_s`` say here; without
    them epsilon and floor are taken from here. ``waiting`` is for it alone, and so is ``quiet``
    (:func:`workbench.planning.quiet_minutes`): for how much deferrable work there is room below the interactive peak.

    Either programme begins from ``yesterday``, a plan whose counts for the same windows, or the same hours a day
    earlier, are tried first.

    ``model`` sageserve is Programme S, hour by hour, every hour from the plan of the one before.
    ``requirement`` as REQUIREMENT, ``rates`` as REPLICA_RATES; prices are held for the window, and a start costs the
    price of the replica for ``start_s`` seconds (default: a redeployment, 10 minutes). Every replica counts as on
    demand. ``time_limit_s`` holds for each hour. ``hours`` has, beside the columns that CapacityPlan names,
    ``local_gap_input_tps`` (what regions lack of their epsilon share) and ``floor_gap_replicas``; ``cost_usd`` is the
    money for replicas held, start-up time included, while objective and bound also hold start costs and the price of
    shortfall. The bound is that of each hour by itself, not of all hours planned together. ``gap_fraction`` None is
    0.1 % for this programme.

    Raises PlanError for contradictory input, an unknown programme or solver, or a solver that is not installed.
    """
    needed = tables.REQUIREMENT.conform(requirement)
    _refuse(needed, fleet=fleet, programme=model)
    if model == "lookahead":
        ahead = plan_ahead(
            needed,
            fleet=fleet,
            rates=rates,
            options=options or LookAhead(local_fraction=epsilon_fraction, floor_replicas=floor_replicas),
            solver=solver,
            gap_fraction=_gap_ahead(options) if gap_fraction is None else gap_fraction,
            time_limit_s=time_limit_s,
            waiting=waiting,
            quiet=quiet,
            yesterday=yesterday,
        )
        return dataclasses.replace(ahead, requirement=needed)
    by_hour = _hour_by_hour(
        standing_problem(
            fleet=fleet,
            rates=tables.REPLICA_RATES.conform(rates),
            epsilon_fraction=epsilon_fraction,
            floor_replicas=floor_replicas,
            plan_window_s=plan_window_s_of(needed),
            start_s=start_s,
        ),
        demand=peak_demand(needed, risk, last_hour_deferrable=last_hour_deferrable),
        needed=needed,
        tiers=fleet.tiers,
        solver=solver,
        gap_fraction=HOURLY_GAP if gap_fraction is None else gap_fraction,
        time_limit_s=time_limit_s,
        yesterday=yesterday,
        progress=progress,
    )
    return dataclasses.replace(by_hour, requirement=needed)


def _hour_by_hour(
    problem: Problem,
    *,
    demand: pl.DataFrame,
    needed: pl.DataFrame,
    tiers: tuple[Tier, ...],
    solver: str,
    gap_fraction: float,
    time_limit_s: float,
    yesterday: CapacityPlan | None,
    progress: Callable[[int, int], None] | None,
) -> CapacityPlan:
    """Return the plan of Programme S: every hour from what the one before holds, the first from what stands."""
    starts = demand.get_column("window_start").unique().sort().to_list()
    allocation, shortfall, hours = [], [], []
    for start in starts:
        problem = _at(problem, demand.filter(pl.col("window_start") == start))
        hour = solve_hour(
            problem,
            solver=solver,
            gap_fraction=gap_fraction,
            time_limit_s=time_limit_s,
            start=None if yesterday is None else counts_at(yesterday, start),
        )
        required = needed.filter(pl.col("window_start") == start).to_dicts()
        allocation += [(start, *place, "on_demand", count) for place, count in hour.replicas.items()]
        shortfall.append(shortfall_rows(problem, hour, window_start=start, required=required, tiers=tiers))
        hours.append(_hour_row(problem, hour, start))
        problem = dataclasses.replace(problem, replicas_now=hour.replicas)
        if progress is not None:
            progress(len(hours), len(starts))
    return _plan(allocation, shortfall, pl.DataFrame(hours), solver=solver, programme="sageserve")


def counts_at(plan: CapacityPlan, window_start: datetime) -> dict[Place, int] | None:
    """Return a plan's counts for a window, or for the same hour a day before; None where it knows neither."""
    return _held(plan, window_start) or _held(plan, window_start - timedelta(days=1)) or None


def _held(plan: CapacityPlan, window_start: datetime) -> dict[Place, int]:
    """Return a plan's counts for a window, of all ways to buy them together; none where it does not know the window."""
    held = plan.allocation.filter(pl.col("window_start") == window_start)
    counts = held.group_by("region", "model", "gpu").agg(pl.col("replicas").sum())
    return {(region, model, gpu): count for region, model, gpu, count in counts.iter_rows()}


def problem_at(
    plan: CapacityPlan,
    window_start: datetime,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    rates: pl.DataFrame,
    risk: RiskPolicy,
    epsilon_fraction: float,
    floor_replicas: int = 2,
    last_hour_deferrable: pl.DataFrame | None = None,
    start_s: float = SWAP_S,
) -> Problem:
    """Return the programme of one planned hour, starting from what the plan holds in the hour before.

    Arguments as of :func:`solve`; raises PlanError for an hour that nothing is required in.
    """
    demand = peak_demand(requirement, risk, last_hour_deferrable=last_hour_deferrable)
    hours = demand.get_column("window_start").unique().sort().to_list()
    if window_start not in hours:
        raise PlanError(f"nothing is required at {window_start}; the hours are {hours[0]} to {hours[-1]}.")
    problem = standing_problem(
        fleet=fleet,
        rates=tables.REPLICA_RATES.conform(rates),
        epsilon_fraction=epsilon_fraction,
        floor_replicas=floor_replicas,
        plan_window_s=plan_window_s_of(requirement),
        start_s=start_s,
    )
    before = [hour for hour in hours if hour < window_start]
    if before:
        standing = _held(plan, before[-1])
        now = {place: standing.get(place, 0) for place in problem.places}
        problem = dataclasses.replace(problem, replicas_now=now)
    return _at(problem, demand.filter(pl.col("window_start") == window_start))


def plan_window_s_of(requirement: pl.DataFrame) -> float:
    """Return the length of a requirement's plan windows in seconds; an hour where there is only one."""
    if requirement.get_column("window_start").n_unique() < 2:
        return SECONDS_PER_HOUR
    return tables.window_s_of(requirement)


def _gap_ahead(options: LookAhead | None) -> float:
    """Return how far from its bound a look-ahead plan may be that nobody asked more of."""
    return WHOLE_GAP if options is None or options.integer_hours is None else ROLLING_GAP


def _at(problem: Problem, demand: pl.DataFrame) -> Problem:
    needs = dict.fromkeys(problem.demand_input_tps, 0.0)
    needs |= {(row["region"], row["model"]): row["input_tps"] for row in demand.iter_rows(named=True)}
    return dataclasses.replace(problem, demand_input_tps=needs)


def _hour_row(problem: Problem, hour: HourPlan, start: datetime) -> dict[str, object]:
    held = sum(problem.hold_usd[place] * count for place, count in hour.replicas.items())
    starts = sum(
        problem.start_usd[place] * max(0, count - problem.replicas_now[place]) for place, count in hour.replicas.items()
    )
    return {
        "window_start": start,
        "cost_usd": held,
        "start_cost_usd": starts,
        "objective": hour.objective_usd,
        "bound": hour.bound_usd,
        "gap_fraction": hour.gap_fraction,
        "status": hour.status,
        "solve_s": hour.solve_s,
        "local_gap_input_tps": sum(hour.local_gap_input_tps.values()),
        "floor_gap_replicas": sum(hour.floor_gap_replicas.values()),
    }


def _plan(
    allocation: Sequence[tuple[datetime, str, str, str, str, int]],
    shortfall: Sequence[pl.DataFrame],
    hours: pl.DataFrame,
    *,
    solver: str,
    programme: str,
) -> CapacityPlan:
    typed = hours.with_columns(
        pl.col("window_start").cast(tables.INSTANT), pl.col("bound", "gap_fraction").cast(pl.Float64)
    )
    is_bounded = typed.get_column("bound").null_count() == 0
    objective, bound = float(typed.get_column("objective").sum()), float(typed.get_column("bound").sum())
    gap = max(0.0, (objective - bound) / abs(objective)) if objective else 0.0
    statuses = set(typed.get_column("status"))
    placed = pl.DataFrame(allocation, schema=tables.ALLOCATION.schema, orient="row")
    return CapacityPlan(
        allocation=tables.ALLOCATION.conform(placed).sort(tables.ALLOCATION.key),
        shortfall=tables.SHORTFALL.conform(pl.concat(shortfall)).sort(tables.SHORTFALL.key),
        hours=typed,
        cost_usd=float(typed.get_column("cost_usd").sum()),
        bound_usd=bound if is_bounded else None,
        gap_fraction=gap if is_bounded else None,
        status=max(statuses, key=STATUSES.index),
        solver=solver,
        programme=programme,
    )


def _refuse(requirement: pl.DataFrame, *, fleet: Fleet, programme: str) -> None:
    wrong = unknown_names(requirement, fleet)
    if programme not in PROGRAMMES:
        wrong.append(f"there is no programme '{programme}'; {nearest(programme, PROGRAMMES)}")
    if requirement.is_empty():
        wrong.append("the requirement has no rows; require something of one hour or more")
    if wrong:
        raise PlanError("the plan: " + together(wrong))
