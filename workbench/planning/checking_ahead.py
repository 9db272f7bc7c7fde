"""Whether a look-ahead plan keeps what it promises, re-computed from its frames alone.

As for hourly plans nothing comes from the programme: what replicas can serve is their rate less the time of their
starts, work is followed along the flows and through the queue of deferrable work, GPUs and money are summed. What is
decided in whole replicas is checked against the allocation; beyond that, where the allocation only indicates, the
frames are checked against each other. A floor and the reserve for a lost region give way for a price where the stock
binds: a floor is only missed where a further replica would fit, and of the reserve no more than the plan owns up to.
"""

from __future__ import annotations

import polars as pl

from workbench.domain import Fleet
from workbench.errors import PlanError
from workbench.planning.checking_places import reserve_when_lost, resident_work
from workbench.planning.checking_supply import floors, gpus_at_hand, money, supplied_gpus
from workbench.planning.findings import findings
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.work_ahead import capacity_ahead, deferred_work, flow_work
from workbench.results import CapacityPlan

SLACK = 1e-4


def check_ahead(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    rates: pl.DataFrame,
    options: LookAhead,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return what is wrong with a look-ahead plan, one row per finding; no rows when nothing is.

    ``check`` is hours, flow_balance, flow_pair, flow_capacity, local_cover, global_cover, deferred, deadline, late,
    residency, reserve, starts, at_hand, change, floor, stock, supply, quota, cost, budget or carbon. Raises PlanError
    for a plan that lacks the frames of a look-ahead plan.
    """
    missing = [name for name in ("flows", "deferred", "supply", "starts") if getattr(plan, name) is None]
    if missing:
        raise PlanError(f"the plan has no {', '.join(missing)}: it cannot be checked as a look-ahead plan.")
    windows = requirement.get_column("window_start").unique().sort()
    whole = windows.head(plan.whole_windows or windows.len())
    able = capacity_ahead(plan, fleet=fleet, rates=rates, options=options, windows=windows)
    return pl.concat(
        [
            _hours(plan, windows),
            *flow_work(
                plan, requirement=requirement, fleet=fleet, options=options, able=able, whole=whole, quiet=quiet
            ),
            *deferred_work(plan, requirement=requirement, fleet=fleet, options=options, waiting=waiting),
            resident_work(
                plan,
                requirement=requirement,
                fleet=fleet,
                options=options,
                able=able,
                whole=whole,
                waiting=waiting,
                quiet=quiet,
            ),
            reserve_when_lost(plan, requirement=requirement, options=options, able=able, whole=whole),
            _starts(able, whole),
            gpus_at_hand(plan, fleet=fleet, rates=rates, windows=windows),
            *_change(able, options=options, whole=whole),
            floors(plan, fleet=fleet, rates=rates, options=options, whole=whole),
            *supplied_gpus(plan, fleet=fleet, rates=rates, options=options, whole=whole),
            *money(plan, fleet=fleet, options=options, windows=windows),
        ]
    )


def _hours(plan: CapacityPlan, windows: pl.Series) -> pl.DataFrame:
    asked = pl.DataFrame({"window_start": windows})
    planned = plan.allocation.select("window_start").unique()
    missing, surplus = (
        asked.join(planned, on="window_start", how="anti"),
        planned.join(asked, on="window_start", how="anti"),
    )
    return pl.concat(
        [
            findings("hours", missing, found=pl.lit(0), allowed=pl.lit(1)),
            findings("hours", surplus, found=pl.lit(1), allowed=pl.lit(0)),
        ]
    )


def _starts(able: pl.DataFrame, whole: pl.Series) -> pl.DataFrame:
    """Every replica that is added was started: n[t] - n[t-1] <= starts[t]."""
    added = able.filter(pl.col("window_start").is_in(whole.implode())).with_columns(
        added=pl.col("replicas") - pl.col("before")
    )
    short = added.filter(pl.col("added") > pl.col("begun") + SLACK)
    return findings("starts", short, found=pl.col("begun"), allowed=pl.col("added"))


def _change(able: pl.DataFrame, *, options: LookAhead, whole: pl.Series) -> list[pl.DataFrame]:
    change = (
        able.filter(pl.col("window_start").is_in(whole.implode()))
        .group_by("window_start", "region", "model")
        .agg((pl.col("replicas") - pl.col("before")).sum().alias("change"))
    )
    limits = ((options.starts_per_window, pl.col("change")), (options.stops_per_window, -pl.col("change")))
    return [
        findings("change", change.filter(moved > limit), found=moved, allowed=pl.lit(limit))
        for limit, moved in limits
        if limit is not None
    ]
