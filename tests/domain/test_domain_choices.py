"""workbench.domain.choices: contradictory or impossible settings are refused with the number that was found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workbench.domain import Policy, RiskPolicy, Scenario
from workbench.errors import ScenarioError

REACTIVE = Policy(key="reactive", label="Reactive")
LT_UA = Policy(key="lt_ua", label="LT-UA", follow_plan="paced_with_override")
RISK = RiskPolicy()
SCENARIO = Scenario(
    name="week",
    title="A week",
    trace="synthetic",
    models=("llama31_8b",),
    regions=("us_east",),
    gpus=("h100_80gb",),
    strategies=(REACTIVE, LT_UA),
    baseline="reactive",
    risk=RISK,
)


def refused(value: Any, finding: str, **changes: Any) -> None:
    """Check that the value with these changes is refused with this finding."""
    with pytest.raises(ScenarioError, match=finding):
        replace(value, **changes)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"quantile": 0.0}, "quantile must lie between 0 and 1, got 0.0"),
        ({"quantile": 1.0}, "quantile must lie between 0 and 1, got 1.0"),
        ({"quantile": float("nan")}, "quantile must lie between 0 and 1, got nan"),
        ({"headroom_fraction": -1.0}, "headroom_fraction must be above -1, got -1.0"),
        ({"deferrable_buffer_fraction": -0.1}, "deferrable_buffer_fraction must not be negative"),
        ({"planning_signal_fraction": 0.0}, "planning_signal_fraction must lie in 0-1"),
        ({"planning_signal_fraction": 1.1}, "planning_signal_fraction must lie in 0-1"),
    ],
)
def test_a_risk_policy_refuses_what_no_plan_can_carry(changes: dict[str, Any], finding: str) -> None:
    refused(RISK, f"^risk: {finding}$", **changes)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"strategies": ()}, "strategies must not be empty"),
        ({"strategies": (REACTIVE, REACTIVE)}, "strategies appear twice: reactive, reactive"),
        ({"baseline": "oracle"}, "baseline oracle is none of the strategies reactive, lt_ua"),
        ({"demand_scale": 0.0}, "demand_scale must be positive, got 0.0"),
        ({"demand_scale": float("nan")}, "demand_scale must be positive, got nan"),
        ({"epsilon_fraction": 1.5}, "epsilon_fraction must lie in 0-1, got 1.5"),
        ({"risk": RiskPolicy(quantile=0.6)}, "risk.quantile 0.6 must be among forecast.quantiles"),
        ({"solver_time_limit_s": 0.0}, "solver_time_limit_s must be positive"),
        ({"simulate_hours": 0.0}, "simulate_hours must be positive"),
    ],
)
def test_a_scenario_refuses_contradictions(changes: dict[str, Any], finding: str) -> None:
    refused(SCENARIO, finding, **changes)


def test_a_changed_scenario_is_a_new_value() -> None:
    larger = replace(SCENARIO, demand_scale=2.0)
    assert (SCENARIO.demand_scale, larger.demand_scale) == (1.0, 2.0)
