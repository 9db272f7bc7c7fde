"""Run the stages in order and keep every hand-off: demand, forecast, requirement, plan, simulations, scorecard.

All strategies are simulated on the same demand from the same start; the plan is made from the forecast alone, which
reads nothing at or after ``as_of``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from workbench import features, forecasting, performance, planning, scoring, simulation
from workbench.catalog import Catalog
from workbench.domain import Fleet, Scenario
from workbench.results import CapacityPlan, Forecast, SimRun, Study
from workbench.studies import describing, preparing, saving, starting
from workbench.traces.store import Reading
from workbench.units import SECONDS_PER_HOUR

Progress = Callable[[str, float], None]


def run(
    scenario: Scenario,
    store: Reading,
    *,
    catalog: Catalog,
    root: Path,
    now: datetime,
    progress: Progress | None = None,
) -> Study:
    """Run a scenario on a trace of the store and save the study under ``root``.

    ``progress`` is called with the stage in words and the share done of it. ``now`` is written into the manifest and
    enters no number. Raises the errors of the stages; a failed run leaves no study behind.
    """
    tell = progress or (lambda stage, share: None)
    clock = _Clock()
    span = preparing.span_of(scenario, store)
    tell("Reading demand", 0.0)
    demand = preparing.demand_of(scenario, store, span)
    shape = features.shape(store, scenario.trace, since=span.since, until=span.as_of)
    fleet = starting.fleet_of(scenario, catalog, demand, shape, span.as_of)
    clock.lap("demand")
    forecast = _forecast(scenario, demand, span, tell)
    clock.lap("forecast")
    requirement = planning.require(forecast, risk=scenario.risk, tiers=fleet.tiers)
    rates = performance.rates(
        fleet.replicas, fleet.mixes, signal_fraction=scenario.risk.planning_signal_fraction, signal="largest"
    )
    plan = plan_for(scenario, fleet, requirement, rates, demand, span, tell)
    clock.lap("plan")
    runs = simulate_all(scenario, fleet, demand, plan=plan, forecast=forecast, span=span, progress=tell)
    clock.lap("simulate")
    card = scoring.score(
        runs,
        tiers=fleet.tiers,
        baseline=scenario.baseline,
        labels={policy.key: policy.label for policy in scenario.strategies},
        warmup_hours=scenario.warmup_hours,
    )
    clock.lap("score")
    trace = describing.trace_facts(store, scenario.trace)
    identity = saving.study_id(scenario, trace["fingerprint"])
    notes = (
        *span.notes,
        *describing.notes_of(scenario, forecast, plan, demand, span),
        *describing.notes_of_speed(fleet),
        *describing.notes_of_trace(store, scenario),
    )
    study = Study(
        id=identity,
        folder=root / identity,
        manifest=describing.manifest_of(
            identity, scenario, span, trace, forecast, plan, runs, fleet, notes, clock.laps_s, now
        ),
        scenario=scenario,
        fleet=fleet,
        as_of=span.as_of,
        hours=span.hours,
        notes=notes,
        demand=demand,
        shape=shape,
        forecast=forecast,
        requirement=requirement,
        rates=rates,
        plan=plan,
        runs=runs,
        scorecard=card,
    )
    tell("Saving", 0.0)
    saving.save(study, root)
    return study


def _forecast(scenario: Scenario, demand: pl.DataFrame, span: preparing.Span, tell: Progress) -> Forecast:
    return forecasting.predict(
        demand,
        as_of=span.as_of,
        horizon_s=_whole_hours(span.hours) * SECONDS_PER_HOUR,
        window_s=span.forecast_window_s,
        quantiles=scenario.quantiles,
        method=scenario.forecast_method,
        seed=scenario.seed,
        progress=lambda done, total: tell("Forecasting", done / total),
    )


def plan_for(
    scenario: Scenario,
    fleet: Fleet,
    requirement: pl.DataFrame,
    rates: pl.DataFrame,
    demand: pl.DataFrame,
    span: preparing.Span,
    tell: Progress,
) -> CapacityPlan:
    """Plan the span as the scenario says, for a requirement and the rates of a replica."""
    return planning.solve(
        requirement,
        fleet=fleet,
        rates=rates,
        risk=scenario.risk,
        epsilon_fraction=scenario.epsilon_fraction,
        solver=scenario.solver,
        gap_fraction=scenario.solver_gap_fraction,
        time_limit_s=scenario.solver_time_limit_s,
        floor_replicas=max(policy.floor_replicas for policy in scenario.strategies),
        last_hour_deferrable=last_hour_deferrable(demand, fleet, as_of=span.as_of, window_s=span.demand_window_s),
        progress=lambda done, total: tell("Planning", done / total),
    )


def simulate_all(
    scenario: Scenario,
    fleet: Fleet,
    demand: pl.DataFrame,
    *,
    plan: CapacityPlan,
    forecast: Forecast,
    span: preparing.Span,
    progress: Progress,
) -> dict[str, SimRun]:
    """Simulate every strategy of the scenario over the span from the fleet's start."""
    expected = expected_input_tps(forecast, fleet)
    runs = {}
    for policy in scenario.strategies:
        progress(f"Simulating {policy.label}", 0.0)
        runs[policy.key] = simulation.run(
            demand,
            fleet=fleet,
            policy=policy,
            start=span.as_of,
            hours=span.hours,
            plan=plan if policy.needs_plan else None,
            expected=expected if policy.needs_plan else None,
            demand_window_s=span.demand_window_s,
            progress=lambda share, label=policy.label: progress(f"Simulating {label}", share),  # type: ignore[misc]
        )
    return runs


def expected_input_tps(forecast: Forecast, fleet: Fleet) -> pl.DataFrame:
    """Return the median forecast of interactive input tokens per second by window, region and model."""
    waiting = [tier.key for tier in fleet.tiers if tier.deferrable]
    return (
        forecast.frame.filter(
            (pl.col("measure") == "input_tps")
            & ((pl.col("quantile") - 0.5).abs() < 1e-9)
            & ~pl.col("tier").is_in(waiting)
        )
        .group_by("window_start", "region", "model")
        .agg(pl.col("value").sum().alias("input_tps"))
        .sort("window_start", "region", "model")
    )


def _whole_hours(hours: float) -> float:
    return float(-(-hours // 1))


def last_hour_deferrable(demand: pl.DataFrame, fleet: Fleet, *, as_of: datetime, window_s: float) -> pl.DataFrame:
    """Return the deferrable input tokens per second of the hour before ``as_of``, by region and model.

    The plan adds a share of it as a buffer (beta of sageserve.md section 6.1); ``window_s`` is that of the demand.
    """
    waiting = [tier.key for tier in fleet.tiers if tier.deferrable]
    hour = (pl.col("window_start") < as_of) & (pl.col("window_start") >= as_of - timedelta(hours=1))
    known = demand.filter(hour & pl.col("tier").is_in(waiting)).drop_nulls("input_tokens")
    seconds = pl.col("window_start").n_unique() * window_s
    return known.group_by("region", "model").agg((pl.col("input_tokens").sum() / seconds).alias("input_tps"))


class _Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Note the seconds since the last lap under the name of a stage."""
        now = time.perf_counter()
        self.laps_s[stage] = round(now - self._last, 3)
        self._last = now
