"""Every rule of workbench.simulation.rules against sageserve.md sections 4.2, 4.3, 7.1, 7.2 and 7.4.

In workbench.simulation.rules.routing, workbench.simulation.rules.release, workbench.simulation.rules.pacing and
workbench.simulation.rules.readiness, with the numbers of workbench.simulation.rules.thresholds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.domain import Policy
from workbench.simulation import rules as r
from workbench.simulation.state import POOL


def rules(**changes: object) -> r.Rules:
    return r.rules_of(Policy(key="p", label="p", **changes))  # type: ignore[arg-type]


def step(policy: r.Rules, *, signal: float, ready: int = 5, starting: int = 0, budget: int = 0, into: float = 0.0,
         gap: float = 1.0) -> int:  # fmt: skip
    return int(r.scaling_step(policy, signal, ready, starting, ready, ready + starting, budget, into, gap))


def pick(signals: list[float], ready: list[int], *, regions: list[int], preference: list[int]) -> int:
    """Choose among pools that stand one in each listed region."""
    pools = np.zeros(len(signals), dtype=POOL)
    pools["signal"], pools["ready"] = signals, ready
    table = np.full((1, 2, max(regions) + 1, 2), -1, dtype=np.int64)
    for pool, region in enumerate(regions):
        row = table[0, 0, region]
        row[int((row >= 0).sum())] = pool
    return int(r.choose_pool(rules(), np.array([preference]), 0, table, 0, 0, pools))


def test_numbers_are_of_one_type_however_they_are_written() -> None:
    """Else the engines would be compiled once more for a cooldown of 15 in the place of 15.0."""
    whole = rules(cooldown_s=15, spare_ratio=1, spare_in_ratio=2, floor_replicas=2.0, pressure_out_above_fraction=1)
    assert [type(number) for number in whole] == [type(number) for number in rules()]
    assert (whole.cooldown_s, whole.floor) == (15.0, 2)


def test_signal_is_the_largest_fraction_or_kv_cache_alone() -> None:
    assert r.signal_of(rules(), 0.2, 0.5, 0.4) == 0.5
    assert r.signal_of(rules(signal="kv_cache"), 0.2, 0.5, 0.4) == 0.2


@pytest.mark.parametrize(
    ("signals", "chosen"),
    [
        ([0.69, 0.10, 0.10], 0),  # the first region under the threshold, however idle the others
        ([0.70, 0.65, 0.10], 1),  # at the threshold is not under it
        ([0.95, 0.80, 0.85], 1),  # all over: the least loaded
    ],
)
def test_route_to_first_region_under_threshold_else_least_loaded(signals: list[float], chosen: int) -> None:
    assert pick(signals, [1, 1, 1], regions=[0, 1, 2], preference=[0, 1, 2]) == chosen


def test_a_pool_without_ready_replica_is_the_last_resort() -> None:
    assert pick([0.0, 0.99], [0, 1], regions=[0, 1], preference=[0, 1]) == 1
    assert pick([0.0, 0.0], [0, 0], regions=[0, 1], preference=[1, 0]) == 1


def test_a_silo_overflows_into_the_next_of_its_region_before_another_region() -> None:
    """Places 0 and 1 are the two silos of one region, 2 and 3 those of the other."""
    order = {"regions": [0, 1, 2, 3], "preference": [0, 1, 2, 3]}
    assert pick([0.69, 0.0, 0.0, 0.0], [1, 1, 1, 1], **order) == 0
    assert pick([0.71, 0.6, 0.0, 0.0], [1, 1, 1, 1], **order) == 1
    assert pick([0.71, 0.8, 0.6, 0.0], [1, 1, 1, 1], **order) == 2


def test_a_region_without_route_is_passed_over() -> None:
    assert pick([0.9, 0.1], [1, 1], regions=[0, 1], preference=[0, -1]) == 0
    assert pick([0.9, 0.1], [1, 1], regions=[0, 1], preference=[-1, -1]) == -1


def test_inside_a_region_the_least_loaded_pool_is_taken() -> None:
    assert pick([0.6, 0.3, 0.1], [1, 1, 1], regions=[0, 0, 1], preference=[0, 1]) == 1


@pytest.mark.parametrize(("signal", "released"), [(0.49, 2), (0.50, 1), (0.59, 1), (0.60, 0), (0.9, 0)])
def test_release_two_below_half_one_below_six_tenths(signal: float, released: int) -> None:
    assert r.released_per_signal(rules(), signal) == released


@pytest.mark.parametrize(
    ("silo", "signal", "released"),
    [
        (r.SHARED, 0.49, 2),
        (r.MIXED, 0.49, 2),  # kept free for bursts, filled meanwhile
        (r.MIXED, 0.60, 0),
        (r.INTERACTIVE, 0.0, 0),
        (r.DEFERRABLE, 0.84, 2),  # nobody to protect
        (r.DEFERRABLE, 0.85, 0),
    ],
)
def test_each_silo_takes_queued_work_up_to_its_own_level(silo: int, signal: float, released: int) -> None:
    assert r.released_from(rules(), silo, signal) == released
    assert (signal < r.release_until(rules(), silo)) == (released > 0)


def test_a_signal_that_rounds_to_a_threshold_is_decided_as_one_that_lies_on_it() -> None:
    numbers = rules()
    for one, another in ((0.6, math.nextafter(0.6, 0.0)), (0.5, math.nextafter(0.5, 0.0)), (0.6, 0.2 + 0.4)):
        assert r.released_from(numbers, r.SHARED, one) == r.released_from(numbers, r.SHARED, another)
    assert r.released_from(numbers, r.SHARED, 0.6 - 1e-6) == 1


def test_reactive_goes_out_over_070_and_in_under_030_down_to_the_floor() -> None:
    reactive = rules()
    assert step(reactive, signal=0.71) == 1
    assert step(reactive, signal=0.70) == 0
    assert step(reactive, signal=0.30) == 0
    assert step(reactive, signal=0.29) == -1
    assert step(reactive, signal=0.05, ready=2) == 0


def test_replicas_that_are_starting_count_before_more_are_started() -> None:
    assert step(rules(), signal=0.90, ready=5, starting=1) == 1  # 0.90 * 5 / 6 = 0.75
    assert step(rules(), signal=0.90, ready=5, starting=2) == 0  # 0.90 * 5 / 7 = 0.64


def test_paced_plan_spends_its_budget_only_on_demand() -> None:
    paced = rules(follow_plan="paced")
    assert step(paced, signal=0.75, budget=2) == 1
    assert step(paced, signal=0.75, budget=0) == 0
    assert step(paced, signal=0.60, budget=2) == 0
    assert step(paced, signal=0.20, budget=-1) == -1
    assert step(paced, signal=0.20, budget=0) == 0


def test_override_lifts_the_limit_only_late_in_the_hour_and_at_five_times_the_forecast() -> None:
    override = rules(follow_plan="paced_with_override")
    late, early = 41 * 60.0, 39 * 60.0
    assert step(override, signal=0.75, into=late, gap=5.0) == 1
    assert step(override, signal=0.75, into=late, gap=4.9) == 0
    assert step(override, signal=0.75, into=early, gap=5.0) == 0
    assert step(override, signal=0.65, into=late, gap=5.0) == 0
    assert step(override, signal=0.20, into=late, gap=0.5) == -1
    assert step(override, signal=0.20, into=late, gap=0.6) == 0


def test_an_unspent_budget_against_the_surprise_holds_the_override_back() -> None:
    """The plan still wants to take two away: five times the forecast lifts no limit upward before they are gone."""
    override = rules(follow_plan="paced_with_override")
    assert step(override, signal=0.75, into=2400.0, gap=9.0, budget=-2) == 0
    assert step(override, signal=0.20, into=2400.0, gap=0.1, budget=2) == 0


@pytest.mark.parametrize(("minute", "change"), [(39.99, 0), (40.0, 1), (59.99, 1)])
def test_the_override_begins_with_the_last_twenty_minutes(minute: float, change: int) -> None:
    assert step(rules(follow_plan="paced_with_override"), signal=0.75, into=60.0 * minute, gap=5.0) == change


def test_the_floor_counts_every_gpu_kind_and_comes_before_plan_and_signal() -> None:
    for follow in ("no", "paced", "paced_with_override"):
        policy = rules(follow_plan=follow)
        assert r.scaling_step(policy, 0.1, 1, 0, 1, 1, 0, 0.0, 1.0) == 1
        assert r.scaling_step(policy, 0.1, 1, 0, 1, 2, 0, 0.0, 1.0) == 0
        assert r.scaling_step(policy, 0.1, 1, 0, 3, 3, -1, 0.0, 1.0) == -1


def test_a_plan_carried_out_at_once_leaves_nothing_to_the_signal() -> None:
    at_once = rules(follow_plan="at_once")
    assert step(at_once, signal=0.99, budget=3) == 0
    assert step(at_once, signal=0.01, budget=-3) == 0


def test_gpus_come_from_the_nearest_source() -> None:
    assert r.acquire_kind(8, 8, 8, 8) == r.RECLAIM
    assert r.acquire_kind(8, 7, 1, 8) == r.SWAP  # sources are taken together, the slowest decides
    assert r.acquire_kind(8, 2, 2, 4) == r.REMOTE
    assert r.acquire_kind(8, 2, 2, 3) == r.REFUSED


def test_readiness_takes_one_minute_ten_minutes_or_two_hours() -> None:
    assert [r.readiness_s(rules(), kind) for kind in (r.RECLAIM, r.SWAP, r.REMOTE)] == [60.0, 600.0, 7200.0]


@settings(deadline=None)
@given(
    signal=st.floats(0, 1),
    ready=st.integers(0, 50),
    starting=st.integers(0, 50),
    budget=st.integers(-20, 20),
    into=st.floats(0, 3599),
    gap=st.floats(0, 20),
    follow=st.sampled_from(["no", "at_once", "paced", "paced_with_override"]),
)
def test_no_step_in_at_the_floor_and_none_against_the_signal(
    signal: float, ready: int, starting: int, budget: int, into: float, gap: float, follow: str
) -> None:
    policy = rules(follow_plan=follow)
    change = step(policy, signal=signal, ready=ready, starting=starting, budget=budget, into=into, gap=gap)
    assert change in (-1, 0, 1)
    if change == -1:
        assert ready > policy.floor
        assert signal < policy.in_below
    if change == 1:
        assert signal > policy.out_above or ready + starting < policy.floor or ready + starting == 0


@settings(deadline=None)
@given(
    signal=st.floats(0.0, 1.0),
    ready=st.integers(0, 20),
    starting=st.integers(0, 5),
    others=st.integers(0, 4),
    budget=st.integers(-3, 3),
    gap=st.floats(0.0, 10.0),
    plan=st.sampled_from(["no", "paced", "paced_with_override"]),
)
def test_between_the_signals_that_leave_a_pool_alone_no_rule_wants_a_change(
    signal: float, ready: int, starting: int, others: int, budget: int, gap: float, plan: str
) -> None:
    policy = rules(follow_plan=plan)
    group = ready + others, ready + starting + others
    low, high = r.calm_between(policy, ready, starting, *group, budget)
    if low <= signal <= high:
        assert r.scaling_step(policy, signal, ready, starting, *group, budget, 3000.0, gap) == 0
    if ready > 2 and signal > 0.71 * (1 + starting / ready):
        assert signal > high
