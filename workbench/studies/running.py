"""Run the stages in order and keep every hand-off: demand, forecast, requirement, plan, simulations, scorecard.

All strategies are simulated on the same demand from the same start. Plans are made from forecasts alone: one for the
whole span, which reads nothing at or after ``as_of``; and, re-planned hourly, one for every hour, which reads nothing
at or after that hour's begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from workbench import features, forecasting, performance, planning, scoring, simulation
from workbench.catalog import Catalog
from workbench.domain import Fleet, Policy, Scenario
from workbench.results import CapacityPlan, Forecast, SoFar, Study, Tell
from workbench.studies import describing, preparing, saving, starting
from workbench.studies.controlling import (
    Controlled,
    World,
    control,
    expected_input_tps,
    last_hour_deferrable,
    origins_of,
)
from workbench.studies.drafting import Drafts
from workbench.studies.foreseeing import History
from workbench.studies.strategies import Strategy, strategy_of, whole_hours
from workbench.traces.store import Reading
from workbench.units import SECONDS_PER_HOUR


def run(
    scenario: Scenario,
    store: Reading,
    *,
    catalog: Catalog,
    root: Path,
    now: datetime,
    progress: Tell | None = None,
) -> Study:
    """Run a scenario on a trace of the store and save the study under ``root``.

    ``progress`` is told the stage in words and the share done of it. ``now`` is written into the manifest and
    enters no number. Raises the errors of the stages; a failed run leaves no study behind.
    """
    tell = progress or silent
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
    trace = describing.trace_facts(store, scenario.trace)
    identity = saving.study_id(scenario, trace["fingerprint"])
    world = World(
        scenario=scenario,
        demand=demand,
        demand_window_s=span.demand_window_s,
        fleet=fleet,
        rates=rates,
        start=span.as_of,
        hours=span.hours,
        peak_replicas=starting.peak_replicas(scenario, catalog, fleet, demand, span.as_of),
    )
    drafts = Drafts(root / f".{identity}.draft")
    done = run_all(
        world,
        plan=plan,
        forecast=forecast,
        span=span,
        folder=root.parent / "forecasts",
        drafts=drafts,
        progress=tell,
    )
    runs = {key: one.run for key, one in done.items()}
    plans = {key: one.plan for key, one in done.items() if one.plan is not None}
    clock.lap("simulate")
    card = scoring.score(
        runs,
        tiers=fleet.tiers,
        baseline=scenario.baseline,
        labels={policy.key: policy.label for policy in scenario.strategies},
        warmup_hours=scenario.warmup_hours,
    )
    clock.lap("score")
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
            identity, scenario, span, trace, forecast, plan, plans, runs, fleet, notes, clock.laps_s, now
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
        plans=plans,
        runs=runs,
        scorecard=card,
    )
    tell("Saving", 0.0)
    saving.save(study, root)
    drafts.remove()
    return study


def silent(stage: str, share: float, so_far: str = "") -> None:
    """Tell nobody."""


def _forecast(scenario: Scenario, demand: pl.DataFrame, span: preparing.Span, tell: Tell) -> Forecast:
    return forecasting.predict(
        demand,
        as_of=span.as_of,
        horizon_s=whole_hours(span.hours) * SECONDS_PER_HOUR,
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
    tell: Tell,
) -> CapacityPlan:
    """Plan the span as the scenario says, for a requirement and the rates of a replica."""
    return planning.solve(
        requirement,
        fleet=fleet,
        rates=rates,
        risk=scenario.risk,
        epsilon_fraction=scenario.epsilon_fraction,
        model="sageserve",
        solver=scenario.solver,
        gap_fraction=scenario.solver_gap_fraction,
        time_limit_s=scenario.solver_time_limit_s,
        floor_replicas=max(policy.floor_replicas for policy in scenario.strategies),
        last_hour_deferrable=last_hour_deferrable(demand, fleet, as_of=span.as_of, window_s=span.demand_window_s),
        progress=lambda done, total: tell("Planning", done / total),
    )


def run_all(
    world: World,
    *,
    plan: CapacityPlan,
    forecast: Forecast,
    span: preparing.Span,
    folder: Path,
    drafts: Drafts,
    progress: Tell,
) -> dict[str, Controlled]:
    """Run every strategy of the scenario over the span from the fleet's start.

    Re-planned hourly, each that follows a plan has its own; planned once, all follow ``plan``. Forecasts are kept in
    ``folder``, whole runs in ``drafts`` until all are done.
    """
    done = {}
    for policy in world.scenario.strategies:
        kept = drafts.read(policy.key)
        if kept is None:
            progress(f"Simulating {policy.label}", 0.0)
            tell = partial(_tell, progress, f"Simulating {policy.label}", world.fleet)
            if world.scenario.replan == "hourly":
                kept = _controlled(world, strategy_of(policy), span, folder, tell)
            else:
                kept = _planned_once(world, policy, plan, forecast, tell)
            drafts.keep(policy.key, kept)
        done[policy.key] = kept
    return done


def _tell(progress: Tell, stage: str, fleet: Fleet, had: SoFar) -> None:
    """Say how far a simulation is, what it has taken and how the strictest tier fares."""
    strictest = next((tier.key for tier in fleet.tiers if tier.key in had.kept_fraction), None)
    kept = f", {had.kept_fraction[strictest]:.1%} in time" if strictest else ""
    progress(stage, had.done_fraction, f"{had.gpu_hours:,.0f} GPU h{kept}")


def _controlled(
    world: World, strategy: Strategy, span: preparing.Span, folder: Path, progress: Callable[[SoFar], None]
) -> Controlled:
    forecasts = None
    if strategy.foresee is not None:
        risk = world.scenario.risk
        history = History(
            demand=world.demand,
            origins=origins_of(world),
            horizon_s=farthest_h(world.scenario) * SECONDS_PER_HOUR,
            window_s=span.forecast_window_s,
            quantiles=sorted({0.5, risk.quantile}),
            method=world.scenario.forecast_method,
            seed=world.scenario.seed,
            folder=folder,
        )
        forecasts = strategy.foresee(history)
    return control(strategy, world, forecasts, load=world.demand, progress=progress)


def farthest_h(scenario: Scenario) -> float:
    """Return how many hours ahead the strategy that looks farthest asks for: all share the forecasts made so far."""
    return max(strategy_of(policy).horizon_h for policy in scenario.strategies)


def _planned_once(
    world: World, policy: Policy, plan: CapacityPlan, forecast: Forecast, progress: Callable[[SoFar], None]
) -> Controlled:
    run = simulation.run(
        world.demand,
        fleet=world.fleet,
        policy=policy,
        start=world.start,
        hours=world.hours,
        plan=plan if policy.needs_plan else None,
        expected=expected_input_tps(forecast, world.fleet) if policy.needs_plan else None,
        demand_window_s=world.demand_window_s,
        progress=progress,
    )
    return Controlled(run=run, plan=plan if policy.needs_plan else None)


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
