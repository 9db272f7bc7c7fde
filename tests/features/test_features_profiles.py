"""Profiles put hours where they belong and do not change with the size of the load."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from workbench.features import profiles

MONDAY = datetime(2025, 7, 7)


def test_profiles_put_hours_where_they_belong() -> None:
    """A fortnight from Monday: hour h has h requests/s on weekdays, half of it at weekends."""
    values = [3600.0 * (i % 24) * (0.5 if i // 24 % 7 >= 5 else 1.0) for i in range(24 * 14)]
    demand = load({"r m t": values}, start=MONDAY)
    day = profiles.diurnal_profile(demand, "model")
    assert day.height == 48
    assert day.filter(day_type="weekday", hour=6)["rps_mean"].to_list() == [6.0]
    assert day.filter(day_type="weekend", hour=6)["rps_mean"].to_list() == [3.0]
    week = profiles.weekly_profile(demand)
    assert week.height == 168
    assert week.filter(weekday=7, hour=23)["rps_mean"].to_list() == [11.5]
    assert week["relative_to_mean_ratio"].mean() == pytest.approx(1.0)


def test_no_load_has_no_shape() -> None:
    assert profiles.diurnal_profile(load({"r m t": [0.0] * 24}))["relative_to_mean_ratio"].null_count() == 24


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(1, 1e6), min_size=24, max_size=72), scale=st.floats(0.1, 100))
def test_a_load_twice_as_large_has_the_same_shape_in_any_order_of_rows(values: list[float], scale: float) -> None:
    small = profiles.diurnal_profile(load({"r m t": values}), "tier")
    large = profiles.diurnal_profile(load({"r m t": [scale * v for v in values]}).reverse(), "tier")
    assert large["relative_to_mean_ratio"].to_list() == pytest.approx(small["relative_to_mean_ratio"].to_list())
