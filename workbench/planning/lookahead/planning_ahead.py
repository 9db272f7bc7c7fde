"""From a requirement to a look-ahead plan, models that do not couple planned apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.planning.lookahead.laying_out import outlook
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.lookahead.outlook import Numbers, Outlook
from workbench.planning.lookahead.reading import read
from workbench.planning.lookahead.solving import solve_outlook
from workbench.results import CapacityPlan

STATUSES = ("optimal", "feasible", "heuristic")
DAY = timedelta(days=1)


def plan_ahead(
    requirement: pl.DataFrame,
    *,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    solver: str = "highs",
    gap_fraction: float = 0.005,
    time_limit_s: float = 60.0,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
    yesterday: CapacityPlan | None = None,
) -> CapacityPlan:
    """Decide all windows of a requirement together; always answers.

    ``requirement`` as REQUIREMENT, ``rates`` as REPLICA_RATES, ``waiting`` deferrable work from before (region, model,
    ``input_tps_hours`` = tokens / 3600, ``serve_by_s`` from the first window), ``quiet`` as ``quiet_minutes`` has it,
    ``yesterday`` a plan whose counts for
    the same windows, or the same hours a day earlier, are tried first. ``time_limit_s`` holds for the whole plan.

    Raises PlanError for contradictory input, listing all of it, and for a solver that is unknown or not installed.
    """
    needed, known = tables.REQUIREMENT.conform(requirement), tables.REPLICA_RATES.conform(rates)
    whole = outlook(needed, fleet=fleet, rates=known, options=options, waiting=waiting, quiet=quiet)
    groups = uncoupled(whole)
    plans = []
    for models in groups:
        part, work, left = _part(fleet, needed, waiting, models) if len(groups) > 1 else (fleet, needed, waiting)
        calm = quiet if quiet is None or len(groups) == 1 else quiet.filter(pl.col("model").is_in(models))
        ahead = whole
        if len(groups) > 1:
            ahead = outlook(work, fleet=part, rates=known, options=options, waiting=left, quiet=calm)
        solved = solve_outlook(
            ahead,
            solver=solver,
            gap_fraction=gap_fraction,
            time_limit_s=time_limit_s / len(groups),
            start=None if yesterday is None else counts_of(yesterday, ahead),
        )
        plans.append(read(solved, requirement=work, tiers=fleet.tiers, solver=solver))
    return plans[0] if len(plans) == 1 else _together(plans)


def uncoupled(ahead: Outlook) -> list[tuple[str, ...]]:
    """Return groups of models that share no GPU kind in a region; one group where a cap over all of them couples."""
    options = ahead.options
    if options.budget_usd is not None or options.carbon_cap_kg is not None:
        return [ahead.models]
    group = np.arange(len(ahead.models))
    for key in range(len(ahead.keys)):
        sharing = group[np.unique(ahead.place_model[ahead.place_key == key])]
        if sharing.size:
            group[np.isin(group, sharing)] = sharing.min()
    return [tuple(np.array(ahead.models)[group == one].tolist()) for one in np.unique(group)]


def counts_of(plan: CapacityPlan, ahead: Outlook) -> Numbers:
    """Return the counts [p, t] of another plan for the windows ahead, or for the same hour in the day before.

    A window that the plan does not know gets what stands now.
    """
    held = plan.allocation.group_by("window_start", "region", "model", "gpu").agg(pl.col("replicas").sum())
    known = {row[:4]: row[4] for row in held.iter_rows()}
    names = [
        (ahead.regions[r], ahead.models[m], ahead.keys[k][1])
        for m, r, k in zip(ahead.place_model, ahead.place_region, ahead.place_key, strict=True)
    ]
    now = ahead.serving_now.tolist()
    return np.array(
        [
            [known.get((start, *name), known.get((start - DAY, *name), standing)) for start in ahead.starts]
            for name, standing in zip(names, now, strict=True)
        ],
        dtype=float,
    )


def _part(
    fleet: Fleet, requirement: pl.DataFrame, waiting: pl.DataFrame | None, models: tuple[str, ...]
) -> tuple[Fleet, pl.DataFrame, pl.DataFrame | None]:
    """Return the fleet and the work of some models; windows without any of it stay, empty."""
    part = dataclasses.replace(fleet, models=tuple(model for model in fleet.models if model.key in models))
    work = requirement.with_columns(
        pl.when(pl.col("model").is_in(models)).then(pl.col(name)).otherwise(0.0).alias(name)
        for name in ("input_tps", "output_tps")
    ).with_columns(pl.when(pl.col("model").is_in(models)).then("model").otherwise(pl.lit(models[0])).alias("model"))
    summed = work.group_by("window_start", "region", "model", "tier", "is_deferrable", "serve_by_s").agg(
        pl.col("input_tps", "output_tps").sum()
    )
    left = None if waiting is None else waiting.filter(pl.col("model").is_in(models))
    return part, tables.REQUIREMENT.conform(summed), left


def _together(plans: Sequence[CapacityPlan]) -> CapacityPlan:
    """Return plans of different models as one; supply of a GPU kind that several may use is summed, stock is not."""
    frames = {
        name: pl.concat([getattr(plan, name) for plan in plans])
        for name in ("allocation", "shortfall", "flows", "deferred", "starts")
    }
    key = ["window_start", "region", "gpu"]
    counted = pl.exclude(*key, "gpus_stock").sum()
    supply = pl.concat([plan.supply for plan in plans if plan.supply is not None])
    hours = (
        pl.concat([plan.hours for plan in plans])
        .group_by("window_start")
        .agg(
            pl.col("cost_usd", "start_cost_usd", "energy_kwh", "carbon_kg", "reserve_gap_input_tps", "objective").sum(),
            pl.col("bound", "gap_fraction").first(),
            pl.col("status").first(),
            pl.col("solve_s").sum(),
        )
    )
    status = max((plan.status for plan in plans), key=STATUSES.index)
    bounds = [plan.bound_usd for plan in plans]
    bound = None if any(one is None for one in bounds) else sum(one for one in bounds if one is not None)
    objective = float(hours.get_column("objective").sum())
    return dataclasses.replace(
        plans[0],
        **{name: frame.sort(getattr(tables, name.upper()).key) for name, frame in frames.items()},
        supply=tables.SUPPLY.conform(supply.group_by(key).agg(counted, pl.col("gpus_stock").max())).sort(key),
        hours=hours.with_columns(status=pl.lit(status)).sort("window_start"),
        cost_usd=sum(plan.cost_usd for plan in plans),
        status=status,
        bound_usd=bound,
        gap_fraction=None if bound is None else (max(0.0, (objective - bound) / objective) if objective else 0.0),
    )
