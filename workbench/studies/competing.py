"""Simulate every strategy of a scenario on the same demand from the same start, here or in processes side by side.

Forecasts depend on no strategy: before strategies part, those that are not kept yet are made, a day to a process. Each
strategy is written when it is whole, so an interrupted study goes on after the last of them, whoever ran it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from workbench import compute, simulation
from workbench.domain import Fleet, Policy, Scenario
from workbench.results import CapacityPlan, Forecast, SoFar, Tell
from workbench.simulation.intake import Load
from workbench.studies import foreseeing
from workbench.studies.controlling import Controlled, World, control, engine_of, expected_input_tps
from workbench.studies.drafting import Drafts
from workbench.studies.foreseeing import History
from workbench.studies.preparing import Span
from workbench.studies.requesting import Filed
from workbench.studies.strategies import Strategy, strategy_of, whole_hours
from workbench.units import SECONDS_PER_HOUR


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """What all strategies of a study meet, and where what they do is kept.

    Re-planned hourly, each that follows a plan has its own; planned once, all follow ``plan``, made from ``forecast``.
    ``history`` is what is foreseen every hour. Whole runs are kept in ``drafts``; ``requests`` are what the replay
    plays.
    """

    world: World
    history: History
    drafts: Drafts
    requests: Filed | None
    plan: CapacityPlan
    forecast: Forecast

    @property
    def load(self) -> Load:
        """What the engine takes."""
        return self.world.demand if self.requests is None else self.requests


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One strategy of a contest, as a task for a process."""

    contest: Contest
    policy: Policy

    def __str__(self) -> str:
        return f"strategy {self.policy.key}"


def run_all(contest: Contest, *, workers: int | None, progress: Tell) -> dict[str, Controlled]:
    """Run every strategy of the scenario over the span from the fleet's start, or read it where it was run before."""
    policies = contest.world.scenario.strategies
    missing = [Entry(contest=contest, policy=policy) for policy in policies if not contest.drafts.has(policy.key)]
    if workers == 1 or len(missing) < 2:
        for entry in missing:
            stage = f"Simulating {entry.policy.label}"
            progress(stage, 0.0)
            compete(entry, partial(_tell, progress, stage, contest.world.fleet))
    else:
        _side_by_side(contest, missing, workers, progress)
    return {policy.key: contest.drafts.read(policy.key) for policy in policies}


def _side_by_side(contest: Contest, missing: list[Entry], workers: int | None, progress: Tell) -> None:
    """Run strategies in processes; tell how many are whole, and of the one that told last how far it is."""
    latest: dict[str, SoFar] = {}

    def say(words: str = "") -> None:
        """Tell the whole ones, and words about one that runs."""
        whole = {entry.policy.key for entry in missing if contest.drafts.has(entry.policy.key)}
        running = sum(had.done_fraction for key, had in latest.items() if key not in whole)
        progress(
            "Simulating strategies", (len(whole) + running) / len(missing), f"{len(whole)} of {len(missing)}{words}"
        )

    def hear(news: tuple[Policy, SoFar]) -> None:
        """Keep how far a strategy is, and tell it."""
        policy, had = news
        latest[policy.key] = had
        say(f"; {policy.label} at {had.done_fraction:.0%}: {_so_far(contest.world.fleet, had)}")

    say()
    compute.map_tasks(_compete_aloud, missing, workers=workers, progress=lambda *_: say(), hear=hear)


def _compete_aloud(entry: Entry) -> None:
    """Run one strategy in a process of its own and tell how far it is."""
    compete(entry, lambda had: compute.tell(lambda: (entry.policy, had)))


def compete(entry: Entry, progress: Callable[[SoFar], None] | None = None) -> None:
    """Run one strategy and write it into the drafts."""
    contest, policy = entry.contest, entry.policy
    if contest.world.scenario.replan == "hourly":
        done = _controlled(contest, strategy_of(policy), progress)
    else:
        done = _planned_once(contest, policy, progress)
    contest.drafts.keep(policy.key, done)


def _tell(progress: Tell, stage: str, fleet: Fleet, had: SoFar) -> None:
    """Say how far a simulation is, and what it has done."""
    progress(stage, had.done_fraction, _so_far(fleet, had))


def _so_far(fleet: Fleet, had: SoFar) -> str:
    """Return in words what a simulation has taken and how the strictest tier fares, or what else takes its time."""
    if had.note:
        return had.note
    strictest = next((tier.key for tier in fleet.tiers if tier.key in had.kept_fraction), None)
    kept = f", {had.kept_fraction[strictest]:.1%} in time" if strictest else ""
    return f"{had.gpu_hours:,.0f} GPU h{kept}"


def _controlled(contest: Contest, strategy: Strategy, progress: Callable[[SoFar], None] | None) -> Controlled:
    forecasts = None if strategy.foresee is None else strategy.foresee(contest.history)
    return control(strategy, contest.world, forecasts, load=contest.load, progress=progress)


def whole_span(scenario: Scenario, demand: pl.DataFrame, span: Span, folder: Path) -> History:
    """Return what is foreseen once, at the begin of the span: all of it, with every quantile and measure."""
    return History(
        demand=demand,
        origins=[span.as_of],
        horizon_s=whole_hours(span.hours) * SECONDS_PER_HOUR,
        window_s=span.forecast_window_s,
        quantiles=scenario.quantiles,
        method=scenario.forecast_method,
        seed=scenario.seed,
        measures=foreseeing.MEASURES,
        folder=folder,
    )


def every_hour(scenario: Scenario, demand: pl.DataFrame, span: Span, folder: Path) -> History:
    """Return what is foreseen at every hour of the span, the same for all strategies."""
    risk = scenario.risk
    return History(
        demand=demand,
        origins=foreseeing.hours_from(span.as_of, whole_hours(span.hours)),
        horizon_s=farthest_h(scenario) * SECONDS_PER_HOUR,
        window_s=span.forecast_window_s,
        quantiles=sorted({0.5, risk.quantile, *risk.quantile_by_tier.values()}),
        method=scenario.forecast_method,
        seed=scenario.seed,
        folder=folder,
        bias_fraction=scenario.forecast_bias_fraction,
        error_fraction=scenario.forecast_error_fraction,
    )


def foresee_all(
    scenario: Scenario, whole: History, hourly: History, *, workers: int | None, progress: Tell
) -> Forecast:
    """Return the forecast of the whole span; those of the hours are made with it where processes share the work."""
    asked = any(strategy_of(policy).foresee is foreseeing.forecasts for policy in scenario.strategies)
    progress("Forecasting", 0.0)
    if workers != 1:
        foreseeing.prepare(
            [whole, hourly] if asked and scenario.replan == "hourly" else [whole],
            workers=workers,
            progress=lambda done, total: progress("Forecasting", done / total, f"{done} of {total} days"),
        )
    return next(foreseeing.forecasts(whole))


def farthest_h(scenario: Scenario) -> float:
    """Return how many hours ahead the strategy that looks farthest asks for: all share the forecasts made so far."""
    return max(strategy_of(policy).horizon_h for policy in scenario.strategies)


def _planned_once(contest: Contest, policy: Policy, progress: Callable[[SoFar], None] | None) -> Controlled:
    world, plan = contest.world, contest.plan if policy.needs_plan else None
    run = simulation.run(
        contest.load,
        fleet=world.fleet,
        policy=policy,
        start=world.start,
        hours=world.hours,
        plan=plan,
        expected=expected_input_tps(contest.forecast, world.fleet) if policy.needs_plan else None,
        demand_window_s=world.demand_window_s,
        progress=progress,
        **engine_of(world),
    )
    return Controlled(run=run, plan=plan)
