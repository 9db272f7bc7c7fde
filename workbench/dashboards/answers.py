"""From choices to results: plan and simulate a saved study again under other choices.

Pure functions of a study and its choices. Nothing is fitted again: the saved forecast is scaled, the requirement is
made from another quantile, the programme is solved and one strategy simulated. A plan is kept for the choices that
enter it, so that moving a threshold of the strategy costs one simulation. The fleet at the start stays the study's,
sized from its history, whatever the demand is multiplied by. Where the study made a new plan every hour, choices are
planned once for the whole span by SageServe's programme, from the forecast made at its begin: an answer has to come in
a blink. The page says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from workbench import performance, planning, scoring, simulation, studies
from workbench.dashboards import state
from workbench.dashboards.state import Choices
from workbench.domain import Policy
from workbench.results import CapacityPlan, Forecast, Scorecard, SimRun, Study
from workbench.simulation.loads import Laid
from workbench.units import SECONDS_PER_MINUTE

KEPT_PLANS, KEPT_RUNS, KEPT_LOADS = 16, 8, 2
CHOSEN, BASELINE, OWN = "chosen", "baseline", "study"


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What the choices lead to, beside the study's own run of the strategy and its baseline on the same demand.

    ``totals`` has the rows of a scorecard by case (``chosen``, ``study``, ``baseline``), ``tiers`` by case and tier;
    ``plan`` is the one that was followed, null for a strategy that follows none.
    """

    policy: Policy
    demand_factor: float
    is_own: bool
    plan: CapacityPlan | None
    chosen: SimRun
    baseline: SimRun
    own: SimRun
    totals: Mapping[str, Mapping[str, Any]]
    tiers: Mapping[tuple[str, str], Mapping[str, Any]]


def simulate(study: Study, choices: Choices) -> SimRun:
    """Simulate the chosen strategy of a study under the choices, on a plan made anew for them.

    Raises PlanError, ScenarioError or SimulationError where the choices contradict each other.
    """
    policy = policy_of(study, choices)
    return _run(study, policy, choices.demand_factor, plan_of(study, choices) if policy.needs_plan else None)


def policy_of(study: Study, choices: Choices) -> Policy:
    """Return the chosen strategy with the chosen thresholds. Raises ScenarioError where they contradict each other."""
    return dataclasses.replace(
        state.policy_named(study, choices.strategy),
        scale_out_above_fraction=choices.scale_out_above_fraction,
        reclaim_s=choices.reclaim_minutes * SECONDS_PER_MINUTE,
    )


def plan_of(study: Study, choices: Choices) -> CapacityPlan:
    """Return the plan for the choices that enter one: demand factor, quantile and planned load of a replica.

    Of a strategy that holds the history's peak it is the study's, whatever is chosen.
    """
    policy = state.policy_named(study, choices.strategy)
    if state.holds_peak(study, policy):
        return study.plans[policy.key]
    return _plan(study, choices.demand_factor, choices.quantile, choices.planning_signal_fraction)


@lru_cache(maxsize=KEPT_PLANS)
def _plan(study: Study, demand_factor: float, quantile: float, signal_fraction: float) -> CapacityPlan:
    scenario, fleet = study.scenario, study.fleet
    risk = dataclasses.replace(
        scenario.risk,
        quantile=quantile,
        planning_signal_fraction=signal_fraction,
        recent_peak_fraction=scenario.risk.recent_peak_fraction * demand_factor,  # what was seen grows as the forecast
    )
    waiting = studies.last_hour_deferrable(study.demand, fleet, as_of=study.as_of, window_s=_demand_window_s(study))
    return planning.solve(
        planning.require(
            _scaled_forecast(study.forecast, demand_factor),
            risk=risk,
            tiers=fleet.tiers,
            observed=study.demand,
        ),
        fleet=fleet,
        rates=performance.rates(fleet.replicas, fleet.mixes, signal_fraction=signal_fraction, signal="largest"),
        risk=risk,
        epsilon_fraction=scenario.epsilon_fraction,
        model="sageserve",
        solver=scenario.solver,
        gap_fraction=scenario.solver_gap_fraction,
        time_limit_s=scenario.solver_time_limit_s,
        floor_replicas=max(policy.floor_replicas for policy in scenario.strategies),
        last_hour_deferrable=waiting.with_columns(pl.col("input_tps") * demand_factor),
    )


@lru_cache(maxsize=KEPT_RUNS)
def _baseline_run(study: Study, demand_factor: float, plan: CapacityPlan | None) -> SimRun:
    return _run(study, state.policy_named(study, study.scenario.baseline), demand_factor, plan)


def _run(study: Study, policy: Policy, demand_factor: float, plan: CapacityPlan | None) -> SimRun:
    forecast = _scaled_forecast(study.forecast, demand_factor)
    return simulation.run(
        _load(study).times(demand_factor),
        fleet=study.fleet,
        policy=policy,
        start=study.as_of,
        hours=study.hours,
        plan=plan,
        expected=studies.expected_input_tps(forecast, study.fleet) if policy.needs_plan else None,
    )


@lru_cache(maxsize=KEPT_LOADS)
def _load(study: Study) -> Laid:
    """Lay the study's demand out once for all its choices."""
    return simulation.lay_out(
        study.demand,
        fleet=study.fleet,
        start=study.as_of,
        hours=study.hours,
        demand_window_s=_demand_window_s(study),
    )


def _scaled_forecast(forecast: Forecast, factor: float) -> Forecast:
    return dataclasses.replace(forecast, frame=forecast.frame.with_columns(pl.col("value") * factor))


def _demand_window_s(study: Study) -> float:
    return float(study.manifest["demand_window_s"])


def answer(study: Study, choices: Choices) -> Answer:
    """Simulate the choices and judge them beside the study's baseline on the same demand and the study's own run.

    The baseline keeps the study's thresholds; where it follows a plan, it follows the study's way of planning on the
    chosen demand. Raises the errors of :func:`simulate`.
    """
    policy, scenario = policy_of(study, choices), study.scenario
    base = state.policy_named(study, scenario.baseline)
    base_plan = None
    if base.needs_plan:
        as_planned = state.of_study(study, base.key)
        as_planned.demand_factor = choices.demand_factor
        base_plan = plan_of(study, as_planned)
    runs = {
        CHOSEN: simulate(study, choices),
        BASELINE: _baseline_run(study, choices.demand_factor, base_plan),
    }
    card = scoring.score(
        runs,
        tiers=study.fleet.tiers,
        baseline=BASELINE,
        labels={CHOSEN: f"{policy.label}, as chosen", BASELINE: f"{base.label}, same demand"},
        warmup_hours=scenario.warmup_hours,
    )
    totals, tiers = _rows(card)
    own_run, own_card = own(study, policy.key)
    own_totals, own_tiers = _rows(own_card)
    return Answer(
        policy=policy,
        demand_factor=choices.demand_factor,
        is_own=choices.now() == state.of_study(study, policy.key).now(),
        plan=plan_of(study, choices) if policy.needs_plan else None,
        chosen=runs[CHOSEN],
        baseline=runs[BASELINE],
        own=own_run,
        totals=totals | {OWN: own_totals[policy.key] | {"label": f"{policy.label}, {_called(study, policy)}"}},
        tiers=tiers | {(OWN, tier.key): own_tiers[policy.key, tier.key] for tier in study.fleet.tiers},
    )


@lru_cache(maxsize=KEPT_RUNS)
def own(study: Study, strategy: str) -> tuple[SimRun, Scorecard]:
    """Return a strategy of a study under the study's own choices, and a scorecard with it.

    It is the saved run; but where the study made a new plan every hour it is simulated again on one plan for the whole
    span, as all choices are: so that what differs from it is due to the choices alone.
    """
    policy = state.policy_named(study, strategy)
    if not is_planned_otherwise(study, policy):
        return study.runs[strategy], study.scorecard
    run = _run(study, policy, 1.0, plan_of(study, state.of_study(study, strategy)))
    card = scoring.score(
        {**study.runs, strategy: run},
        tiers=study.fleet.tiers,
        baseline=study.scenario.baseline,
        labels={each.key: each.label for each in study.scenario.strategies},
        warmup_hours=study.scenario.warmup_hours,
    )
    return run, card


def _called(study: Study, policy: Policy) -> str:
    return "study's choices" if is_planned_otherwise(study, policy) else "study's own run"


def is_planned_otherwise(study: Study, policy: Policy) -> bool:
    """Return whether choices are planned otherwise than the study was: once for the whole span, not every hour."""
    return study.scenario.replan == "hourly" and policy.needs_plan and not state.holds_peak(study, policy)


def _rows(card: Scorecard) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], dict[str, Any]]]:
    """Return the rows of a scorecard by strategy, and by strategy and tier."""
    totals = {row["strategy"]: row for row in card.totals.iter_rows(named=True)}
    return totals, {(row["strategy"], row["tier"]): row for row in card.tiers.iter_rows(named=True)}
