"""Run the stages in order and keep every hand-off: demand, forecast, requirement, plan, simulations, scorecard.

All strategies are simulated on the same demand from the same start; the plan is made from the forecast alone, which
reads nothing at or after ``as_of``.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from workbench import __version__, features, forecasting, performance, planning, scoring, simulation
from workbench.catalog import Catalog
from workbench.domain import Fleet, Scenario
from workbench.results import CapacityPlan, Forecast, SimRun, Study
from workbench.studies import preparing, saving, starting
from workbench.traces.store import Store
from workbench.units import SECONDS_PER_HOUR

Progress = Callable[[str, float], None]
TOLD_FINDINGS = ("stops", "suspected cut", "regions are made", "about the format")
PINNED = ("duckdb", "highspy", "numba", "numpy", "polars", "prophet", "pulp")


def run(
    scenario: Scenario,
    store: Store,
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
    forecast = forecasting.predict(
        demand,
        as_of=span.as_of,
        horizon_s=_whole_hours(span.hours) * SECONDS_PER_HOUR,
        window_s=span.forecast_window_s,
        quantiles=scenario.quantiles,
        method=scenario.forecast_method,
        seed=scenario.seed,
        progress=lambda done, total: tell("Forecasting", done / total),
    )
    clock.lap("forecast")
    requirement = planning.require(forecast, risk=scenario.risk, tiers=fleet.tiers)
    rates = performance.rates(
        fleet.replicas, fleet.mixes, signal_fraction=scenario.risk.planning_signal_fraction, signal="largest"
    )
    plan = planning.solve(
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
    info = store.describe(scenario.trace)
    identity = saving.study_id(scenario, info.header.fingerprint)
    notes = (*span.notes, *_notes(scenario, forecast, plan, demand, span), *_of_trace(store, scenario))
    trace = {
        "name": scenario.trace,
        "kind": info.header.kind,
        "format": info.header.format,
        "source": info.header.source,
        "fingerprint": info.header.fingerprint,
        "rows": info.rows,
        "rejected": info.rejected,
        "first_at": info.first_at,
        "last_at": info.last_at,
    }
    study = Study(
        id=identity,
        folder=root / identity,
        manifest=_manifest(identity, scenario, span, trace, forecast, plan, runs, fleet, notes, clock.laps_s, now),
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


def _notes(
    scenario: Scenario, forecast: Forecast, plan: CapacityPlan, demand: pl.DataFrame, span: preparing.Span
) -> list[str]:
    notes = []
    if scenario.demand_scale != 1.0:
        notes.append(f"Every rate of the trace is multiplied by {scenario.demand_scale:g}: the trace is a sample.")
    if scenario.warmup_hours > 0:
        notes.append(f"The first {scenario.warmup_hours:g} h are simulated but not scored.")
    told = forecast.notes.filter(pl.col("note") != "").group_by("method", "note", maintain_order=True).len()
    notes += [f"Forecast, {count} series by {method}: {note}." for method, note, count in told.iter_rows()]
    if plan.status != "optimal":
        notes.append(f"The plan is {plan.status}, not proven optimal; gap {plan.gap_fraction or 0:.2%}.")
    if plan.shortfall.height:
        notes.append(f"The plan cannot cover the requirement in {plan.shortfall.height:,} cells; see the shortfall.")
    ahead = demand.filter(pl.col("window_start") >= span.as_of)
    gaps = ahead.get_column("requests").null_count()
    if gaps:
        notes.append(
            f"{gaps / ahead.height:.1%} of the simulated span, series by series, are gaps of the source; they are run "
            "at the mean of the last known hour."
        )
    return notes


def _of_trace(store: Store, scenario: Scenario) -> list[str]:
    """Return what the ingest found that a reader of the study must know: series that stop, cuts, made-up regions."""
    findings = store.findings(scenario.trace).filter(pl.col("finding").is_in(TOLD_FINDINGS))
    return [
        f"Trace, {what}, {where}: {detail}."
        for what, where, detail in findings.select("finding", "where", "detail").unique(maintain_order=True).iter_rows()
    ]


class _Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps_s[stage] = round(now - self._last, 3)
        self._last = now


def _manifest(
    identity: str,
    scenario: Scenario,
    span: preparing.Span,
    trace: Mapping[str, Any],
    forecast: Forecast,
    plan: CapacityPlan,
    runs: Mapping[str, SimRun],
    fleet: Fleet,
    notes: tuple[str, ...],
    laps_s: Mapping[str, float],
    now: datetime,
) -> dict[str, Any]:
    return {
        "id": identity,
        "title": scenario.title,
        "created_at": now.isoformat(timespec="seconds"),
        "trace": {key: str(value) if isinstance(value, datetime) else value for key, value in trace.items()},
        "as_of": span.as_of.isoformat(),
        "hours": span.hours,
        "demand_window_s": span.demand_window_s,
        "seed": scenario.seed,
        "baseline": scenario.baseline,
        "prices": fleet.price_note,
        "notes": list(notes),
        "forecast": {"method": forecast.method, "window_s": forecast.window_s},
        "plan": {
            name: getattr(plan, name)
            for name in ("cost_usd", "bound_usd", "gap_fraction", "status", "solver", "programme")
        },
        "runs": {
            key: {
                "start": run.start.isoformat(),
                "end": run.end.isoformat(),
                "window_s": run.window_s,
                "step_s": run.step_s,
            }
            for key, run in runs.items()
        },
        "timings_s": {**laps_s, "solver": round(float(plan.hours.get_column("solve_s").sum()), 3)},
        "versions": {"workbench": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PINNED},
    }
