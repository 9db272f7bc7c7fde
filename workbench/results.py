"""What each stage hands on, as frozen values around conformed frames.

Values with frames compare by identity (``eq=False``): compare their frames instead. None of them is changed after it is
made, so all of them can be saved, cached and shown side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench.domain import Fleet, Scenario


@dataclass(frozen=True, kw_only=True, eq=False)
class QualityReport:
    """What an ingest found: ``findings`` has one row per finding, worst first; refused rows stay in the store.

    ``differences`` is None as long as nobody looked at the stored rows again; else it holds one sentence for each thing
    that the rows now say otherwise, and is empty where all is as it was.
    """

    trace: str
    source: str
    format: str
    rows_read: int
    rows_kept: int
    rows_rejected: int
    first_at: datetime | None
    last_at: datetime | None
    findings: pl.DataFrame
    was_there: bool = False
    differences: tuple[str, ...] | None = None

    def count(self, level: str) -> int:
        """Return how many findings have that level: spoilt, warning or note."""
        return int((self.findings.get_column("level") == level).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Forecast rates as ``FORECAST``, which method made each series and why as ``FORECAST_NOTES``."""

    frame: pl.DataFrame
    notes: pl.DataFrame
    as_of: datetime
    window_s: float
    method: str


@dataclass(frozen=True, kw_only=True, eq=False)
class CapacityPlan:
    """An hourly plan: ``allocation`` and ``shortfall``, what it costs, and how well the solver says it is solved.

    ``hours`` holds one row per hour with cost_usd, start_cost_usd, objective, bound, gap_fraction, status and solve_s.
    ``status`` is the worst of the hours: optimal, feasible (stopped by the time limit, gap known) or heuristic.

    The look-ahead programme decides more, and says it in frames of their own, which are None for an hourly plan:
    ``flows`` (FLOWS), ``deferred`` (DEFERRED), ``supply`` (SUPPLY) and ``starts`` (STARTS). ``whole_windows`` says how
    many of the first windows are decided in whole replicas; beyond them the allocation is rounded up and indicative,
    while the other frames hold the fractions that were planned. None means all.
    """

    allocation: pl.DataFrame
    shortfall: pl.DataFrame
    hours: pl.DataFrame
    cost_usd: float
    bound_usd: float | None
    gap_fraction: float | None
    status: str
    solver: str
    programme: str
    flows: pl.DataFrame | None = None
    deferred: pl.DataFrame | None = None
    supply: pl.DataFrame | None = None
    starts: pl.DataFrame | None = None
    whole_windows: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SimRun:
    """One strategy simulated over one span: windows, pools, latency histogram and scaling events.

    ``requests`` holds every request as ``SIM_REQUESTS`` where the replay was asked to keep them. ``notes`` are the
    sentences a reader must know: where what the run was corrected by was measured for something else.
    """

    strategy: str
    windows: pl.DataFrame
    pools: pl.DataFrame
    ttft: pl.DataFrame
    scaling: pl.DataFrame
    start: datetime
    end: datetime
    window_s: float
    step_s: float
    requests: pl.DataFrame | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Scorecard:
    """Strategies side by side: ``totals`` one row per strategy, ``tiers`` one row per strategy and tier."""

    totals: pl.DataFrame
    tiers: pl.DataFrame
    baseline: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A scenario with every hand-off of one run, as saved under the studies folder.

    ``fleet`` is made again from scenario, catalog and history whenever the study is opened. ``notes`` are the
    sentences a reader must know: what was assumed, cut, or fell back.
    """

    id: str
    folder: Path
    manifest: Mapping[str, Any]
    scenario: Scenario
    fleet: Fleet
    as_of: datetime
    hours: float
    notes: tuple[str, ...]
    demand: pl.DataFrame
    shape: pl.DataFrame
    forecast: Forecast
    requirement: pl.DataFrame
    rates: pl.DataFrame
    plan: CapacityPlan
    runs: Mapping[str, SimRun]
    scorecard: Scorecard


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where a report's files lie."""

    notebook: Path
    html: Path
    manifest: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
