"""How long one round of forecasts takes: twelve series, six days of quarter hours, one day ahead."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from tests.benchmarks.timing import Figure, measure
from workbench import forecasting
from workbench.tables import DEMAND
from workbench.traces import synthetic


def run() -> list[Figure]:
    """Forecast the input tokens of four models in three regions with Prophet."""
    week = synthetic.week(seed=7, tiers=("interactive_fast",))
    sums = week.group_by(pl.col("arrived_at").dt.truncate("15m").alias("window_start"), "region", "model", "tier").agg(
        pl.len().cast(pl.Float64).alias("requests"), pl.col("input_tokens", "output_tokens").sum().cast(pl.Float64)
    )
    starts = sums.select("window_start").unique().join(sums.select("region", "model", "tier").unique(), how="cross")
    grid = starts.join(sums, on=["window_start", "region", "model", "tier"], how="left").fill_null(0.0)
    demand = DEMAND.conform(grid.sort("region", "model", "tier", "window_start"))
    as_of = demand.get_column("window_start").max() - timedelta(hours=23, minutes=45)

    def once() -> None:
        forecasting.predict(
            demand, as_of=as_of, horizon_s=86_400.0, quantiles=(0.5, 0.9), measures=("input_tps",), seed=7
        )

    return [Figure(metric="round_12_series_s", unit="s", spread=measure(once))]
