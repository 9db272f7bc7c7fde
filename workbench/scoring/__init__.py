"""Judge simulated strategies side by side: effort, money, latency and promises, over all requests of the span.

A percentile is that of the request-weighted mixture of every arrival, unfinished ones included, read from the latency
histogram. A saving is named only together with the service it was had at: ``keeps_service`` says whether every tier
fares no worse than under the baseline, :func:`at_equal_service` what a strategy costs where it serves as well, and
:func:`saving_interval` how far a saving may be chance.
"""

from workbench.scoring.cards import SERVICE_TOLERANCE, interval_column, score, tables_of, worse_tiers
from workbench.scoring.effort import effort, effort_by
from workbench.scoring.frontier import SERVICE, at_equal_service, undominated
from workbench.scoring.intervals import daily_effort, saving_interval
from workbench.scoring.latencies import percentiles
from workbench.scoring.resampling import DailyLatency, Range, daily, daily_latency, over_days
from workbench.scoring.service import service

__all__ = [
    "SERVICE",
    "SERVICE_TOLERANCE",
    "DailyLatency",
    "Range",
    "at_equal_service",
    "daily",
    "daily_effort",
    "daily_latency",
    "effort",
    "effort_by",
    "interval_column",
    "over_days",
    "percentiles",
    "saving_interval",
    "score",
    "service",
    "tables_of",
    "undominated",
    "worse_tiers",
]
