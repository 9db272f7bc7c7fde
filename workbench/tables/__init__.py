"""The shape of every frame that is handed from one stage to the next, declared once.

A :class:`Table` is a value: columns with dtype, unit and meaning, the key, and row rules as Polars expressions.
``TABLE.conform(frame)`` selects and casts, then raises one :class:`~workbench.errors.TableError` that lists every
missing column and every broken rule with a count and a sample row. Whatever is read back from a file or a store goes
through it; inside a stage a conformed frame is trusted.

Instants are naive UTC in microseconds; a window is half-open and named by its left edge.
"""

from __future__ import annotations

from workbench.tables.backtests import (
    BACKTEST_FITS,
    BACKTEST_HOURS,
    BACKTEST_LEADS,
    BACKTEST_NOTES,
    BACKTEST_QUANTILES,
    BACKTEST_SCORES,
    BACKTEST_WINDOWS,
    DECISION_TIERS,
    DECISION_TOTALS,
)
from workbench.tables.declaring import COUNT, FLAG, INSTANT, NUMBER, TEXT, Column, Table, window_s_of
from workbench.tables.forecasts import FORECAST, FORECAST_COMPONENTS, FORECAST_NOTES
from workbench.tables.plans import (
    ALLOCATION,
    COMMITMENTS,
    DEFERRED,
    DURATION,
    FLOWS,
    REPLICA_RATES,
    REQUIREMENT,
    SHORTFALL,
    STARTS,
    SUPPLY,
)
from workbench.tables.runs import (
    E2E_HISTOGRAM,
    SCALING,
    SIM_POOLS,
    SIM_REQUESTS,
    SIM_WINDOWS,
    STANDING,
    TTFT_HISTOGRAM,
    WAITING,
)
from workbench.tables.traffic import DEMAND, EVENTS, REQUESTS, SHAPE

__all__ = [
    "ALLOCATION",
    "BACKTEST_FITS",
    "BACKTEST_HOURS",
    "BACKTEST_LEADS",
    "BACKTEST_NOTES",
    "BACKTEST_QUANTILES",
    "BACKTEST_SCORES",
    "BACKTEST_WINDOWS",
    "COMMITMENTS",
    "COUNT",
    "DECISION_TIERS",
    "DECISION_TOTALS",
    "DEFERRED",
    "DEMAND",
    "DURATION",
    "E2E_HISTOGRAM",
    "EVENTS",
    "FLAG",
    "FLOWS",
    "FORECAST",
    "FORECAST_COMPONENTS",
    "FORECAST_NOTES",
    "INSTANT",
    "NUMBER",
    "REPLICA_RATES",
    "REQUESTS",
    "REQUIREMENT",
    "SCALING",
    "SHAPE",
    "SHORTFALL",
    "SIM_POOLS",
    "SIM_REQUESTS",
    "SIM_WINDOWS",
    "STANDING",
    "STARTS",
    "SUPPLY",
    "TABLES",
    "TEXT",
    "TTFT_HISTOGRAM",
    "WAITING",
    "Column",
    "Table",
    "window_s_of",
]

TABLES = (
    REQUESTS,
    DEMAND,
    SHAPE,
    FORECAST,
    FORECAST_NOTES,
    EVENTS,
    REQUIREMENT,
    REPLICA_RATES,
    ALLOCATION,
    SHORTFALL,
    FLOWS,
    DEFERRED,
    SUPPLY,
    STARTS,
    SIM_WINDOWS,
    SIM_POOLS,
    TTFT_HISTOGRAM,
    E2E_HISTOGRAM,
    SCALING,
    STANDING,
    WAITING,
    DURATION,
    COMMITMENTS,
    SIM_REQUESTS,
    FORECAST_COMPONENTS,
    BACKTEST_SCORES,
    BACKTEST_QUANTILES,
    BACKTEST_LEADS,
    BACKTEST_HOURS,
    BACKTEST_WINDOWS,
    BACKTEST_FITS,
    BACKTEST_NOTES,
    DECISION_TOTALS,
    DECISION_TIERS,
)
