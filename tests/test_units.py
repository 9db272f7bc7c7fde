"""Conversions by hand, and seeds that must never change: saved studies are reproduced from them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import units


def test_constants_agree_with_each_other() -> None:
    assert units.SECONDS_PER_HOUR == 60 * units.SECONDS_PER_MINUTE == 3600
    assert units.SECONDS_PER_DAY == units.HOURS_PER_DAY * units.SECONDS_PER_HOUR == 86_400
    assert units.BYTES_PER_GB == 1e9


def test_ms_to_s() -> None:
    assert units.ms_to_s(1500) == 1.5


def test_instants_and_seconds_are_inverse() -> None:
    start = datetime(2026, 2, 28, 23, 59, 30)
    end = units.after(start, 90.5)
    assert end == datetime(2026, 3, 1, 0, 1, 0, 500_000)
    assert units.seconds_between(start, end) == 90.5
    assert units.seconds_between(end, start) == -90.5


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), 8333924190356522945),
        (("arrivals",), 697259487703431535),
        (("arrivals", "llama31_8b"), 1845925830230283347),
        (("forecast", "us_east", "llama31_8b", "interactive_fast", "input_tps"), 2834982123070457747),
    ],
)
def test_seed_for_gives_the_values_that_saved_studies_rest_on(names: tuple[str, ...], expected: int) -> None:
    assert units.seed_for(7, *names) == expected


def test_names_are_not_run_together() -> None:
    assert units.seed_for(7, "ab", "c") != units.seed_for(7, "a", "bc")
    assert units.seed_for(7, "a") != units.seed_for(8, "a")


@settings(deadline=None)
@given(st.integers(), st.lists(st.text(max_size=5), max_size=4))
def test_every_seed_is_one_that_numpy_takes(seed: int, names: list[str]) -> None:
    derived = units.seed_for(seed, *names)
    assert 0 <= derived < 2**63
    assert derived == units.seed_for(seed, *names)
