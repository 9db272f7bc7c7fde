"""Which method stands where: a backtest in one table per question, over all of its series.

A mean over series says how a method does on a typical series, a pooled figure how it does on the load as a whole; a
small series may be hard and cheap at once, so both are given. The perfect forecast takes no part in the counting.
"""

from __future__ import annotations

import polars as pl

from workbench.forecasting.backtesting.perfect import PERFECT
from workbench.results import Backtest

SERIES = ("region", "model", "tier", "measure")


def standings(backtest: Backtest) -> pl.DataFrame:
    """Return one row per horizon and method, the lowest mean WAPE first.

    ``series`` counted; ``wape_mean`` and ``mase_mean`` over series; ``wape_pooled`` and ``bias_pooled`` over all load;
    ``interval_coverage_fraction`` over all windows, null where 0.05 and 0.95 were not asked for; ``best_on`` counts
    the series on which no other method has a lower WAPE; ``fit_s`` is seconds per series and origin. Series without
    load have no WAPE and do not count in its mean.
    """
    came = pl.col("realised_mean") * pl.col("windows")
    contest = pl.col("method") != PERFECT
    lowest = pl.col("wape").filter(contest).min().over(*SERIES, "horizon_s")
    scores = backtest.scores.with_columns(is_best=contest & (pl.col("wape") <= lowest))
    covered = pl.col("interval_coverage_fraction")
    fits = backtest.fits.group_by("method").agg(pl.col("fit_s").mean())
    return (
        scores.group_by("horizon_s", "method")
        .agg(
            series=pl.len().cast(pl.Int64),
            wape_mean=pl.col("wape").mean(),
            wape_pooled=(pl.col("wape") * came).sum() / came.sum(),
            bias_pooled=(pl.col("bias") * came).sum() / came.sum(),
            mase_mean=pl.col("mase").mean(),
            interval_coverage_fraction=pl.when(covered.is_not_null().all()).then(
                (covered * pl.col("windows")).sum() / pl.col("windows").sum()
            ),
            best_on=pl.col("is_best").sum().cast(pl.Int64),
        )
        .join(fits, on="method", how="left")
        .with_columns(pl.col("wape_pooled", "bias_pooled").fill_nan(None))
        .sort("horizon_s", "wape_mean", "method", nulls_last=True)
    )


def quantile_standings(backtest: Backtest) -> pl.DataFrame:
    """Return one row per horizon, method and quantile over all series.

    ``pinball_fraction`` is the quantile loss over what came, so that series of any size add up; ``coverage_fraction``
    is over all windows and is to be compared with the quantile.
    """
    weight = pl.col("windows")
    came = (pl.col("realised_mean") * weight).sum()
    return (
        backtest.quantiles.group_by("horizon_s", "method", "quantile")
        .agg(
            pinball_fraction=pl.when(came > 0).then((pl.col("pinball") * weight).sum() / came),
            coverage_fraction=(pl.col("coverage_fraction") * weight).sum() / weight.sum(),
        )
        .sort("horizon_s", "quantile", "pinball_fraction", "method")
    )
