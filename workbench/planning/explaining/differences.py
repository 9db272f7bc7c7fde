"""Two plans beside each other: where they hold more or less, and what that comes to."""

from __future__ import annotations

import polars as pl

from workbench import tables
from workbench.domain import Fleet
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

PLACE = ["region", "model", "gpu"]
DIFFERENCES = pl.Schema(
    {
        **dict.fromkeys(PLACE, tables.TEXT),
        "before_replicas": tables.NUMBER,
        "after_replicas": tables.NUMBER,
        "gpu_hours": tables.NUMBER,
        "list_usd": tables.NUMBER,
        "windows": tables.COUNT,
    }
)
FEWEST_HOURS = 1e-9


def differences(before: CapacityPlan, after: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame) -> pl.DataFrame:
    """Return one row per region, model and GPU kind that two plans hold differently, the largest sum first.

    Replicas are means over the windows that both plans have; ``gpu_hours`` and ``list_usd`` (at the fleet's prices, by
    the hour) say how much more the second plan holds, ``windows`` in how many windows they differ.
    """
    both = (
        before.allocation.select("window_start")
        .unique()
        .join(after.allocation.select("window_start").unique(), on="window_start")
    )
    windows = both.get_column("window_start")
    hours = (tables.window_s_of(both) if windows.len() > 1 else SECONDS_PER_HOUR) / SECONDS_PER_HOUR
    price = pl.DataFrame(
        [(region, gpu, usd) for (region, gpu), usd in fleet.usd_per_gpu_hour.items()],
        schema={"region": tables.TEXT, "gpu": tables.TEXT, "usd": tables.NUMBER},
        orient="row",
    )
    joined = (
        _counts(before, windows, "before")
        .join(_counts(after, windows, "after"), on=["window_start", *PLACE], how="full", coalesce=True)
        .with_columns(pl.col("before", "after").fill_null(0))
        .join(rates.select("model", "gpu", "gpus_per_replica"), on=["model", "gpu"], how="left")
        .join(price, on=["region", "gpu"], how="left")
        .with_columns(more=(pl.col("after") - pl.col("before")) * pl.col("gpus_per_replica") * hours)
    )
    told = joined.group_by(PLACE).agg(
        (pl.col("before").sum() / max(1, windows.len())).alias("before_replicas"),
        (pl.col("after").sum() / max(1, windows.len())).alias("after_replicas"),
        pl.col("more").sum().cast(pl.Float64).alias("gpu_hours"),
        (pl.col("more") * pl.col("usd").fill_null(0.0)).sum().alias("list_usd"),
        (pl.col("before") != pl.col("after")).sum().cast(pl.Int64).alias("windows"),
    )
    largest = told.filter(pl.col("windows") > 0).sort(
        pl.col("gpu_hours").abs(), *PLACE, descending=[True, *[False] * 3]
    )
    return largest.select(pl.col(name).cast(kind) for name, kind in DIFFERENCES.items())


def differences_told(before: CapacityPlan, after: CapacityPlan, frame: pl.DataFrame) -> str:
    """Return what :func:`differences` found, in two sentences."""
    usd = after.cost_usd - before.cost_usd
    short = [float(plan.shortfall.get_column("input_tps").sum()) for plan in (before, after)]
    if frame.is_empty() and abs(usd) < FEWEST_HOURS:
        return "The plans hold the same replicas in every window."
    share = f" ({usd / before.cost_usd:+.1%})" if before.cost_usd else ""
    service = (
        "Both leave as much unserved"
        if abs(short[0] - short[1]) < FEWEST_HOURS
        else (f"The second leaves {'more' if short[1] > short[0] else 'less'} unserved")
    )
    largest = (
        ""
        if frame.is_empty()
        else (
            f"; most of the difference is {frame.row(0, named=True)['model']} on {frame.row(0, named=True)['gpu']} in "
            f"{frame.row(0, named=True)['region']} ({frame.row(0, named=True)['gpu_hours']:+,.0f} GPU-hours)"
        )
    )
    return f"The second plan costs {usd:+,.0f} USD{share}{largest}. {service}."


def _counts(plan: CapacityPlan, windows: pl.Series, name: str) -> pl.DataFrame:
    return (
        plan.allocation.filter(pl.col("window_start").is_in(windows.implode()))
        .group_by("window_start", *PLACE)
        .agg(pl.col("replicas").sum().alias(name))
    )
