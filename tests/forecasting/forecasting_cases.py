"""Small demands that the forecasting tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from workbench import tables
from workbench.forecasting.history import Series

MONDAY = datetime(2024, 11, 4)


def demand(
    values: Sequence[float | None], *, window_s: float = 3600.0, start: datetime = MONDAY, tier: str = "fast"
) -> pl.DataFrame:
    """Return DEMAND of one series with these requests per window; 100 input and 10 output tokens per request."""
    requests = pl.Series(values, dtype=pl.Float64)
    starts = [start + timedelta(seconds=window_s * index) for index in range(len(values))]
    frame = pl.DataFrame(
        {"window_start": starts, "requests": requests, "input_tokens": requests * 100, "output_tokens": requests * 10}
    ).with_columns(region=pl.lit("east"), model=pl.lit("m"), tier=pl.lit(tier))
    return tables.DEMAND.conform(frame)


def series(rates: Sequence[float], *, window_s: float = 3600.0, as_of: datetime = MONDAY) -> Series:
    """Return the past of one quantity that ends at ``as_of``."""
    return Series(
        region="east",
        model="m",
        tier="fast",
        measure="rps",
        rates=np.array(rates, dtype=float),
        as_of=as_of,
        window_s=window_s,
    )


def daily(days: int, *, per_day: int = 24, noise: float = 0.05, seed: int = 1) -> list[float]:
    """Return a daily wave around 3600 requests an hour with multiplicative noise."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(days * per_day) / per_day
    wave = np.exp(np.sin(phase)) * rng.lognormal(0.0, noise, phase.size) if noise else np.exp(np.sin(phase))
    return (86_400.0 / per_day * wave).tolist()


Poison = Callable[[pl.DataFrame], pl.DataFrame]
