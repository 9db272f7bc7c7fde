"""Run the stages in order and keep every hand-off: demand, forecast, requirement, plan, simulations, scorecard.

All strategies are simulated on the same demand from the same start. Plans are made from forecasts alone: one for the
whole span, which reads nothing at or after ``as_of``; and, re-planned hourly, one for every hour, which reads nothing
at or after that hour's begin.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import polars as pl

from workbench import performance, planning, scoring
from workbench.catalog import Catalog
from workbench.domain import Fleet, Scenario
from workbench.results import CapacityPlan, Study, Tell
from workbench.studies import altering, describing, preparing, requesting, saving, starting
from workbench.studies.competing import Contest, every_hour, foresee_all, run_all, whole_span
from workbench.studies.controlling import World, last_hour_deferrable
from workbench.studies.drafting import Drafts
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
    span = preparing.span_of(scenario, store)
    tell("Reading demand", 0.0)
    demand = preparing.demand_of(scenario, store, span, folder=root.parent / "sums")
    deferrable = [key for key in demand.get_column("tier").unique() if catalog.tier(key).deferrable]
    alteration = altering.alteration_of(
        scenario, demand, as_of=span.as_of, window_s=span.demand_window_s, deferrable=deferrable
    )
    demand = altering.altered(demand, alteration)
    shape = preparing.shape_of(scenario, store, span, folder=root.parent / "sums")
    fleet = starting.fleet_of(scenario, catalog, demand, shape, span.as_of)
    clock.lap("demand")
    whole, hourly = (each(scenario, demand, span, root.parent / "forecasts") for each in (whole_span, every_hour))
    forecast = foresee_all(scenario, whole, hourly, workers=workers, progress=tell)
    clock.lap("forecast")
    requirement = planning.require(forecast, risk=scenario.risk, tiers=fleet.tiers, observed=demand)
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
    requests = None
    if scenario.engine == "replay":
        tell("Laying out requests", 0.0)
        requests = requesting.file_requests(
            scenario, store, span, demand=demand, alteration=alteration, fleet=fleet, folder=drafts.folder / "requests"
        )
        clock.lap("requests")
    contest = Contest(
        world=world,
        history=hourly,
        drafts=drafts,
        requests=requests,
        plan=plan,
        forecast=forecast,
    )
    done = run_all(contest, workers=workers, progress=tell)
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
        *altering.notes_of(alteration, scenario),
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
    if is_saved:
        tell("Saving", 0.0)
        saving.save(study, root)
    drafts.remove()
    return study


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
