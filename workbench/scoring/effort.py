"""What a run took: GPU-hours held, wasted and lent, money, starts; in all, or by model, region and GPU kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from workbench.results import SimRun

STARTS = ("reclaim", "swap", "remote")


def effort(run: SimRun, since: datetime) -> dict[str, float]:
    """Return GPU-hours held, wasted and lent, cost and mean signals of a run from an instant on.

    Wasted is what was held but could not serve yet (sageserve.md section 7.2), in all and by kind of start: GPUs
    reclaimed with the model loaded, swapped from another model, or got from elsewhere. ``lent_usd`` is what holding
    the lent GPUs would have cost at the price of those held in their region: the most that lending them is worth.
    """
    pools = run.pools.filter(pl.col("window_start") >= since)
    sums = pools.select(
        pl.col("gpu_hours", "cost_usd", "waste_gpu_hours", "lent_gpu_hours").sum(),
        (pl.col("work_fraction") * pl.col("gpu_hours")).sum().alias("work_gpu_hours"),
        (pl.col("kv_cache_used_fraction") * pl.col("gpu_hours")).sum().alias("kv_gpu_hours"),
        **{f"waste_{kind}_gpu_hours": _wasted_on(kind).sum() for kind in STARTS},
    ).row(0, named=True)
    held = max(sums["gpu_hours"], 1e-9)
    events = run.scaling.filter(pl.col("window_start") >= since)
    starts = events.filter(~pl.col("kind").is_in(["in", "refused"])).get_column("replicas").sum()
    refused = events.filter(pl.col("kind") == "refused").get_column("replicas").sum()
    return {
        "gpu_hours": sums["gpu_hours"],
        "cost_usd": sums["cost_usd"],
        "waste_gpu_hours": sums["waste_gpu_hours"],
        **{f"waste_{kind}_gpu_hours": sums[f"waste_{kind}_gpu_hours"] for kind in STARTS},
        "lent_gpu_hours": sums["lent_gpu_hours"],
        "lent_usd": _lent_usd(pools),
        "work_fraction": sums["work_gpu_hours"] / held,
        "kv_cache_used_fraction": sums["kv_gpu_hours"] / held,
        "starts": float(starts),
        "refused_starts": float(refused),
    }


def _lent_usd(pools: pl.DataFrame) -> float:
    """Return the lent GPU-hours at the price per GPU-hour that is paid in their region for their kind."""
    held = pl.col("gpu_hours", "cost_usd", "lent_gpu_hours")
    sums = pools.group_by("region", "gpu", maintain_order=True).agg(held.sum())  # in one order: the same bytes again
    paid = sums.filter(pl.col("gpu_hours") > 0)
    return float(paid.select(pl.col("lent_gpu_hours") * pl.col("cost_usd") / pl.col("gpu_hours")).sum().item())


def _wasted_on(kind: str) -> pl.Expr:
    """Return the wasted GPU-hours of a window and pool that one kind of start took: all replicas have equal GPUs."""
    starting = pl.sum_horizontal(f"starting_{each}" for each in STARTS)
    share = pl.when(starting > 0).then(pl.col(f"starting_{kind}") / starting).otherwise(0.0)
    return pl.col("waste_gpu_hours") * share


def effort_by(run: SimRun, since: datetime, by: Sequence[str]) -> pl.DataFrame:
    """Return GPU-hours held, wasted and lent, and cost, one row per value of the columns ``by``.

    ``by`` names columns of ``SIM_POOLS``: region, model, gpu, silo.
    """
    pools = run.pools.filter(pl.col("window_start") >= since)
    sums = pl.col("gpu_hours", "cost_usd", "waste_gpu_hours", "lent_gpu_hours").sum()
    return pools.group_by(*by, maintain_order=True).agg(sums).sort(*by)
