"""What keeps a plan from being cheaper, in words: the rules that one replica less would break.

A rule binds in a window when the plan could not give up one more replica of its smallest rate under it; the stock
binds when not even the smallest replica of the region's models would still fit. Read off the allocation alone, so it
holds for whatever programme made the plan.
"""

from __future__ import annotations

import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.results import CapacityPlan

BINDING = pl.Schema(
    {
        "rule": tables.TEXT,
        "region": tables.TEXT,
        "model": tables.TEXT,
        "gpu": tables.TEXT,
        "windows": tables.COUNT,
        "share_fraction": tables.NUMBER,
        "told": tables.TEXT,
    }
)
POOL = ("window_start", "region", "model")


def binding(
    plan: CapacityPlan,
    *,
    demand: pl.DataFrame,
    fleet: Fleet,
    rates: pl.DataFrame,
    epsilon_fraction: float,
    floor_replicas: int,
) -> pl.DataFrame:
    """Return the rules that bind, the most often binding first, each with a sentence.

    ``demand`` as from :func:`workbench.planning.peak_demand`: window_start, region, model, input_tps. ``rule`` is
    stock, local_cover, global_cover or floor; ``windows`` says in how many windows it binds, ``share_fraction`` in
    which share of all.
    """
    held = _held(plan, fleet=fleet, rates=rates)
    pools = held.group_by(POOL).agg(
        (pl.col("replicas") * pl.col("input_tps")).sum().alias("able"),
        pl.col("input_tps").filter(pl.col("replicas") > 0).min().alias("smallest"),
        pl.col("replicas").sum(),
    )
    need = pools.join(demand, on=POOL, how="left").with_columns(pl.col("input_tps").fill_null(0.0))
    spare = pl.col("able") - pl.col("smallest")
    local = need.filter(spare < epsilon_fraction * pl.col("input_tps"))
    whole = need.group_by("window_start", "model").agg(pl.col("able", "input_tps").sum(), pl.col("smallest").min())
    everywhere = whole.filter(spare < pl.col("input_tps"))
    at_floor = need.filter((pl.col("replicas") > 0) & (pl.col("replicas") <= floor_replicas))
    free = held.group_by("window_start", "region", "gpu").agg(
        (pl.col("stock").first() - (pl.col("replicas") * pl.col("gpus_per_replica")).sum()).alias("free"),
        pl.col("gpus_per_replica").min(),
    )
    full = free.filter(pl.col("free") < pl.col("gpus_per_replica"))
    total = plan.allocation.get_column("window_start").n_unique()
    parts = [
        _told("stock", full, ("region", "gpu"), total, "{region} has no {gpu} left for another replica"),
        _told("local_cover", local, ("region", "model"), total, "{region} must serve its own share of {model} itself"),
        _told("global_cover", everywhere, ("model",), total, "all regions together just cover {model}"),
        _told("floor", at_floor, ("region", "model"), total, "{model} stands at its floor in {region}"),
    ]
    return pl.concat(parts).sort("windows", "rule", "region", "model", "gpu", descending=[True, *[False] * 4])


def _held(plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame) -> pl.DataFrame:
    stock = pl.DataFrame(
        [(region, gpu, float(gpus)) for (region, gpu), gpus in fleet.stock_gpus.items()],
        schema={"region": tables.TEXT, "gpu": tables.TEXT, "stock": tables.NUMBER},
        orient="row",
    )
    counts = plan.allocation.group_by(*POOL, "gpu").agg(pl.col("replicas").sum())
    speeds = rates.select("model", "gpu", "gpus_per_replica", "input_tps")
    return counts.join(speeds, on=("model", "gpu")).join(stock, on=("region", "gpu"))


def _told(rule: str, frame: pl.DataFrame, by: tuple[str, ...], total: int, sentence: str) -> pl.DataFrame:
    counted = frame.group_by(by).agg(pl.col("window_start").n_unique().alias("windows"))
    rows = [
        {
            "rule": rule,
            **{name: row.get(name) for name in ("region", "model", "gpu")},
            "windows": row["windows"],
            "share_fraction": row["windows"] / total,
            "told": f"{sentence.format(**row)} in {row['windows']:,} of {total:,} windows",
        }
        for row in counted.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=BINDING)
