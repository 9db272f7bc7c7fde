"""Imbalance is a ratio of sums, and a shifted copy is found at its shift."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from workbench.features import regions

MONDAY = datetime(2025, 7, 7)


def wave(hours: int, *, later_h: int = 0, size: float = 1.0) -> list[float | None]:
    return [size * (2 + math.sin(2 * math.pi * (i - later_h) / 24) + 0.3 * math.sin(i - later_h)) for i in range(hours)]


def test_imbalance_is_the_busiest_over_the_quietest() -> None:
    """Model a: 8 against 2; the third window is unknown in the west and counts for neither."""
    demand = load({"east a t": [2, 6, 90], "west a t": [2, 0, None], "east b t": [1, 1, 1], "west b t": [0, 0, 0]})
    first, second = regions.regional_imbalance(demand, "model").to_dicts()
    assert (first["busiest"], first["quietest"], first["busiest_to_quietest_ratio"]) == ("east", "west", 4.0)
    assert (first["busiest_fraction"], first["regions"]) == (0.8, 2)
    assert 0.5 <= first["busiest_p05_fraction"] <= first["busiest_p95_fraction"] <= 1.0
    assert (second["busiest_to_quietest_ratio"], second["busiest_fraction"]) == (None, 1.0)
    (whole,) = regions.regional_imbalance(demand).to_dicts()
    assert whole["busiest_to_quietest_ratio"] == 5.0


@settings(deadline=None, max_examples=15)
@given(later_h=st.integers(-11, 11), size=st.floats(0.01, 0.9))
def test_a_copy_runs_behind_by_its_shift(later_h: int, size: float) -> None:
    demand = load({"east m t": wave(96), "west m t": wave(96, later_h=later_h, size=size)}, start=MONDAY)
    lags = {row["region"]: row for row in regions.regional_lags(demand).to_dicts()}
    assert lags["west"]["reference"] == "east"
    assert lags["west"]["lag_h"] == later_h
    assert lags["west"]["correlation"] == pytest.approx(1.0)
    assert lags["east"]["lag_h"] == 0.0


def test_lags_live_with_holes_and_say_nothing_of_a_constant() -> None:
    holed = [None if i % 5 == 0 else value for i, value in enumerate(wave(96, later_h=3))]
    demand = load({"east m t": wave(96, size=2.0), "west m t": holed, "north m t": [1.0] * 96}, start=MONDAY)
    lags = {row["region"]: row for row in regions.regional_lags(demand).to_dicts()}
    assert lags["west"]["lag_h"] == 3.0
    assert lags["north"]["lag_h"] is None
    short = regions.regional_lags(load({"east m t": wave(20), "west m t": wave(20)}, start=MONDAY))
    assert short["lag_h"].null_count() == 2


def test_short_windows_are_shifted_by_steps_of_five_minutes() -> None:
    """Windows of 10 s over half a day: the copy runs 40 minutes behind, and lags are tried in steps of 5 minutes."""
    wave = [2.0 + math.sin(2 * math.pi * i / 4320) for i in range(4320)]
    demand = load({"east m t": wave, "west m t": [*wave[-240:], *wave[:-240]]}, step_s=10)
    found = {row["region"]: row for row in regions.regional_lags(demand).to_dicts()}
    other = found["west" if found["east"]["reference"] == "east" else "east"]
    assert abs(other["lag_h"]) == pytest.approx(40 / 60)
