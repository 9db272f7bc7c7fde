"""From forecasts and what came to the tables of a backtest, for one series and one method.

Everything is laid out once as columns, a row per origin and window and a column per quantile; each table is then one
grouping of them. The figures are those of :mod:`workbench.forecasting.accuracy`; the scaled error (MASE) is Hyndman and
Koehler's ("Another look at measures of forecast accuracy", 2006) with the day before as the yardstick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting.accuracy import figures
from workbench.forecasting.backtesting.origins import Stretch
from workbench.forecasting.history import Values
from workbench.results import Forecast
from workbench.units import SECONDS_PER_HOUR, seconds_between

MEDIAN, LOW, HIGH = 0.5, 0.05, 0.95
Key = tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """What came of one series: rates of all windows up to the end of the demand, NaN where unknown."""

    key: Key
    rates: Values
    end: datetime
    window_s: float

    def place(self, instant: datetime) -> int:
        """Return the index of the window that begins at an instant of the grid."""
        return self.rates.size - round(seconds_between(instant, self.end) / self.window_s)

    def instant(self, place: pl.Expr) -> pl.Expr:
        """Return the left edges of the windows at some indices."""
        end_us = (self.end - datetime(1970, 1, 1)) // timedelta(microseconds=1)
        return (pl.lit(end_us) + (place - self.rates.size) * round(self.window_s * 1e6)).cast(tables.INSTANT)


def values_of(forecasts: Sequence[Forecast], *, keys: Sequence[Key], quantiles: Sequence[float]) -> Values:
    """Return the values of forecasts with the same series and windows as origins x series x windows x quantiles.

    Raises ForecastError where a forecast does not hold exactly these series and quantiles.
    """
    layers = []
    for made in forecasts:
        windows = made.frame.height // (len(keys) * len(quantiles))
        head = made.frame.head(len(keys) * len(quantiles))
        found = head.select("region", "model", "tier", "measure", "quantile").rows()
        if found != [(*key, quantile) for key in keys for quantile in quantiles]:
            raise ForecastError(
                f"the forecast by {made.method} from {made.as_of} holds other series or quantiles than the "
                f"{len(keys)} series and quantiles {tuple(quantiles)} that were asked for, beginning {found[:1]}."
            )
        layers.append(made.frame.get_column("value").to_numpy().reshape(windows, len(keys), len(quantiles)))
    return np.stack(layers).transpose(0, 2, 1, 3)


def laid_out(known: Known, values: Values, *, quantiles: Sequence[float], stretch: Stretch) -> pl.DataFrame:
    """Return one row per origin and known window: ``place`` of the origin, ``lead`` in windows, ``reach_s`` of the
    origin, realised rate, and a column per quantile. ``values`` are origins x windows x quantiles.
    """
    origins, windows, _ = values.shape
    places = np.repeat([known.place(origin) for origin in stretch.origins], windows)
    leads = np.tile(np.arange(windows), origins)
    columns = {
        "place": places,
        "lead": leads,
        "realised": np.append(known.rates, np.nan)[np.minimum(places + leads, known.rates.size)],
        **{column(q): values[:, :, index].ravel() for index, q in enumerate(quantiles)},
    }
    return (
        pl.DataFrame(columns)
        .filter(pl.col("realised").is_not_nan())
        .with_columns(reach_s=pl.lit(float(stretch.horizon_s)))
    )


def column(quantile: float) -> str:
    """Return the name of a quantile's column."""
    return f"q{quantile:g}"


def at_median(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return windows, realised mean, WAPE and bias of the median, and its mean quantile loss, by some columns."""
    wanted = figures(pl.col(column(MEDIAN)), quantile=pl.lit(MEDIAN))
    chosen = {name: wanted[name] for name in ("windows", "wape", "bias", "pinball")}
    return rows.group_by(*by, maintain_order=True).agg(realised_mean=pl.col("realised").mean(), **chosen)


def scores(rows: pl.DataFrame, *, quantiles: Sequence[float], scale: float) -> pl.DataFrame:
    """Return BACKTEST_SCORES of rows that hold ``horizon_s``; ``scale`` is the yardstick's error, NaN without one."""
    is_between = pl.lit(None, dtype=pl.Float64)
    if {LOW, HIGH} <= set(quantiles):
        is_between = pl.col("realised").is_between(pl.col(column(LOW)), pl.col(column(HIGH))).mean()
    inside = rows.group_by("horizon_s").agg(
        interval_coverage_fraction=is_between, origins=pl.col("place").n_unique().cast(pl.Int64)
    )
    mase = pl.col("pinball") * 2.0 / scale if scale > 0 else pl.lit(None, dtype=pl.Float64)
    return at_median(rows, "horizon_s").join(inside, on="horizon_s").with_columns(mase=mase).drop("pinball")


def by_quantile(rows: pl.DataFrame, *, quantiles: Sequence[float]) -> pl.DataFrame:
    """Return BACKTEST_QUANTILES of rows that hold ``horizon_s``."""
    parts = []
    for quantile in quantiles:
        wanted = figures(pl.col(column(quantile)), quantile=pl.lit(quantile))
        chosen = {name: wanted[name] for name in ("windows", "pinball", "coverage_fraction")}
        grouped = rows.group_by("horizon_s", pl.lit(quantile).alias("quantile"))
        parts.append(grouped.agg(realised_mean=pl.col("realised").mean(), **chosen))
    return pl.concat(parts)


def by_lead(rows: pl.DataFrame, known: Known) -> pl.DataFrame:
    """Return BACKTEST_LEADS: every origin counts for the leads it reaches."""
    hour = (pl.col("lead") * known.window_s / SECONDS_PER_HOUR).floor() * SECONDS_PER_HOUR
    return at_median(rows.with_columns(lead_s=hour), "lead_s").drop("pinball")


def by_hour(rows: pl.DataFrame, known: Known) -> pl.DataFrame:
    """Return BACKTEST_HOURS of rows that hold ``horizon_s``."""
    hour_start = known.instant(pl.col("place") + pl.col("lead")).dt.truncate("1h")
    return at_median(rows.with_columns(hour_start=hour_start), "horizon_s", "hour_start").drop("pinball")


def nearest(rows: pl.DataFrame, known: Known, *, quantiles: Sequence[float]) -> pl.DataFrame:
    """Return BACKTEST_WINDOWS: each window as it was forecast from the last origin before it."""
    target = rows.with_columns(target=pl.col("place") + pl.col("lead")).sort("target", "lead")
    edges = {
        name: pl.col(column(q)) if q in quantiles else pl.lit(None, dtype=pl.Float64)
        for name, q in (("low", LOW), ("high", HIGH))
    }
    return target.unique("target", keep="first", maintain_order=True).select(
        known.instant(pl.col("target")).alias("window_start"),
        (pl.col("lead") * known.window_s).alias("lead_s"),
        "realised",
        pl.col(column(MEDIAN)).alias("value"),
        **edges,
    )


def day_before_error(rates: Values, *, per_day: int) -> float:
    """Return the mean absolute difference of known windows to the same time a day before; NaN where none is known."""
    if rates.size <= per_day:
        return float("nan")
    errors = np.abs(rates[per_day:] - rates[:-per_day])
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if known.size else float("nan")
