"""Charts: a tidy frame goes in, a plotly figure comes out, nothing else.

No function here computes a result that is told elsewhere, reads a file or shows anything. Every figure takes a
``source`` and prints it small; units stand in axis titles. plotly has its only door here and is imported when the
first figure is made.
"""

from __future__ import annotations

from workbench.charts.backtests import (
    cost_of_service,
    residual_acf,
    said_and_came,
    wape_by_lead,
)
from workbench.charts.burstiness import dispersion, gap_cv, peak_to_mean
from workbench.charts.engines import error_heat, errors_by_measure, pools_by_engine, requests_in_band
from workbench.charts.error_maps import wape_by_hour, wape_by_series
from workbench.charts.forecasts import accuracy_bars, coverage, forecast_components, forecast_fan
from workbench.charts.frontiers import frontier
from workbench.charts.lengths import cache_hits, length_distribution, length_drift, output_by_prompt
from workbench.charts.load import diurnal, periodicity, rates_over_time, split_bars, weekly
from workbench.charts.mixes import deferrable_over_time, regional_imbalance, regional_lags, top_senders
from workbench.charts.plans import commitment_curve, plan_against_demand, replicas_over_time, shortfall, solver_gap
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
    "cache_hits",
    "commitment_curve",
    "cost_by_group",
    "cost_of_service",
    "cost_per_month",
    "coverage",
    "deferrable_over_time",
    "dispersion",
    "diurnal",
    "error_heat",
    "errors_by_measure",
    "forecast_components",
    "forecast_fan",
    "frontier",
    "gap_cv",
    "gpu_hours_and_cost",
    "length_distribution",
    "length_drift",
    "output_by_prompt",
    "peak_to_mean",
    "periodicity",
    "plan_against_demand",
    "pools_by_engine",
    "rates_over_time",
    "regional_imbalance",
    "regional_lags",
    "replicas_by_strategy",
    "replicas_over_time",
    "requests_in_band",
    "residual_acf",
    "said_and_came",
    "scaling_events",
    "shortfall",
    "signals_over_time",
    "solver_gap",
    "split_bars",
    "top_senders",
    "ttft_distribution",
    "ttft_over_time",
    "ttft_percentiles",
    "wape_by_hour",
    "wape_by_lead",
    "wape_by_series",
    "waste",
    "weekly",
]
