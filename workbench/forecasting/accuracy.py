"""How far a forecast was from what came: the four figures that choose a method and a quantile.

Definitions are those of the forecasting literature (Hyndman and Athanasopoulos, "Forecasting: Principles and
Practice", 3rd edition, 2021, sections 5.8-5.9). Windows that are a gap in the realised demand count for nothing.
"""

from __future__ import annotations

import polars as pl

from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting.history import SOURCES
from workbench.results import Forecast
from workbench.units import after

SERIES = ("region", "model", "tier", "measure")


def accuracy(forecast: Forecast, demand: pl.DataFrame) -> pl.DataFrame:
    """Score a forecast against realised DEMAND: one row per region, model, tier, measure and quantile.

    ``windows`` compared, ``wape`` = sum |realised - value| / sum realised (null where nothing came), ``bias`` = sum
    (value - realised) / sum realised, ``pinball`` = mean quantile loss in units of the rate, ``coverage_fraction`` =
    share of windows at or below the value, to be compared with the quantile. Realised rates are means over the
    forecast's windows, null where fewer than half of the demand windows in one are known.

    Raises ForecastError when forecast and demand share no window.
    """
    realised = _realised(forecast, demand)
    joined = forecast.frame.join(realised, on=("window_start", *SERIES)).filter(pl.col("realised").is_not_null())
    if joined.is_empty():
        raise ForecastError(
            f"the forecast from {forecast.as_of} shares no known window with the demand; "
            "give the demand of the forecast's own span, series and windows."
        )
    return (
        joined.sort(tables.FORECAST.key)
        .group_by(*SERIES, "quantile", maintain_order=True)
        .agg(**figures(pl.col("value"), quantile=pl.col("quantile")))
        .sort(*SERIES, "quantile")
    )


def figures(value: pl.Expr, *, quantile: pl.Expr) -> dict[str, pl.Expr]:
    """Return the figures as expressions over rows that hold ``realised`` (never null) and the forecast ``value``."""
    realised = pl.col("realised")
    error, total = value - realised, realised.sum()
    return {
        "windows": pl.len().cast(pl.Int64),
        "wape": pl.when(total > 0).then(error.abs().sum() / total),
        "bias": pl.when(total > 0).then(error.sum() / total),
        "pinball": pl.max_horizontal(-error * quantile, error * (1.0 - quantile)).mean(),
        "coverage_fraction": (realised <= value).mean(),
    }


def _realised(forecast: Forecast, demand: pl.DataFrame) -> pl.DataFrame:
    starts = forecast.frame.get_column("window_start")
    end = after(starts.max(), forecast.window_s)  # type: ignore[arg-type]
    within = pl.col("window_start").is_between(pl.lit(forecast.as_of), pl.lit(end), closed="left")
    future = tables.DEMAND.conform(demand.filter(within))
    own_s = min(tables.window_s_of(demand), forecast.window_s)
    window_us = round(forecast.window_s * 1e6)
    elapsed_us = (pl.col("window_start") - forecast.as_of).dt.total_microseconds()
    rates = [
        pl.when(2 * pl.col(sums).count() * own_s >= forecast.window_s).then(pl.col(sums).mean() / own_s).alias(measure)
        for measure, sums in SOURCES.items()
    ]
    return (
        future.sort(tables.DEMAND.key)
        .with_columns(
            window_start=pl.lit(forecast.as_of, tables.INSTANT)
            + pl.duration(microseconds=elapsed_us // window_us * window_us)
        )
        .group_by("window_start", "region", "model", "tier", maintain_order=True)
        .agg(rates)
        .unpivot(index=["window_start", "region", "model", "tier"], variable_name="measure", value_name="realised")
    )
