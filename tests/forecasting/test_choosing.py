"""Which method a series gets, whose shape a young one borrows, and that each choice is told.

Bounds in :mod:`test_hard_series`; here only who is chosen.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, daily, series

from workbench.forecasting import choosing, siblings
from workbench.forecasting.history import Series

THURSDAY = MONDAY + timedelta(days=3)


def named(region: str, model: str, tier: str, *, hours: int = 72, measure: str = "rps") -> Series:
    given = series(daily(3)[:hours], as_of=THURSDAY)
    return replace(given, region=region, model=model, tier=tier, measure=measure)


YOUNG = named("east", "m", "fast", hours=5)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([named("west", "m", "fast"), named("east", "m", "slow")], ("east", "m", "slow")),
        ([named("east", "n", "fast"), named("west", "m", "fast")], ("west", "m", "fast")),
        ([named("east", "n", "fast"), named("east", "k", "fast", hours=60)], ("east", "n", "fast")),
        ([named("east", "n", "fast"), named("east", "k", "fast")], ("east", "k", "fast")),
    ],
    ids=["another tier", "another region", "the longer history", "the first by key"],
)
def test_the_nearest_kin_lends_its_shape(others: list[Series], expected: tuple[str, ...]) -> None:
    chosen = choosing.choose(YOUNG, [YOUNG, *others], method="ensemble")
    assert chosen.method == choosing.BORROWED
    assert f"its daily shape is that of {', '.join(expected)}" in chosen.note
    found = siblings.sibling_of(YOUNG, others, least_days=2.0)
    assert found is not None
    assert found.key[:3] == expected


@pytest.mark.parametrize(
    "others",
    [
        [],
        [named("west", "n", "fast")],
        [named("east", "m", "slow", hours=40)],
        [named("east", "m", "slow", measure="input_tps")],
        [replace(named("east", "m", "slow"), rates=np.full(72, 3.0))],
    ],
    ids=["nobody", "no kin", "too young", "another measure", "flat"],
)
def test_without_kin_the_last_value_stands(others: list[Series]) -> None:
    chosen = choosing.choose(YOUNG, others, method="prophet")
    assert (chosen.method, chosen.note) == (
        "last_value",
        "0.21 days of history (5 known windows), prophet needs 2 days",
    )


def test_methods_that_need_nothing_are_never_replaced() -> None:
    for method in ("last_value", "moving_average"):
        assert choosing.choose(YOUNG, [named("east", "m", "slow")], method=method).method == method


def test_a_day_of_silence_is_told() -> None:
    """Three days known, then 30 hours of nothing: forecast as if it went on, and said so; 20 hours are no news."""
    rates = np.array(daily(5)[:102])
    rates[72:] = np.nan
    quiet = series(rates.tolist(), as_of=MONDAY + timedelta(hours=102))
    assert "nothing is known of the last 30 hours" in choosing.choose(quiet, [], method="ensemble").note
    assert choosing.choose(quiet.until(92), [], method="ensemble").note == ""


def test_a_series_that_only_moved_today_has_nothing_to_fit() -> None:
    """Flat to midnight, waves since: a fit reads to midnight, so seasonal naive takes over."""
    given = series([2.0] * 72 + [3.0, 4.0, 5.0], as_of=THURSDAY + timedelta(hours=3))
    chosen = choosing.choose(given, [], method="prophet")
    assert chosen.method == "seasonal_naive"
    assert "by the last midnight" in chosen.note
