"""A backtest as tables for reading: errors in percent, horizons in words; only names change, no number is made anew."""

from __future__ import annotations

import polars as pl

from workbench.forecasting.backtesting.standings import SERIES, quantile_standings, standings
from workbench.results import Backtest
from workbench.units import span_in_words


def readable(backtest: Backtest, *, by_series: bool = False) -> dict[str, pl.DataFrame]:
    """Return the standings of the methods by title, a table for each horizon, and what the quantiles are worth.

    ``by_series`` adds the WAPE of every series, a column per method.
    """
    tables = {}
    ranked, quantiles = standings(backtest), quantile_standings(backtest)
    for horizon_s in backtest.horizons_s:
        at = pl.col("horizon_s") == horizon_s
        ahead = f"{span_in_words(horizon_s)} ahead, {_origins(backtest, horizon_s):,} origins"
        tables[f"How far off, {ahead}"] = ranked.filter(at).select(
            "method",
            "series",
            _percent("wape_mean", "WAPE, mean of series, %"),
            _percent("wape_pooled", "WAPE, all load, %"),
            _percent("bias_pooled", "bias, %"),
            pl.col("mase_mean").round(2).alias("MASE"),
            _percent("interval_coverage_fraction", "inside the 90 % band, %"),
            pl.col("best_on").alias("best on"),
            (pl.col("fit_s") * 1e3).round(1).alias("ms per fit"),
        )
        tables[f"Quantiles, {ahead}: what came stayed at or below in %, and the quantile loss in % of the load"] = (
            _wide(quantiles.filter(at))
        )
        if by_series:
            wide = backtest.scores.filter(at).with_columns((pl.col("wape") * 100).round(1))
            tables[f"WAPE of every series in %, {ahead}"] = wide.pivot(on="method", index=SERIES, values="wape")
    return tables


def _origins(backtest: Backtest, horizon_s: float) -> int:
    found = backtest.scores.filter(pl.col("horizon_s") == horizon_s).get_column("origins").max()
    return int(found) if isinstance(found, int) else 0


def _percent(name: str, title: str) -> pl.Expr:
    return (pl.col(name) * 100).round(1).alias(title)


def _wide(quantiles: pl.DataFrame) -> pl.DataFrame:
    covered = (pl.col("coverage_fraction") * 100).round(1).alias("≤ q")
    loss = (pl.col("pinball_fraction") * 100).round(2).alias("loss q")
    rows = quantiles.select("method", "quantile", covered, loss).sort("method", "quantile")
    wide = rows.pivot(on="quantile", index="method", values=["≤ q", "loss q"])
    return wide.rename(lambda name: name.replace("q_", "q").replace("q0.", "q."))
