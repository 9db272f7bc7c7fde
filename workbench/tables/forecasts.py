"""What is foreseen, what has to be said about it, and the parts it is made of."""

from __future__ import annotations

import polars as pl

from workbench.tables.declaring import SERIES, WINDOW, Table, not_negative, number, text

FORECAST = Table(
    name="FORECAST",
    one_row_per="window, region, model, tier, measure and quantile",
    columns=WINDOW
    | SERIES
    | {
        "measure": text("rps, input_tps or output_tps"),
        "quantile": number("1", "probability that the value is not exceeded"),
        "value": number("per second", "forecast rate"),
    },
    key=("window_start", "region", "model", "tier", "measure", "quantile"),
    rules=not_negative("value")
    | {
        "measure is known": pl.col("measure").is_in(["rps", "input_tps", "output_tps"]),
        "0 < quantile < 1": pl.col("quantile").is_between(0.0, 1.0, closed="none"),
    },
)

FORECAST_NOTES = Table(
    name="FORECAST_NOTES",
    one_row_per="region, model, tier and measure",
    columns=SERIES
    | {
        "measure": text("rps, input_tps or output_tps"),
        "method": text("the method that made this series"),
        "note": text("why another method than the one asked for was used; empty when it was not"),
    },
    key=("region", "model", "tier", "measure"),
)

FORECAST_SERIES = SERIES | {"measure": text("rps, input_tps or output_tps")}

FORECAST_COMPONENTS = Table(
    name="FORECAST_COMPONENTS",
    one_row_per="window, region, model, tier, measure and component",
    columns=WINDOW
    | FORECAST_SERIES
    | {
        "component": text("realised, level, curve and forecast as rates; daily, weekly, events, correction as factors"),
        "value": number("per second or 1", "the rate, or the factor that multiplies it"),
    },
    key=("window_start", "region", "model", "tier", "measure", "component"),
    rules=not_negative("value"),
)
