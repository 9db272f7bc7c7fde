"""What each stage hands on, as frozen values around conformed frames.

Values with frames compare by identity (``eq=False``): compare their frames instead. None of them is changed after it is
made, so all of them can be saved, cached and shown side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from workbench.domain import Fleet, Scenario


class Tell(Protocol):
    """Shows people how far long work is: the stage in words, the share done of it, what was had so far."""

    def __call__(self, stage: str, share: float, so_far: str = "") -> None:
        """Show it."""


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
class Backtest:
    """How far methods were off from many origins: tables of :mod:`workbench.tables` whose names begin with BACKTEST.

    ``scores`` and ``quantiles`` by horizon, ``leads`` by hour of lead, ``hours`` by hour that was forecast, ``windows``
    one by one from the last origin before each, ``fits`` in seconds (no other frame holds a wall-clock time) and
    ``notes`` on which method was really used. ``remarks`` are the sentences a reader must know.
    """

    scores: pl.DataFrame
    quantiles: pl.DataFrame
    leads: pl.DataFrame
    hours: pl.DataFrame
    windows: pl.DataFrame
    fits: pl.DataFrame
    notes: pl.DataFrame
    origins: tuple[datetime, ...]
    horizons_s: tuple[float, ...]
    window_s: float
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CapacityPlan:
    """An hourly plan: ``allocation`` and ``shortfall``, what it costs, and how well the solver says it is solved.

    ``hours`` holds one row per hour with cost_usd, start_cost_usd, objective, bound, gap_fraction, status and solve_s.
    ``status`` is the worst of the hours: optimal, feasible (stopped by the time limit, gap known) or heuristic.

    The look-ahead programme decides more, and says it in frames of their own, which are None for an hourly plan:
    ``flows`` (FLOWS), ``deferred`` (DEFERRED), ``supply`` (SUPPLY) and ``starts`` (STARTS). ``whole_windows`` says how
    many of the first windows are decided in whole replicas; beyond them the allocation is rounded up and indicative,
    while the other frames hold the fractions that were planned. None means all.

    ``requirement`` (REQUIREMENT) is what had to be servable; None where a plan was made of something else.
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
    requirement: pl.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class SoFar:
    """A run while it goes on: the share that is done, GPU-hours held, and the share of promises kept by tier.

    The replay counts promises at the end, so it has none while it runs; a tier without arrivals has none either.
    ``note`` says what else takes time, as it begins: the compiling of an engine that runs here for the first time.
    """

    done_fraction: float
    gpu_hours: float
    kept_fraction: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """What a controller sees of a simulation at the begin of an hour.

    ``pools`` as ``STANDING``; ``waiting`` as ``WAITING``: the deferrable work that is not released yet.
    """

    at: datetime
    pools: pl.DataFrame
    waiting: pl.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """What a controller wants of the hour that begins: the replicas of every pool (region, model, gpu).

    ``expected`` (window_start, region, model, input_tps of interactive work) is what the override compares with.
    """

    replicas: Mapping[tuple[str, str, str], int]
    expected: pl.DataFrame | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SimRun:
    """One strategy simulated over one span: windows, pools, latency histogram and scaling events.

    ``requests`` holds every request as ``SIM_REQUESTS`` where the replay was asked to keep them, ``e2e`` the histogram
    of times to the last token (``E2E_HISTOGRAM``), which the fluid engine does not know. ``notes`` are the sentences a
    reader must know: where what the run was corrected by was measured for something else.
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
    e2e: pl.DataFrame | None = None
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

    ``fleet`` is made again from scenario, catalog and history whenever the study is opened. ``forecast`` and ``plan``
    are those made at ``as_of`` for the whole span; ``plans`` holds for every strategy that follows one the plan that it
    carried out: the same, or its own where it was made anew every hour. ``notes`` are the sentences a reader must know:
    what was assumed, cut, or fell back.
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
    plans: Mapping[str, CapacityPlan]
    runs: Mapping[str, SimRun]
    scorecard: Scorecard


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionValue:
    """What forecasts are worth: effort and service when planner and simulator are fed each method.

    ``totals`` as ``DECISION_TOTALS``, ``tiers`` as ``DECISION_TIERS``. A plan was made every ``every_s`` for ``hours``
    from ``as_of``, always for the quantiles that stand in the frames; ``quantile`` is the study's own.
    """

    totals: pl.DataFrame
    tiers: pl.DataFrame
    as_of: datetime
    hours: float
    every_s: float
    quantile: float


@dataclass(frozen=True, kw_only=True)
class ReportFiles:
    """Where a report's files lie."""

    notebook: Path
    html: Path
    manifest: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
