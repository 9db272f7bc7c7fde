"""Weigh forecast methods against each other: what each costs at the same service, and tables for reading."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench import forecasting, scoring
from workbench.results import DecisionValue


def at_equal_service(value: DecisionValue, *, attainment_fraction: float | None = None) -> pl.DataFrame:
    """Return what each method costs at the same service, one row per strategy and method, the cheapest first.

    Between the risks that were planned for, GPU-hours and cost are interpolated to where the tiers that cannot wait
    keep their promise as often as ``attainment_fraction`` (default: the best that was reached, less the half point that
    counts as equally good). They are null where nothing that was tried serves so well, and those of the cheapest plan
    where all do. ``over_oracle_fraction`` is the cost over that of the perfect forecast with headroom;
    ``deferrable_backlog`` is what such a plan leaves waiting of the tiers that can wait, to be read beside the cost.
    """
    parts = []
    for (strategy,), rows in value.totals.group_by("strategy", maintain_order=True):
        best = rows.get_column("slo_attainment_fraction").max()
        level = attainment_fraction
        if level is None and isinstance(best, float):
            level = best - scoring.SERVICE_TOLERANCE
        for (method,), tried in rows.group_by("method", maintain_order=True):
            at = {name: _at(tried, name, level) for name in ("gpu_hours", "cost_usd", "deferrable_backlog")}
            parts.append({"strategy": strategy, "method": method, "attainment_fraction": level, **at})
    schema = dict.fromkeys(("attainment_fraction", "gpu_hours", "cost_usd", "deferrable_backlog"), pl.Float64)
    oracle = pl.col("cost_usd").filter(pl.col("method") == forecasting.PERFECT).first().over("strategy")
    made = pl.DataFrame(parts, schema_overrides=schema).with_columns(
        over_oracle_fraction=pl.col("cost_usd") / oracle - 1.0
    )
    return made.sort("strategy", "cost_usd", "method", nulls_last=True)


def _at(tried: pl.DataFrame, name: str, level: float | None) -> float | None:
    """Return a figure where the service reaches a level, between the plans of which none serves better for less."""
    rows = tried.drop_nulls("slo_attainment_fraction").sort("slo_attainment_fraction", "cost_usd")
    cheapest_above = pl.col("cost_usd").cum_min(reverse=True)
    frontier = rows.filter(pl.col("cost_usd") <= cheapest_above)
    kept, figure = (frontier.get_column(column).to_numpy() for column in ("slo_attainment_fraction", name))
    if level is None or kept.size == 0 or kept[-1] < level:
        return None
    return float(np.interp(level, kept, figure))


def readable_value(value: DecisionValue) -> dict[str, pl.DataFrame]:
    """Return the value of the forecasts by title: at equal service, as tried, and what every tier got.

    Shares are in percent; only names change, no number is made anew.
    """
    how = f"a plan every {value.every_s / 3600:g} h for {value.hours:g} h from {value.as_of:%Y-%m-%d %H:%M} UTC"
    risk = [
        pl.col("method"),
        pl.col("quantile"),
        (pl.col("headroom_fraction") * 100).round(0).alias("headroom, %"),
        pl.col("strategy"),
    ]
    return {
        f"At equal service ({how})": at_equal_service(value).select(
            "strategy",
            "method",
            (pl.col("attainment_fraction") * 100).round(1).alias("promises kept, %"),
            pl.col("gpu_hours").round(0).alias("GPU-hours"),
            pl.col("cost_usd").round(0).alias("cost, USD"),
            (pl.col("over_oracle_fraction") * 100).round(1).alias("over the perfect forecast, %"),
            pl.col("deferrable_backlog").round(0).alias("deferrable left"),
        ),
        "As planned and simulated (oracle is the perfect forecast, with headroom)": value.totals.select(
            *risk,
            (pl.col("wape") * 100).round(1).alias("WAPE, %"),
            (pl.col("under_planned_fraction") * 100).round(1).alias("planned too little, %"),
            (pl.col("over_planned_fraction") * 100).round(1).alias("too much, %"),
            pl.col("gpu_hours").round(0).alias("GPU-hours"),
            pl.col("cost_usd").round(0).alias("cost, USD"),
            (pl.col("slo_attainment_fraction") * 100).round(1).alias("promises kept, %"),
            (pl.col("shortfall_tokens") / 1e6).round(1).alias("shortfall, M tokens"),
        ),
        "What every tier got": value.tiers.select(
            *risk,
            "tier",
            (pl.col("slo_attainment_fraction") * 100).round(1).alias("kept, %"),
            pl.col("ttft_p95_s").round(2).alias("TTFT P95, s"),
            pl.col("missed_deadlines").round(0).alias("missed"),
            pl.col("backlog").round(0),
        ),
    }
