"""What the residuals of a backtest still know: a method that leaves a pattern in them has left something unsaid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import polars as pl

from workbench.forecasting.history import Values
from workbench.results import Backtest
from workbench.units import SECONDS_PER_DAY

SERIES = ("region", "model", "tier", "measure", "method")
FEWEST_PAIRS = 24


def residual_acf(backtest: Backtest, *, longest_s: float = 2 * SECONDS_PER_DAY) -> pl.DataFrame:
    """Return the autocorrelation of what was left over, from the last origin before each window.

    One row per region, model, tier, measure, method and ``lag_s`` up to ``longest_s``, with ``autocorrelation`` in -1
    to 1, the windows ``pairs`` it rests on, and ``noise``: 95 % of white noise stays within plus and minus it (1.96
    over the root of the pairs). Null where fewer than 24 pairs are known or nothing was left over.
    """
    parts = []
    lags = round(longest_s / backtest.window_s)
    for key, rows in backtest.windows.group_by(*SERIES, maintain_order=True):
        first = rows.get_column("window_start").min()
        place = (pl.col("window_start") - first).dt.total_microseconds() // round(backtest.window_s * 1e6)
        places = rows.select(place).to_series().to_numpy()
        residuals = np.full(int(places.max()) + 1, np.nan)
        residuals[places] = rows.select(pl.col("realised") - pl.col("value")).to_series().to_numpy()
        parts.append(_acf(cast("tuple[str, ...]", key), residuals, lags=lags, window_s=backtest.window_s))
    return pl.concat(parts)


def _acf(key: Sequence[str], residuals: Values, *, lags: int, window_s: float) -> pl.DataFrame:
    known = np.isfinite(residuals)
    centred = np.where(known, residuals - residuals[known].mean(), 0.0)
    spread = float((centred**2).sum() / known.sum())
    reached = range(1, min(lags, residuals.size - 1) + 1)
    pairs = np.array([int((known[lag:] & known[:-lag]).sum()) for lag in reached], dtype=np.int64)
    sums = np.array([float(centred[lag:] @ centred[:-lag]) for lag in reached])
    is_told = (pairs >= FEWEST_PAIRS) & (spread > 0)
    frame = pl.DataFrame(
        {
            "lag_s": np.array(list(reached)) * window_s,
            "autocorrelation": sums / np.maximum(pairs, 1) / (spread or 1.0),
            "pairs": pairs,
            "noise": 1.96 / np.sqrt(np.maximum(pairs, 1)),
            "is_told": is_told,
        }
    )
    keys = {name: pl.lit(value) for name, value in zip(SERIES, key, strict=True)}
    told = pl.when("is_told").then(pl.col("autocorrelation").clip(-1.0, 1.0))
    return frame.select(**keys, lag_s="lag_s", autocorrelation=told, pairs="pairs", noise="noise")
