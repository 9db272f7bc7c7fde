"""Backtests: what every method would have said from many instants of the past, and how far off it was.

A figure of one forecast is luck; a method is judged from every hour of a week. Each origin sees the demand before it
alone. Series are independent work, so they are spread over processes; what comes back is the same for any number.
"""

from __future__ import annotations

from workbench.forecasting.backtesting.perfect import PERFECT, perfect, roll_or_perfect
from workbench.forecasting.backtesting.residuals import residual_acf
from workbench.forecasting.backtesting.running import FRAMES, backtest
from workbench.forecasting.backtesting.standings import quantile_standings, standings
from workbench.forecasting.backtesting.telling import readable

BACKTEST_FRAMES = tuple(FRAMES)

__all__ = [
    "BACKTEST_FRAMES",
    "PERFECT",
    "backtest",
    "perfect",
    "quantile_standings",
    "readable",
    "residual_acf",
    "roll_or_perfect",
    "standings",
]
