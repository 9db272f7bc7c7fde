"""Charts: a tidy frame goes in, a plotly figure comes out, nothing else.

No function here computes a result that is told elsewhere, reads a file or shows anything. Every figure takes a
``source`` and prints it small; units stand in axis titles. plotly has its only door here and is imported when the
first figure is made.
"""

from __future__ import annotations

from workbench.charts.forecasts import accuracy_bars, coverage, forecast_fan
from workbench.charts.load import diurnal, periodicity, rates_over_time, split_bars, token_quantiles, weekly
from workbench.charts.plans import plan_against_demand, replicas_over_time, shortfall, solver_gap
from workbench.charts.scores import (
    attainment,
    cost_by_group,
    cost_per_month,
    gpu_hours_and_cost,
    ttft_percentiles,
    waste,
)
from workbench.charts.simulations import (
    backlog_over_time,
    replicas_by_strategy,
    scaling_events,
    signals_over_time,
    ttft_distribution,
    ttft_over_time,
)

__all__ = [
    "accuracy_bars",
    "attainment",
    "backlog_over_time",
    "cost_by_group",
    "cost_per_month",
    "coverage",
    "diurnal",
    "forecast_fan",
    "gpu_hours_and_cost",
    "periodicity",
    "plan_against_demand",
    "rates_over_time",
    "replicas_by_strategy",
    "replicas_over_time",
    "scaling_events",
    "shortfall",
    "signals_over_time",
    "solver_gap",
    "split_bars",
    "token_quantiles",
    "ttft_distribution",
    "ttft_over_time",
    "ttft_percentiles",
    "waste",
    "weekly",
]
