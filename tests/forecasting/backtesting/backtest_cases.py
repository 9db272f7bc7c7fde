"""Demands so small that a backtest of them can be added up by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from tests.forecasting.forecasting_cases import MONDAY, demand

HOUR_S = 3600.0


def hours(*rates: float | None, tier: str = "fast", start: datetime = MONDAY) -> pl.DataFrame:
    """DEMAND of one series with these requests per second, hour by hour."""
    return demand([None if rate is None else rate * HOUR_S for rate in rates], tier=tier, start=start)


def at(hour: float) -> datetime:
    """The instant some hours after the start."""
    return MONDAY + timedelta(hours=hour)
