"""Whether the work of a look-ahead plan has where to go: pooled work under residency, all of it when a region is lost.

Both are questions about sums over regions that the programme answers by inequalities of its own; here the frames are
asked. Pooled work is sent to the regions that it may go to, path by path, until no path is left (Ford and Fulkerson);
what cannot be sent is a finding. For the reserve, each region is taken away in turn, and what the others hold is put
beside the share of interactive work that must stay servable and what the plan itself says it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.planning.findings import FINDINGS, findings
from workbench.planning.lookahead.options import LookAhead
from workbench.planning.work_ahead import beyond_quiet
from workbench.results import CapacityPlan

SLACK = 1e-4
POOL = ("window_start", "region", "model")
BY = ("window_start", "model")
WAITS = "waits"


def sent_most(
    asked: Mapping[str, float], rooms: Mapping[str, float], allowed: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return what of each origin's work finds room in the regions that it may go to, all origins together at most.

    The largest flow through a network of origins and regions; ``allowed`` names the regions of each origin.
    """
    left, room = dict(asked), {region: max(0.0, most) for region, most in rooms.items()}
    placed: dict[tuple[str, str], float] = {}
    least = 1e-9 * (1.0 + sum(asked.values()))
    while (path := _path(left, room, allowed, placed, least)) is not None:
        amount = min(left[path[0]], room[path[-1]], *(placed[path[i + 1], path[i]] for i in range(1, len(path) - 1, 2)))
        for i in range(0, len(path) - 1, 2):
            placed[path[i], path[i + 1]] = placed.get((path[i], path[i + 1]), 0.0) + amount
            if i + 2 < len(path):
                placed[path[i + 2], path[i + 1]] -= amount
        left[path[0]] -= amount
        room[path[-1]] -= amount
    return {origin: asked[origin] - left[origin] for origin in asked}


def _path(
    left: Mapping[str, float],
    room: Mapping[str, float],
    allowed: Mapping[str, Sequence[str]],
    placed: Mapping[tuple[str, str], float],
    least: float,
) -> list[str] | None:
    """Return origin, region, origin that gives way there, region ... up to a region with room; None without one."""
    paths = [[origin] for origin, amount in left.items() if amount > least]
    seen = set()
    while paths:
        path = paths.pop(0)
        for region in allowed[path[-1]]:
            if region in seen:
                continue
            seen.add(region)
            if room.get(region, 0.0) > least:
                return [*path, region]
            giving = [origin for (origin, at), amount in placed.items() if at == region and amount > least]
            paths += [[*path, region, origin] for origin in giving if origin not in path[::2]]
    return None


def resident_work(
    plan: CapacityPlan,
    *,
    requirement: pl.DataFrame,
    fleet: Fleet,
    options: LookAhead,
    able: pl.DataFrame,
    whole: pl.Series,
    waiting: pl.DataFrame | None = None,
    quiet: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return where pooled work does not fit the regions that it may go to; no rows without residency rules.

    What flows bring into a region has its room already. Deferrable work is told for all origins together, so it counts
    as work that may go wherever any of them may send it, and as finding the ``quiet`` minutes of all regions.
    """
    if not options.residency and not options.defer_at_home:
        return pl.DataFrame(schema=FINDINGS)
    regions = [region.key for region in fleet.regions]
    may_go = {origin: sorted({origin, *options.residency.get(origin, regions)}) for origin in regions}
    homes = set(requirement.filter(pl.col("is_deferrable") & (pl.col("input_tps") > 0)).get_column("region"))
    homes |= set() if waiting is None else set(waiting.get_column("region"))
    may_go[WAITS] = sorted(homes if options.defer_at_home else {region for home in homes for region in may_go[home]})
    rows = []
    for key, (asked, rooms, most) in _by_model(plan, requirement, fleet, options, able, whole, quiet).items():
        found = sent_most(asked, rooms, may_go)
        rows += [
            (*key, None if origin == WAITS else origin, sent, asked[origin])
            for origin, sent in found.items()
            if sum(asked.values()) - sum(found.values()) > SLACK * (sum(asked.values()) + most)
            and asked[origin] - sent > 0
        ]
    schema = {"window_start": tables.INSTANT, "model": tables.TEXT, "region": tables.TEXT}
    frame = pl.DataFrame(rows, schema={**schema, "sent": pl.Float64, "asked": pl.Float64}, orient="row")
    return findings("residency", frame, found=pl.col("sent"), allowed=pl.col("asked"))


def _by_model(
    plan: CapacityPlan,
    requirement: pl.DataFrame,
    fleet: Fleet,
    options: LookAhead,
    able: pl.DataFrame,
    whole: pl.Series,
    quiet: pl.DataFrame | None,
) -> dict[tuple[object, ...], tuple[dict[str, float], dict[str, float], float]]:
    """Return for each window and model pooled work by origin, room by region, and the rate of a replica."""
    bound = [t.key for t in fleet.tiers if t.ttft_slo_s is not None and t.ttft_slo_s < options.bound_below_ttft_s]
    short = plan.shortfall.select(*POOL, "tier", pl.col("input_tps").alias("short"))
    pooled = (
        requirement.filter(
            ~pl.col("is_deferrable") & ~pl.col("tier").is_in(bound), pl.col("window_start").is_in(whole.implode())
        )
        .join(short, on=(*POOL, "tier"), how="left")
        .select(*POOL, tps=pl.col("input_tps") - pl.col("short").fill_null(0.0))
    )
    served = beyond_quiet(_or_empty(plan.deferred, tables.DEFERRED), quiet).select(
        *BY, pl.lit(WAITS).alias("region"), "served_input_tps"
    )
    work = pl.concat([pooled, served.rename({"served_input_tps": "tps"}).select(pooled.columns)])
    into = _or_empty(plan.flows, tables.FLOWS).group_by(POOL).agg(pl.col("input_tps").sum().alias("into"))
    pools = able.group_by(POOL).agg(pl.col("able").sum(), pl.col("theta").max()).join(into, on=POOL, how="left")
    rooms = pools.with_columns(room=pl.col("able") - pl.col("into").fill_null(0.0))
    found: dict[tuple[object, ...], tuple[dict[str, float], dict[str, float], float]] = {}
    for key, rows in work.filter(pl.col("window_start").is_in(whole.implode())).group_by(BY):
        asked = rows.group_by("region").agg(pl.col("tps").sum().clip(lower_bound=0.0))
        found[key] = (dict(asked.iter_rows()), {}, 0.0)
    for key, rows in rooms.group_by(BY):
        if key in found:
            held = dict(rows.select("region", "room").iter_rows())
            found[key] = (found[key][0], held, float(rows.get_column("theta").to_numpy().max()))
    return found


def reserve_when_lost(
    plan: CapacityPlan, *, requirement: pl.DataFrame, options: LookAhead, able: pl.DataFrame, whole: pl.Series
) -> pl.DataFrame:
    """Return the regions without which less stays servable than promised, beyond what the plan says it lacks.

    For each window the gaps of all models without their worst region, added up, are no more than ``hours`` tells.
    """
    regions = able.get_column("region").unique()
    if not options.lost_region_fraction or regions.len() < 2:
        return pl.DataFrame(schema=FINDINGS)
    asked = requirement.filter(~pl.col("is_deferrable")).group_by(BY).agg(pl.col("input_tps").sum())
    here = (
        able.filter(pl.col("window_start").is_in(whole.implode()))
        .group_by(POOL)
        .agg(pl.col("able").sum(), pl.col("theta").max())
    )
    gaps = (
        here.with_columns(others=pl.col("able").sum().over(BY) - pl.col("able"))
        .join(asked, on=BY)
        .with_columns(must=options.lost_region_fraction * pl.col("input_tps"))
        .with_columns(gap=(pl.col("must") - pl.col("others")).clip(lower_bound=0.0))
    )
    worst = gaps.sort("gap", "region", descending=[True, False]).group_by(BY, maintain_order=True).first()
    each = worst.group_by("window_start").agg(pl.col("gap", "must", "theta").sum())
    told = plan.hours.select("window_start", told=_told(plan))
    broken = each.join(told, on="window_start", how="left").filter(
        pl.col("gap") > pl.col("told") + SLACK * (pl.col("must") + pl.col("theta"))
    )
    short = worst.filter(pl.col("gap") > 0).join(broken, on="window_start", how="semi")
    return findings("reserve", short, found=pl.col("others"), allowed=pl.col("must"))


def _told(plan: CapacityPlan) -> pl.Expr:
    name = "reserve_gap_input_tps"
    return pl.col(name).fill_null(0.0) if name in plan.hours.columns else pl.lit(0.0)


def _or_empty(frame: pl.DataFrame | None, table: tables.Table) -> pl.DataFrame:
    return table.empty() if frame is None else frame
