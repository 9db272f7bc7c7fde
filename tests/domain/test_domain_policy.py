"""workbench.domain.policy: a strategy refuses numbers out of range and choices that contradict each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workbench.domain import FOLLOW_PLAN, SIGNALS, Policy
from workbench.errors import ScenarioError

REACTIVE = Policy(key="reactive", label="Reactive")


def refused(finding: str, **changes: Any) -> None:
    """Check that the policy with these changes is refused with this finding."""
    with pytest.raises(ScenarioError, match=finding):
        replace(REACTIVE, **changes)


@pytest.mark.parametrize(
    "name",
    [
        "route_below_fraction",
        "scale_out_above_fraction",
        "scale_in_below_fraction",
        "release_two_below_fraction",
        "release_one_below_fraction",
        "pressure_out_above_fraction",
        "pressure_in_below_fraction",
        "batch_fill_fraction",
        "planning_signal_fraction",
        "staffed_load_fraction",
        "deferrable_share",
        "mixed_share",
    ],
)
@pytest.mark.parametrize("number", [-0.01, 1.01, float("nan")])
def test_a_policy_refuses_fractions_outside_0_to_1(name: str, number: float) -> None:
    refused(rf"^policy reactive: (\s*- )?{name} must lie in 0-1, got {number}", **{name: number})


@pytest.mark.parametrize(
    "name",
    [
        "cooldown_s",
        "reclaim_s",
        "swap_s",
        "remote_s",
        "deferrable_ages_after_s",
        "override_in_last_s",
        "pressure_mean_s",
    ],
)
@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf")])
def test_a_policy_refuses_what_is_no_delay(name: str, number: float) -> None:
    refused(f"^policy reactive: {name} must be a number of seconds, 0 or more, got {number}", **{name: number})


@pytest.mark.parametrize("name", ["override_out_ratio", "override_in_ratio", "drain_out_ratio", "drain_in_ratio"])
@pytest.mark.parametrize("number", [-0.5, float("nan")])
def test_a_policy_refuses_ratios_that_are_none(name: str, number: float) -> None:
    refused(f"^policy reactive: {name} must be a number, 0 or more, got {number}", **{name: number})


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"follow_plan": "sometimes"}, "follow_plan must be one of no, at_once, .*, got sometimes"),
        ({"signal": "cpu"}, "signal must be one of largest, kv_cache, got cpu"),
        ({"scale_in_below_fraction": 0.7}, "scale_in_below_fraction 0.7 must lie below scale_out_above_fraction 0.7"),
        ({"floor_replicas": -1}, "floor_replicas must be a whole number, 0 or more, got -1"),
        ({"floor_replicas": float("inf")}, "floor_replicas must be a whole number, 0 or more, got inf"),
        ({"floor_replicas": 1.5}, "floor_replicas must be a whole number, 0 or more, got 1.5"),
        (
            {"release_two_below_fraction": 0.7},
            "release_two_below_fraction 0.7 must lie at or below release_one_below_fraction 0.6",
        ),
        ({"override_in_ratio": 5.0}, "override_in_ratio 5.0 must lie below override_out_ratio 5.0"),
        (
            {"pressure_in_below_fraction": 0.9},
            "pressure_in_below_fraction 0.9 must lie below pressure_out_above_fraction 0.6",
        ),
        ({"drain_in_ratio": 2.0}, "drain_in_ratio 2.0 must lie below drain_out_ratio 1.0"),
        ({"scale_by": "wish"}, "scale_by must be one of load, back_pressure, arrivals, got wish"),
        ({"scale_by": "back_pressure"}, "scale_by back_pressure needs siloed = true"),
        ({"scale_by": "arrivals", "siloed": True}, "scale_by arrivals needs siloed = false"),
        ({"scale_by": "arrivals", "follow_plan": "at_once"}, "arrivals follows no plan or a paced one, got .* at_once"),
        ({"staffed_load_fraction": 0.0}, "staffed_load_fraction must be above 0"),
        ({"arrivals_mean_s": 0.0}, "arrivals_mean_s must be above 0"),
        ({"spare_ratio": 1.3}, "spare_ratio 1.3 must lie below spare_in_ratio 1.3"),
        ({"mixed_share": 0.3}, "mixed_share needs siloed = true"),
        ({"siloed": True, "mixed_share": 0.5, "deferrable_share": 0.5}, "must leave a part for interactive work"),
        ({"siloed": True, "follow_plan": "paced"}, "a siloed fleet follows no plan"),
    ],
)
def test_a_policy_refuses_contradictions(changes: dict[str, Any], finding: str) -> None:
    refused(finding, **changes)


def test_a_policy_starts_from_the_published_thresholds() -> None:
    assert (REACTIVE.scale_out_above_fraction, REACTIVE.scale_in_below_fraction) == (0.70, 0.30)
    assert (REACTIVE.release_one_below_fraction, REACTIVE.release_two_below_fraction) == (0.60, 0.50)
    assert (REACTIVE.cooldown_s, REACTIVE.floor_replicas) == (15.0, 2)
    assert (REACTIVE.reclaim_s, REACTIVE.swap_s, REACTIVE.remote_s) == (60.0, 600.0, 7200.0)
    assert REACTIVE.deferrable_ages_after_s == 10 * 3600
    assert (REACTIVE.override_in_last_s, REACTIVE.override_out_ratio, REACTIVE.override_in_ratio) == (1200.0, 5.0, 0.5)


def test_silos_are_one_two_or_three_pools() -> None:
    siloed = replace(REACTIVE, siloed=True)
    assert [policy.silos for policy in (REACTIVE, siloed, replace(siloed, mixed_share=0.25))] == [1, 2, 3]
    assert replace(siloed, scale_by="back_pressure").scale_by == "back_pressure"


@pytest.mark.parametrize("follow_plan", FOLLOW_PLAN)
def test_only_a_policy_that_follows_a_plan_needs_one(follow_plan: str) -> None:
    assert replace(REACTIVE, follow_plan=follow_plan).needs_plan == (follow_plan != "no")


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_named_signal_is_accepted(signal: str) -> None:
    assert replace(REACTIVE, signal=signal).signal == signal
