"""How long a backtest takes: twelve series forecast hourly through a week with the default method."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from tests.benchmarks.timing import Figure, measure
from workbench import forecasting
from workbench.tables import DEMAND
from workbench.traces import synthetic

WEEK_S = 7 * 86_400.0


def run() -> list[Figure]:
    """Backtest the input tokens of four models in three regions on two weeks of quarter hours, from 168 origins."""
    demand = two_weeks()
    begin = demand.get_column("window_start").max() - timedelta(seconds=WEEK_S - 900.0)

    def once() -> None:
        forecasting.backtest(demand, since=begin, horizons_s=(3600.0, 86_400.0), methods=(forecasting.DEFAULT,), seed=7)

    return [Figure(metric="week_hourly_s", unit="s", spread=measure(once, runs=1, warmup=0))]


def two_weeks() -> pl.DataFrame:
    """Return the demand of twelve series, one per model and region."""
    weeks = synthetic.week(seed=7, days=14, tiers=("interactive_fast",))
    window = pl.col("arrived_at").dt.truncate("15m").alias("window_start")
    sums = weeks.group_by(window, "region", "model", "tier").agg(
        pl.len().cast(pl.Float64).alias("requests"), pl.col("input_tokens", "output_tokens").sum().cast(pl.Float64)
    )
    starts = sums.select("window_start").unique().join(sums.select("region", "model", "tier").unique(), how="cross")
    grid = starts.join(sums, on=["window_start", "region", "model", "tier"], how="left").fill_null(0.0)
    return DEMAND.conform(grid.sort("region", "model", "tier", "window_start"))
