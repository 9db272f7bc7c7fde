"""Backtests: what every method would have said from many instants of the past, and how far off it was.

A figure of one forecast is luck; a method is judged from every hour of a week. Each origin sees the demand before it
alone. Series are independent work, so they are spread over processes; what comes back is the same for any number.
"""

from __future__ import annotations

from workbench.forecasting.backtesting.perfect import PERFECT, perfect, roll_or_perfect
from workbench.forecasting.backtesting.residuals import residual_acf
from workbench.forecasting.backtesting.running import backtest
from workbench.forecasting.backtesting.standings import quantile_standings, standings

__all__ = ["PERFECT", "backtest", "perfect", "quantile_standings", "residual_acf", "roll_or_perfect", "standings"]
