"""Weigh forecast methods against each other: what each costs at the same service, and tables for reading."""

from __future__ import annotations

import math

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
    figures = ("gpu_hours", "cost_usd", "deferrable_backlog")
    parts = []
    for (strategy,), rows in value.totals.group_by("strategy", maintain_order=True):
        tried = rows.rename({"slo_attainment_fraction": scoring.SERVICE})
        best = tried.get_column(scoring.SERVICE).max()
        level = attainment_fraction
        if level is None and isinstance(best, float):
            level = best - scoring.SERVICE_TOLERANCE
        found = scoring.at_equal_service(tried, math.inf if level is None else level, by=("method",), figures=figures)
        parts.append(
            found.select(
                pl.lit(strategy).alias("strategy"), "method", pl.lit(level, pl.Float64).alias(scoring.SERVICE), *figures
            )
        )
    oracle = pl.col("cost_usd").filter(pl.col("method") == forecasting.PERFECT).first().over("strategy")
    made = pl.concat(parts).with_columns(over_oracle_fraction=pl.col("cost_usd") / oracle - 1.0)
    return made.sort("strategy", "cost_usd", "method", nulls_last=True)


def readable_value(value: DecisionValue, *, attainment_fraction: float | None = None) -> dict[str, pl.DataFrame]:
    """Return the value of the forecasts by title: at equal service, as tried, and what every tier got.

    Service is equal as in :func:`at_equal_service`. Shares are in percent; only names change, no number is made anew.
    """
    how = f"a plan every {value.every_s / 3600:g} h for {value.hours:g} h from {value.as_of:%Y-%m-%d %H:%M} UTC"
    risk = [
        pl.col("method"),
        pl.col("quantile"),
        (pl.col("headroom_fraction") * 100).round(0).alias("headroom, %"),
        pl.col("strategy"),
    ]
    return {
        f"At equal service ({how})": at_equal_service(value, attainment_fraction=attainment_fraction).select(
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
