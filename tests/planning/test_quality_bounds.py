"""The bounds beside the plans on real weeks, against a week of two loads worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.planning.planning_cases import BATCH, FAST
from tests.planning.quality_bounds import GAP_FRACTION, best_rule_usd, cheapest_usd
from tests.planning.quality_loop import USD_PER_HOUR, judged_hours
from tests.planning.quality_worlds import JUDGED_DAYS, SHARES, World

THETA = 100.0
LOW, HIGH = 6.0, 10.0


def alternating() -> World:
    """Three days of one model: an hour of 6 replicas' work, then one of 10 after its first ten minutes, and so on.

    The floor is two replicas in three regions, 6, so the low hour costs no less.
    """
    hours = np.concatenate([[LOW] * 6, [LOW, *[HIGH] * 5]])
    load = np.tile(hours, 12 * (JUDGED_DAYS + 1)) * THETA
    quiet = np.zeros_like(load)
    rates = {(region, "m", FAST.key): load if region == "east" else quiet for region in SHARES}
    return World(name="alternating", rates=rates | {(r, "m", BATCH.key): quiet for r in SHARES}, theta={"m": THETA})


def test_the_bound_follows_the_load() -> None:
    """24 hours of 6 and 24 of 10."""
    usd = 24 * (LOW + HIGH) * USD_PER_HOUR
    assert usd * (1 - GAP_FRACTION) <= cheapest_usd(alternating(), 0.0) <= usd * (1 + 1e-6)


def test_other_days_are_judged_where_the_record_is_cut() -> None:
    """The second of three days alone: half of what two days cost."""
    second = alternating().cut(2, 1)
    assert judged_hours(second) == range(24, 48)
    assert cheapest_usd(second, 0.0) == pytest.approx(12 * (LOW + HIGH) * USD_PER_HOUR, rel=GAP_FRACTION)


def test_a_nondecreasing_rule_of_the_last_hour_cannot_follow_a_load_that_turns() -> None:
    """After 6 comes 10, so it holds 10; after 10, where 6 would do, it may hold no less: 48 hours of 10."""
    last_hour = np.tile([HIGH, LOW], 12 * JUDGED_DAYS)
    usd = best_rule_usd(alternating(), 0.0, {"m": [last_hour]})
    assert usd == pytest.approx(48 * HIGH * USD_PER_HOUR)


def test_a_rule_of_a_forecast_that_is_right_reaches_the_bound() -> None:
    foreseen, last_hour = np.tile([LOW, HIGH], 12 * JUDGED_DAYS), np.tile([HIGH, LOW], 12 * JUDGED_DAYS)
    usd = best_rule_usd(alternating(), 0.0, {"m": [last_hour, foreseen]})
    assert usd == pytest.approx(24 * (LOW + HIGH) * USD_PER_HOUR)


def test_both_stay_at_the_floor_where_all_above_it_may_be_missed() -> None:
    """Of 6 x 6 + 6 + 5 x 10 = 92 in two hours 5 x 4 = 20 lie above the floor, 21.7 %."""
    world, last_hour = alternating(), np.tile([HIGH, LOW], 12 * JUDGED_DAYS)
    usd = 48 * LOW * USD_PER_HOUR
    assert best_rule_usd(world, 0.218, {"m": [last_hour]}) == pytest.approx(usd)
    assert cheapest_usd(world, 0.218) == pytest.approx(usd, rel=GAP_FRACTION)
    assert best_rule_usd(world, 0.217, {"m": [last_hour]}) > usd
