"""How well forecasts did from the instants of the past, and what their plans were worth."""

from __future__ import annotations

from workbench.tables.declaring import (
    INSTANT,
    SERIES,
    TIER,
    WINDOW,
    Column,
    Table,
    count,
    fraction,
    not_negative,
    number,
    text,
)
from workbench.tables.forecasts import FORECAST_SERIES

_METHOD = {"method": text("forecast method that was asked for; oracle is a perfect forecast")}

_HORIZON = {"horizon_s": number("s", "windows that begin less than this after the origin")}

_ERRORS = {
    "windows": count("windows", "pairs of forecast and known window that were compared"),
    "realised_mean": number("per second", "mean of what came in those windows"),
    "wape": number("1", "sum |realised - median| / sum realised; null where nothing came", nullable=True),
    "bias": number("1", "sum (median - realised) / sum realised; null where nothing came", nullable=True),
}

_BACKTESTED = ("region", "model", "tier", "measure", "method")

BACKTEST_SCORES = Table(
    name="BACKTEST_SCORES",
    one_row_per="region, model, tier, measure, method and horizon",
    columns=FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {"origins": count("origins", "instants from which was forecast")}
    | _ERRORS
    | {
        "mase": number(
            "1", "mean |realised - median| / that of the day before in the history before; null without", nullable=True
        ),
        "interval_coverage_fraction": number(
            "1", "windows between quantiles 0.05 and 0.95; null where these were not asked for", nullable=True
        ),
    },
    key=(*_BACKTESTED, "horizon_s"),
    rules=not_negative("windows", "wape", "mase") | fraction("interval_coverage_fraction"),
)

BACKTEST_QUANTILES = Table(
    name="BACKTEST_QUANTILES",
    one_row_per="region, model, tier, measure, method, horizon and quantile",
    columns=FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {
        "quantile": number("1", "probability that the value is not exceeded"),
        "windows": count("windows", "pairs of forecast and known window that were compared"),
        "realised_mean": number("per second", "mean of what came in those windows"),
        "pinball": number("per second", "mean quantile loss"),
        "coverage_fraction": number("1", "windows at or below the value"),
    },
    key=(*_BACKTESTED, "horizon_s", "quantile"),
    rules=not_negative("pinball") | fraction("coverage_fraction"),
)

BACKTEST_LEADS = Table(
    name="BACKTEST_LEADS",
    one_row_per="region, model, tier, measure, method and hour of lead",
    columns=FORECAST_SERIES
    | _METHOD
    | {"lead_s": number("s", "from the origin to the first window of the hour ahead")}
    | _ERRORS,
    key=(*_BACKTESTED, "lead_s"),
    rules=not_negative("lead_s", "wape"),
)

BACKTEST_HOURS = Table(
    name="BACKTEST_HOURS",
    one_row_per="region, model, tier, measure, method, horizon and hour that was forecast",
    columns=FORECAST_SERIES
    | _METHOD
    | _HORIZON
    | {"hour_start": Column(dtype=INSTANT, unit="UTC", meaning="left edge of the hour the windows lie in")}
    | _ERRORS,
    key=(*_BACKTESTED, "horizon_s", "hour_start"),
    rules=not_negative("wape"),
)

BACKTEST_WINDOWS = Table(
    name="BACKTEST_WINDOWS",
    one_row_per="window, region, model, tier, measure and method, forecast from the last origin before it",
    columns=WINDOW
    | FORECAST_SERIES
    | _METHOD
    | {
        "lead_s": number("s", "from that origin to the window"),
        "realised": number("per second", "what came"),
        "value": number("per second", "median of the forecast"),
        "low": number("per second", "quantile 0.05; null where it was not asked for", nullable=True),
        "high": number("per second", "quantile 0.95; null where it was not asked for", nullable=True),
    },
    key=("window_start", *_BACKTESTED),
    rules=not_negative("lead_s", "realised", "value"),
)

BACKTEST_FITS = Table(
    name="BACKTEST_FITS",
    one_row_per="region, model, tier and method",
    columns=SERIES
    | _METHOD
    | {
        "origins": count("origins", "instants from which was forecast"),
        "fit_s": number("s", "seconds by the clock that one origin took, fit and forecast of its measures, as a mean"),
    },
    key=("region", "model", "tier", "method"),
    rules=not_negative("fit_s"),
)

BACKTEST_NOTES = Table(
    name="BACKTEST_NOTES",
    one_row_per="region, model, tier, measure, method and method that was used",
    columns=FORECAST_SERIES
    | _METHOD
    | {
        "used": text("the method that made the forecasts"),
        "note": text("why another than the one asked for was used, or what else is to be known; of the first origin"),
        "origins": count("origins", "instants of which that holds"),
    },
    key=(*_BACKTESTED, "used", "note"),
)

DECISION_TOTALS = Table(
    name="DECISION_TOTALS",
    one_row_per="forecast method, quantile and headroom that were planned for, and strategy",
    columns=_METHOD
    | {
        "quantile": number("1", "quantile of the forecast that the plan carries"),
        "headroom_fraction": number("1", "what the plan adds to it"),
        "strategy": text("strategy that followed the plan"),
        "gpu_hours": number("GPU h", "held in the simulation: ready, starting and draining"),
        "cost_usd": number("USD", "gpu_hours at list prices"),
        "waste_gpu_hours": number("GPU h", "held but not yet usable"),
        "starts": number("replicas", "started in the simulation"),
        "plan_cost_usd": number("USD", "what the plan alone would cost"),
        "shortfall_tokens": number("tokens", "prompt tokens of the requirement that the plan could not cover"),
        "under_planned_fraction": number(
            "1", "prompt tokens that came above what was required of the plan / all that came, without deferrable tiers"
        ),
        "over_planned_fraction": number("1", "prompt tokens required that did not come / all that came, likewise"),
        "wape": number("1", "of the medians, input tokens of the tiers that cannot wait", nullable=True),
        "slo_attainment_fraction": number("1", "of all requests of the tiers that cannot wait", nullable=True),
        "deferrable_backlog": number("requests", "of the tiers that can wait, still waiting at the end"),
    },
    key=("method", "quantile", "headroom_fraction", "strategy"),
    rules=not_negative("gpu_hours", "cost_usd", "shortfall_tokens") | fraction("slo_attainment_fraction"),
)

DECISION_TIERS = Table(
    name="DECISION_TIERS",
    one_row_per="forecast method, quantile and headroom that were planned for, strategy and tier",
    columns=_METHOD
    | {
        "quantile": number("1", "quantile of the forecast that the plan carries"),
        "headroom_fraction": number("1", "what the plan adds to it"),
        "strategy": text("strategy that followed the plan"),
    }
    | TIER
    | {
        "arrived": number("requests", "arrivals"),
        "slo_attainment_fraction": number(
            "1", "share with a first token in time; of a deferrable tier, deadlines kept", nullable=True
        ),
        "ttft_p95_s": number("s", "95th percentile over all arrivals", nullable=True),
        "missed_deadlines": number("requests", "deadlines that passed without completion"),
        "backlog": number("requests", "queued or running at the end"),
    },
    key=("method", "quantile", "headroom_fraction", "strategy", "tier"),
    rules=not_negative("arrived", "backlog") | fraction("slo_attainment_fraction"),
)
