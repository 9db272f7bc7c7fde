"""The choices: where they start, what they span, and which of them mean nothing under a strategy."""

from __future__ import annotations

import dataclasses

import pytest

from workbench.dashboards import state
from workbench.domain import Policy
from workbench.results import Study


def test_choices_start_at_those_of_the_study(study: Study) -> None:
    choices = state.of_study(study)
    risk = study.scenario.risk
    assert choices.strategy == "lt_ua"  # the last of the default strategies that follows a plan
    assert (choices.demand_factor, choices.quantile) == (1.0, risk.quantile)
    assert choices.planning_signal_fraction == risk.planning_signal_fraction
    assert (choices.scale_out_above_fraction, choices.reclaim_minutes) == (0.7, 1.0)


def test_a_strategy_brings_its_own_thresholds(study: Study) -> None:
    changed = tuple(
        dataclasses.replace(policy, scale_out_above_fraction=0.8, reclaim_s=240.0) if policy.key == "siloed" else policy
        for policy in study.scenario.strategies
    )
    other = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, strategies=changed))
    choices = state.of_study(other, "siloed")
    assert (choices.scale_out_above_fraction, choices.reclaim_minutes) == (0.8, 4.0)
    assert state.of_study(other, "reactive").scale_out_above_fraction == 0.7


def test_a_study_without_a_plan_starts_at_its_baseline(study: Study) -> None:
    unplanned = tuple(policy for policy in study.scenario.strategies if not policy.needs_plan)
    other = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, strategies=unplanned))
    assert state.of_study(other).strategy == study.scenario.baseline


def test_setting_a_choice_tells_who_observes(study: Study) -> None:
    choices, heard = state.of_study(study), []
    choices.observe(lambda change: heard.append((change["name"], change["new"])))
    choices.demand_factor = 1.5
    choices.demand_factor = 1.5
    assert heard == [("demand_factor", 1.5)]


def test_choices_compare_as_values(study: Study) -> None:
    one, other = state.of_study(study), state.of_study(study)
    assert one.now() == other.now()
    other.quantile = 0.9
    assert one.now() != other.now()


@pytest.mark.parametrize(("own", "expected"), [(0.5, (0.3, 0.9)), (0.95, (0.3, 0.95)), (0.2, (0.2, 0.9))])
def test_a_slider_reaches_the_value_of_the_study(own: float, expected: tuple[float, float]) -> None:
    assert state.span_of("planning_signal_fraction", own) == expected


@pytest.mark.parametrize(
    ("strategy", "idle"),
    [
        ("siloed", {"quantile", "planning_signal_fraction"}),
        ("reactive", {"quantile", "planning_signal_fraction"}),
        ("lt_i", {"scale_out_above_fraction"}),
        ("lt_ua", set()),
    ],
)
def test_choices_that_change_nothing_are_known(study: Study, strategy: str, idle: set[str]) -> None:
    assert state.idle_choices(study, state.policy_named(study, strategy)) == idle


def test_back_pressure_heeds_neither_plan_nor_load(study: Study) -> None:
    chiron = Policy(key="chiron", label="Chiron", siloed=True, scale_by="back_pressure")
    assert state.idle_choices(study, chiron) == {"quantile", "planning_signal_fraction", "scale_out_above_fraction"}


def test_a_strategy_planned_at_a_load_of_its_own_begins_there(study: Study) -> None:
    """Planned once, all strategies follow one plan, at the load of the risk."""
    fuller = dataclasses.replace(state.policy_named(study, "lt_ua"), planning_signal_fraction=0.74)
    for replan, level in (("hourly", 0.74), ("once", study.scenario.risk.planning_signal_fraction)):
        scenario = dataclasses.replace(study.scenario, replan=replan, strategies=(fuller,), baseline="lt_ua")
        assert state.of_study(dataclasses.replace(study, scenario=scenario)).planning_signal_fraction == level


def test_a_fleet_held_at_its_peak_heeds_neither_plan_nor_load(study: Study) -> None:
    fixed = Policy(key="fixed", label="Fixed", follow_plan="at_once", programme="peak")
    hourly = dataclasses.replace(study, scenario=dataclasses.replace(study.scenario, replan="hourly"))
    assert state.idle_choices(hourly, fixed) == {"quantile", "planning_signal_fraction", "scale_out_above_fraction"}
    assert state.idle_choices(study, fixed) == {"scale_out_above_fraction"}
