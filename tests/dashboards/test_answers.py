"""From choices to results: the study's choices give its saved runs again, and every choice moves what it should.

Invariants, each with a test:

1. The study's own choices reproduce its plan and every saved run, byte for byte.
2. More demand never needs fewer GPU-hours, under the strategy and under the baseline.
3. A higher quantile, and a lower load of a replica, never plan fewer replicas.
4. A choice that is idle under a strategy changes nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from workbench.dashboards import answers, panels, state
from workbench.errors import PlanError, ScenarioError
from workbench.results import CapacityPlan, SimRun, Study

FRAMES = ("windows", "pools", "ttft", "scaling")


def chosen(study: Study, strategy: str = "lt_ua", **changes: Any) -> state.Choices:
    """The choices of the study with some of them changed."""
    choices = state.of_study(study, strategy)
    for name, value in changes.items():
        assert choices.has_trait(name)
        setattr(choices, name, value)
    return choices


def gpu_hours(run: SimRun) -> float:
    """GPU-hours held in a run."""
    return float(run.pools.get_column("gpu_hours").sum())


def replica_hours(plan: CapacityPlan) -> int:
    """Replicas of a plan, summed over its hours."""
    return int(plan.allocation.get_column("replicas").sum())


@pytest.mark.parametrize("strategy", ["siloed", "reactive", "lt_i", "lt_ua"])
def test_the_choices_of_the_study_give_its_saved_run(study: Study, strategy: str) -> None:
    run = answers.simulate(study, chosen(study, strategy))
    for name in FRAMES:
        assert_frame_equal(getattr(run, name), getattr(study.runs[strategy], name), check_exact=True)


def test_the_choices_of_the_study_give_its_saved_plan(study: Study) -> None:
    plan = answers.plan_of(study, chosen(study))
    assert_frame_equal(plan.allocation, study.plan.allocation, check_exact=True)
    assert_frame_equal(plan.shortfall, study.plan.shortfall, check_exact=True)


@pytest.mark.parametrize("strategy", ["reactive", "lt_ua"])
def test_more_demand_holds_more(study: Study, strategy: str) -> None:
    held = [
        gpu_hours(answers.simulate(study, chosen(study, strategy, demand_factor=factor))) for factor in (0.5, 1.0, 1.5)
    ]
    assert held[0] < held[1] < held[2]


def test_the_demand_is_multiplied_and_the_forecast_with_it(study: Study) -> None:
    double = answers.simulate(study, chosen(study, "reactive", demand_factor=2.0))
    arrived = [float(run.windows.get_column("arrived").sum()) for run in (double, study.runs["reactive"])]
    assert arrived[0] == pytest.approx(2 * arrived[1])
    plans = [replica_hours(answers.plan_of(study, chosen(study, demand_factor=factor))) for factor in (1.0, 1.4)]
    assert plans[0] < plans[1]


def test_recent_hours_that_stay_servable_grow_with_the_demand(study: Study) -> None:
    risk = dataclasses.replace(study.scenario.risk, recent_peak_hours=24.0, recent_peak_fraction=2.0)
    keeping = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, risk=risk))
    plans = [replica_hours(answers.plan_of(keeping, chosen(keeping, demand_factor=factor))) for factor in (0.5, 1.0)]
    assert replica_hours(answers.plan_of(study, chosen(study))) < plans[1]
    assert plans[0] < plans[1]


def test_a_higher_quantile_plans_more(study: Study) -> None:
    planned = [
        replica_hours(answers.plan_of(study, chosen(study, quantile=quantile))) for quantile in (0.25, 0.5, 0.75, 0.95)
    ]
    assert planned == sorted(planned)
    assert planned[0] < planned[-1]


def test_less_load_for_each_replica_plans_more(study: Study) -> None:
    planned = [
        replica_hours(answers.plan_of(study, chosen(study, planning_signal_fraction=load)))
        for load in (0.9, 0.7, 0.5, 0.4)
    ]
    assert all(fewer <= more for fewer, more in itertools.pairwise(planned))
    assert planned[0] < planned[-1]


def test_scaling_out_later_holds_less(study: Study) -> None:
    held = [
        gpu_hours(answers.simulate(study, chosen(study, "reactive", scale_out_above_fraction=level)))
        for level in (0.5, 0.7, 0.9)
    ]
    assert held[0] > held[1] > held[2]


def test_a_replica_that_comes_back_later_wastes_more_while_it_starts(study: Study) -> None:
    wasted = [
        float(
            answers.simulate(study, chosen(study, "reactive", reclaim_minutes=minutes))
            .pools.get_column("starting_reclaim")
            .sum()
        )
        for minutes in (0.5, 1.0, 10.0)
    ]
    assert wasted[0] < wasted[1] < wasted[2]


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        ("reactive", {"quantile": 0.95, "planning_signal_fraction": 0.4}),
        ("siloed", {"quantile": 0.05}),
        ("lt_i", {"scale_out_above_fraction": 0.9}),
    ],
)
def test_an_idle_choice_changes_nothing(study: Study, strategy: str, changes: dict[str, float]) -> None:
    assert set(changes) <= state.idle_choices(study, state.policy_named(study, strategy))
    run = answers.simulate(study, chosen(study, strategy, **changes))
    assert_frame_equal(run.pools, study.runs[strategy].pools, check_exact=True)


def test_an_answer_stands_beside_the_baseline_on_the_same_demand_and_the_own_run(study: Study) -> None:
    found = answers.answer(study, chosen(study, demand_factor=1.5))
    assert not found.is_own
    assert found.own is study.runs["lt_ua"]
    arrived = [float(run.windows.get_column("arrived").sum()) for run in (found.chosen, found.baseline)]
    assert arrived[0] == pytest.approx(arrived[1])
    assert found.totals["baseline"]["gpu_hours"] == pytest.approx(gpu_hours(found.baseline))
    own = study.scorecard.totals.filter(pl.col("strategy") == "lt_ua").row(0, named=True)
    assert found.totals["study"]["gpu_hours"] == own["gpu_hours"]
    assert {tier.key for tier in study.fleet.tiers} == {tier for case, tier in found.tiers if case == "study"}


def test_the_own_choices_are_scored_as_the_study_was(study: Study) -> None:
    for strategy in study.runs:
        found = answers.answer(study, chosen(study, strategy))
        own = study.scorecard.totals.filter(pl.col("strategy") == strategy).row(0, named=True)
        assert found.is_own
        for name in ("gpu_hours", "cost_usd", "gpu_hours_saved_fraction", "cost_saved_usd", "keeps_service"):
            assert found.totals["chosen"][name] == own[name]


def test_a_baseline_that_follows_a_plan_follows_it_on_the_chosen_demand(study: Study) -> None:
    planned = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, baseline="lt_i"))
    found = answers.answer(planned, chosen(planned, "reactive"))
    assert_frame_equal(found.baseline.pools, study.runs["lt_i"].pools, check_exact=True)
    assert found.plan is None


def test_a_study_that_was_planned_every_hour_is_compared_with_its_choices_planned_once(small_study: Study) -> None:
    assert answers.is_planned_otherwise(small_study, state.policy_named(small_study, "lt_ua"))
    found = answers.answer(small_study, chosen(small_study, "lt_ua"))
    assert found.is_own
    assert_frame_equal(found.own.pools, found.chosen.pools, check_exact=True)
    assert found.totals["study"]["gpu_hours"] == found.totals["chosen"]["gpu_hours"]
    assert found.totals["study"]["label"] == "LT-UA, study's choices"  # not its run, which held something else
    assert "the study made a new one every hour" in panels.summary(small_study, found)
    reactive = answers.answer(small_study, chosen(small_study, "reactive"))
    assert reactive.own is small_study.runs["reactive"]
    assert "every hour" not in panels.summary(small_study, reactive)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"programme": "lookahead"}, "each hour by itself; the study looked a day ahead, anew every hour."),
        ({"foresight": "perfect"}, "from the forecast; the study made a new one every hour, and knew what would come."),
    ],
)
def test_what_the_study_did_otherwise_is_said(small_study: Study, changes: dict[str, str], words: str) -> None:
    assert words in panels.summary(*_with_policy(small_study, **changes))


def test_a_fleet_held_at_its_peak_is_the_studys_whatever_is_chosen(small_study: Study) -> None:
    """The plan that the study carried out for the strategy is the one that holds."""
    held, found = _with_policy(small_study, programme="peak")
    assert found.plan is held.plans["lt_ua"]
    assert found.own is held.runs["lt_ua"]
    assert "Here a plan" not in panels.summary(held, found)


def _with_policy(study: Study, **changes: str) -> tuple[Study, answers.Answer]:
    """Return the study as if LT-UA had been another strategy, and the answer to its own choices."""
    strategies = tuple(
        dataclasses.replace(policy, **changes) if policy.key == "lt_ua" else policy
        for policy in study.scenario.strategies
    )
    other = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, strategies=strategies))
    return other, answers.answer(other, chosen(other, "lt_ua"))


def test_a_plan_is_made_once_for_the_choices_that_enter_it(study: Study) -> None:
    first = answers.plan_of(study, chosen(study, quantile=0.9))
    again = answers.plan_of(study, chosen(study, "lt_i", quantile=0.9, reclaim_minutes=3.0))
    assert again is first


def test_thresholds_that_contradict_each_other_are_refused(study: Study) -> None:
    with pytest.raises(ScenarioError, match=r"scale_in_below_fraction 0\.3 must lie below"):
        answers.simulate(study, chosen(study, scale_out_above_fraction=0.2))


def test_a_quantile_that_was_not_forecast_is_refused(study: Study) -> None:
    with pytest.raises(PlanError, match="quantile"):
        answers.plan_of(study, chosen(study, quantile=0.42))
