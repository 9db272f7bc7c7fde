"""How long forecasts take: a round of twelve series, first and one more hour of a day, with the default method.

Twelve series of six days of quarter hours, a day ahead. A round makes every fit; the next hour of the same day only
corrects. Backtests roll such hours, see the benchmark ``backtest``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl

from tests.benchmarks.timing import Figure, measure
from workbench import forecasting
from workbench.tables import DEMAND
from workbench.traces import synthetic

ASKED: dict[str, Any] = {"horizon_s": 86_400.0, "quantiles": (0.5, 0.9), "measures": ("input_tps",), "seed": 7}


def run() -> list[Figure]:
    """Forecast the input tokens of four models in three regions."""
    demand = _week()
    as_of = demand.get_column("window_start").max() - timedelta(hours=23, minutes=45)

    def once() -> None:
        forecasting.predict(demand, as_of=as_of, **ASKED)

    origins = [as_of + timedelta(hours=step) for step in range(8)]
    figures = [Figure(metric="round_12_series_s", unit="s", spread=measure(once))]
    rolled = forecasting.roll(demand, origins=origins, **ASKED)
    next_hour = measure(lambda: next(rolled), runs=5, warmup=1)
    return [*figures, Figure(metric="next_hour_12_series_s", unit="s", spread=next_hour)]


def _week() -> pl.DataFrame:
    week = synthetic.week(seed=7, tiers=("interactive_fast",))
    sums = week.group_by(pl.col("arrived_at").dt.truncate("15m").alias("window_start"), "region", "model", "tier").agg(
        pl.len().cast(pl.Float64).alias("requests"), pl.col("input_tokens", "output_tokens").sum().cast(pl.Float64)
    )
    starts = sums.select("window_start").unique().join(sums.select("region", "model", "tier").unique(), how="cross")
    grid = starts.join(sums, on=["window_start", "region", "model", "tier"], how="left").fill_null(0.0)
    return DEMAND.conform(grid.sort("region", "model", "tier", "window_start"))
