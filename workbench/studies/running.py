"""Run the stages in order and keep every hand-off: demand, forecast, requirement, plan, simulations, scorecard.

All strategies are simulated on the same demand from the same start. Plans are made from forecasts alone: one for the
whole span, which reads nothing at or after ``as_of``; and, re-planned hourly, one for every hour, which reads nothing
at or after that hour's begin.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from workbench import performance, planning, scoring
from workbench.catalog import Catalog
from workbench.domain import Fleet, Scenario
from workbench.results import CapacityPlan, Forecast, Scorecard, SimRun, Study, Tell
from workbench.studies import altering, describing, preparing, requesting, saving, starting
from workbench.studies.competing import Contest, every_hour, foresee_all, run_all, whole_span
from workbench.studies.controlling import Controlled, World, last_hour_deferrable
from workbench.studies.drafting import Drafts
from workbench.studies.requesting import Filed
from workbench.traces.store import Reading


def run(
    scenario: Scenario,
    store: Reading,
    *,
    catalog: Catalog,
    root: Path,
    now: datetime,
    workers: int | None = 1,
    is_saved: bool = True,
    progress: Tell | None = None,
) -> Study:
    """Run a scenario on a trace of the store and save the study under ``root``.

    ``workers`` is the most processes that days of forecasts, and then strategies, are spread over (None: one per core);
    what comes out is the same to the last byte. Where it is not to be saved, ``root`` holds the drafts alone.
    ``progress`` is told the stage in words and the share done of it. ``now`` is written into the manifest and
    enters no number. Raises the errors of the stages; a failed run leaves no study behind.
    """
    tell = progress or silent
    clock = _Clock()
    read = _read(scenario, store, catalog=catalog, kept=root.parent, tell=tell)
    clock.lap("demand")
    whole, hourly = (
        each(scenario, read.demand, read.span, root.parent / "forecasts") for each in (whole_span, every_hour)
    )
    forecast = foresee_all(scenario, whole, hourly, workers=workers, progress=tell)
    clock.lap("forecast")
    requirement, rates, plan = _plan(scenario, read, forecast, tell)
    clock.lap("plan")
    trace = describing.trace_facts(store, scenario.trace)
    identity = saving.study_id(scenario, trace["fingerprint"])
    drafts = Drafts(root / f".{identity}.draft")
    contest = Contest(
        world=_world(scenario, catalog, read, rates),
        history=hourly,
        drafts=drafts,
        requests=_requests(scenario, store, read, drafts, tell, clock),
        plan=plan,
        forecast=forecast,
    )
    done = run_all(contest, workers=workers, progress=tell)
    clock.lap("simulate")
    card = _score(scenario, read.fleet, {key: one.run for key, one in done.items()})
    clock.lap("score")
    notes = _notes(scenario, store, read, forecast, plan)
    study = _gathered(contest, done, read=read, requirement=requirement, card=card, notes=notes, folder=root / identity)
    manifest = describing.manifest_of(
        study, trace=trace, demand_window_s=read.span.demand_window_s, laps_s=clock.laps_s, now=now
    )
    study = dataclasses.replace(study, manifest=manifest)
    if is_saved:
        tell("Saving", 0.0)
        saving.save(study, root)
    drafts.remove()
    return study


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """What a scenario makes of its trace: span, demand as altered, shape, and the fleet that it starts from."""

    span: preparing.Span
    demand: pl.DataFrame
    shape: pl.DataFrame
    alteration: altering.Alteration
    fleet: Fleet


def _read(scenario: Scenario, store: Reading, *, catalog: Catalog, kept: Path, tell: Tell) -> _Read:
    """Read the trace, alter its demand as the scenario says, and size the fleet; sums of it lie under ``kept``."""
    span = preparing.span_of(scenario, store)
    tell("Reading demand", 0.0)
    demand = preparing.demand_of(scenario, store, span, folder=kept / "sums")
    deferrable = [key for key in demand.get_column("tier").unique() if catalog.tier(key).deferrable]
    alteration = altering.alteration_of(
        scenario, demand, as_of=span.as_of, window_s=span.demand_window_s, deferrable=deferrable
    )
    demand = altering.altered(demand, alteration)
    shape = preparing.shape_of(scenario, store, span, folder=kept / "sums")
    fleet = starting.fleet_of(scenario, catalog, demand, shape, span.as_of)
    return _Read(span=span, demand=demand, shape=shape, alteration=alteration, fleet=fleet)


def _plan(
    scenario: Scenario, read: _Read, forecast: Forecast, tell: Tell
) -> tuple[pl.DataFrame, pl.DataFrame, CapacityPlan]:
    """Return what a forecast requires, the rates of a replica, and the plan of the whole span."""
    fleet = read.fleet
    requirement = planning.require(forecast, risk=scenario.risk, tiers=fleet.tiers, observed=read.demand)
    rates = performance.rates(
        fleet.replicas, fleet.mixes, signal_fraction=scenario.risk.planning_signal_fraction, signal="largest"
    )
    return requirement, rates, plan_for(scenario, fleet, requirement, rates, read.demand, read.span, tell)


def _world(scenario: Scenario, catalog: Catalog, read: _Read, rates: pl.DataFrame) -> World:
    """Return what every strategy meets."""
    return World(
        scenario=scenario,
        demand=read.demand,
        demand_window_s=read.span.demand_window_s,
        fleet=read.fleet,
        rates=rates,
        start=read.span.as_of,
        hours=read.span.hours,
        peak_replicas=starting.peak_replicas(scenario, catalog, read.fleet, read.demand, read.span.as_of),
    )


def _requests(
    scenario: Scenario, store: Reading, read: _Read, drafts: Drafts, tell: Tell, clock: _Clock
) -> Filed | None:
    """Lay out single requests in a file where the engine plays them."""
    if scenario.engine != "replay":
        return None
    tell("Laying out requests", 0.0)
    requests = requesting.file_requests(
        scenario,
        store,
        read.span,
        demand=read.demand,
        alteration=read.alteration,
        fleet=read.fleet,
        folder=drafts.folder / "requests",
    )
    clock.lap("requests")
    return requests


def _score(scenario: Scenario, fleet: Fleet, runs: Mapping[str, SimRun]) -> Scorecard:
    return scoring.score(
        runs,
        tiers=fleet.tiers,
        baseline=scenario.baseline,
        labels={policy.key: policy.label for policy in scenario.strategies},
        warmup_hours=scenario.warmup_hours,
    )


def _notes(scenario: Scenario, store: Reading, read: _Read, forecast: Forecast, plan: CapacityPlan) -> tuple[str, ...]:
    return (
        *read.span.notes,
        *describing.notes_of(scenario, forecast, plan, read.demand, read.span),
        *altering.notes_of(read.alteration, scenario),
        *describing.notes_of_speed(read.fleet),
        *describing.notes_of_trace(store, scenario),
    )


def _gathered(
    contest: Contest,
    done: Mapping[str, Controlled],
    *,
    read: _Read,
    requirement: pl.DataFrame,
    card: Scorecard,
    notes: tuple[str, ...],
    folder: Path,
) -> Study:
    """Return the study of all that was read, decided and run, before its manifest is written."""
    return Study(
        id=folder.name,
        folder=folder,
        manifest={},
        scenario=contest.world.scenario,
        fleet=read.fleet,
        as_of=read.span.as_of,
        hours=read.span.hours,
        notes=notes,
        demand=read.demand,
        shape=read.shape,
        forecast=contest.forecast,
        requirement=requirement,
        rates=contest.world.rates,
        plan=contest.plan,
        plans={key: one.plan for key, one in done.items() if one.plan is not None},
        runs={key: one.run for key, one in done.items()},
        scorecard=card,
    )


def silent(stage: str, share: float, so_far: str = "") -> None:
    """Tell nobody."""


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
