"""What a model keeps ready is learned from hours that are over, against hours worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import START, TIERS, rates

from workbench import tables
from workbench.domain import RiskPolicy
from workbench.planning import reserves as learning
from workbench.planning.peaks import Reserve
from workbench.planning.requirement import require
from workbench.planning.reserves import (
    HEADROOM_FRACTIONS,
    KEPT,
    LEAST_HOURS,
    ROOT_REPLICAS,
    PastHour,
    learn_reserves,
    past_hour,
)
from workbench.results import Forecast

RISK = RiskPolicy(quantile=0.5)
HOUR = timedelta(hours=1)
SPEEDS = rates({("m", "a100"): 100.0, ("m", "l40s"): 50.0})


def hours(came: Sequence[float], need: float = 100.0) -> list[PastHour]:
    """Return hours that all rules would have sized for a need, and what came, the same all hour."""
    return [
        PastHour(
            as_of=START + number * HOUR,
            needs={"m": np.full(len(KEPT), need)},
            came={"m": np.full(6, rate)},
        )
        for number, rate in enumerate(came)
    ]


def foreseen(values: Sequence[float]) -> Forecast:
    """Return medians for half hours from START on of two tiers that cannot wait, equal, and of one that can."""
    rows = [
        (START + index * HOUR / 2, "east", "m", tier, measure, 0.5, tps)
        for tier in ("fast", "normal", "batch")
        for index, tps in enumerate(values)
        for measure in ("input_tps", "output_tps")
    ]
    frame = tables.FORECAST.conform(pl.DataFrame(rows, schema=tables.FORECAST.schema, orient="row"))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=START, window_s=1800.0, method="test")


def seen(values: Sequence[float | None]) -> pl.DataFrame:
    """Return DEMAND of tokens/s in half hours that end an hour after START; None is a gap of the source.

    Two tiers ask for as much, one that cannot wait and one that can.
    """
    first = START + HOUR - len(values) * HOUR / 2
    rows = [
        (first + index * HOUR / 2, "east", "m", tier, *(3 * [None if tps is None else tps * 1800.0]))
        for index, tps in enumerate(values)
        for tier in ("fast", "batch")
    ]
    return tables.DEMAND.conform(pl.DataFrame(rows, schema=tables.DEMAND.schema, orient="row"))


def test_a_past_hour_holds_what_each_rule_would_have_asked_for() -> None:
    """Foreseen 2 x 30 at most; seen 100 two hours before, 70 in the last hour, of which a share is kept."""
    hour = past_hour(foreseen([20.0, 30.0, 900.0]), risk=RISK, tiers=TIERS, observed=seen([100, 0, 70, 10, 55, 65]))
    of_last_hour, of_more = [60.0, 60.0, 70.0], [60.0, 80.0, 100.0]
    assert hour.needs["m"] == pytest.approx([60.0, *of_last_hour, *of_more, *of_more])
    assert hour.came["m"].tolist() == [55.0, 65.0]


@pytest.mark.parametrize("rule", range(len(KEPT)))
def test_what_a_rule_would_have_asked_for_is_its_requirement(rule: int) -> None:
    ahead, known = foreseen([20.0, 30.0]), seen([90, 100, 0, 70, 10, 35, 55, 65])
    hours_kept, fraction = KEPT[rule]
    reserve = Reserve(recent_peak_hours=hours_kept, recent_peak_fraction=fraction)
    needed = require(ahead, risk=RISK, tiers=TIERS, observed=known, reserves={"m": (reserve,)})
    asked = needed.filter(~pl.col("is_deferrable")).get_column("input_tps").sum()
    assert past_hour(ahead, risk=RISK, tiers=TIERS, observed=known).needs["m"][rule] == pytest.approx(asked)


def test_windows_with_a_gap_of_the_source_teach_nothing() -> None:
    half = past_hour(foreseen([1.0, 1.0]), risk=RISK, tiers=TIERS, observed=seen([5, 5, 5, None]))
    assert half.came["m"].tolist() == [5.0]
    none = past_hour(foreseen([1.0, 1.0]), risk=RISK, tiers=TIERS, observed=seen([5, 5, None, None]))
    assert "m" not in none.came


def asked(rules: Sequence[Reserve], need: float) -> float:
    """Return what rules ask for where each sees the same need."""
    return sum(
        one.weight * (need * (1.0 + one.headroom_fraction) + math.sqrt(one.root_input_tps * need)) for one in rules
    )


def test_what_a_rule_cost_decides_how_much_say_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """24 times two replicas' work came and one was planned; a missed replica-hour costs 0.9.

    With nothing kept an hour costs 1.9, with a replica by the root 2: in all 24 x (2 / 1.9 - 1) hours' cost more, so
    that it has e^(-3 x 1.263) = 0.0226 of the other's say, and 0.0221 of both: so much of a replica is kept.
    """
    monkeypatch.setattr(learning, "CANDIDATES", ((0, 0.0, 0.0), (0, 0.0, 1.0)))
    (found,) = learn_reserves(hours([200.0] * 24), rates=SPEEDS, missed_cost_ratio=0.9, half_life_h=1e12)["m"]
    assert found == Reserve(root_input_tps=pytest.approx(0.0221**2 * 100.0, rel=0.01))


def test_rules_that_remember_unlike_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equally dear ones have equal say; one that is three times as dear has none."""
    monkeypatch.setattr(learning, "CANDIDATES", ((0, 0.0, 0.0), (0, 0.2, 0.0), (4, 0.0, 0.0), (4, 0.4, 4.0)))
    past = hours([100.0] * 24, need=80.0)
    found = learn_reserves(past, rates=SPEEDS, missed_cost_ratio=0.0)["m"]
    bare, remembering = sorted(found, key=lambda one: one.recent_peak_hours)
    assert bare == Reserve(weight=pytest.approx(2 / 3), headroom_fraction=pytest.approx(0.1))
    assert remembering == Reserve(
        weight=pytest.approx(1 / 3),
        headroom_fraction=pytest.approx(0.0, abs=1e-9),
        root_input_tps=pytest.approx(0.0, abs=1e-9),
        recent_peak_hours=KEPT[4][0],
        recent_peak_fraction=KEPT[4][1],
    )


def test_more_is_kept_where_the_work_that_it_saves_is_dearer() -> None:
    """Two replicas' work came where one was planned: not worth a tenth of a replica, and worth twenty."""
    cheap, dear = (learn_reserves(hours([200.0] * 48), rates=SPEEDS, missed_cost_ratio=r)["m"] for r in (0.1, 20.0))
    assert asked(cheap, 100.0) <= 100.0
    assert 100.0 < asked(dear, 100.0) <= 200.0


def test_the_reserve_grows_with_the_root_where_large_loads_err_by_as_much_as_small_ones() -> None:
    """1 needed and 3 came, 16 and 24: a share of 0.5 covers the second alone, 2 by the root of the load both."""
    past = [*hours([300.0] * 24), *hours([2400.0] * 24, need=1600.0)]
    found = learn_reserves(past, rates=SPEEDS, missed_cost_ratio=20.0)["m"]
    assert [math.ceil(asked(found, need) / 100.0) for need in (100.0, 1600.0)] == [3, 24]


def test_older_hours_count_for_less() -> None:
    """A day with twice the need, then one without."""
    past = hours([200.0] * 24 + [100.0] * 24)
    short, long = (
        learn_reserves(past, rates=SPEEDS, missed_cost_ratio=2.5, half_life_h=half_life_h)["m"]
        for half_life_h in (6.0, 1e6)
    )
    assert asked(short, 100.0) <= 100.0 < asked(long, 100.0)


def test_too_few_hours_teach_nothing() -> None:
    assert learn_reserves(hours([200.0] * (LEAST_HOURS - 1)), rates=SPEEDS, missed_cost_ratio=10.0) == {}


def test_for_a_model_that_nobody_asked_for_nothing_is_kept() -> None:
    found = learn_reserves(hours([0.0] * 24, need=0.0), rates=SPEEDS, missed_cost_ratio=10.0)
    assert found == {"m": (Reserve(),)}


def test_a_pause_that_ends_is_remembered_where_it_was_dear() -> None:
    """Of two days one had pauses: forecast and last hour said one replica, the last three hours three, three came.

    One that remembers holds 3 on that day and 1 on the other; the root of one that covers the 3 holds 3 on both.
    """
    needs = np.array([300.0 if kept == (3.0, 0.8) else 100.0 for kept in KEPT])
    paused = [
        PastHour(as_of=hour.as_of, needs={"m": needs}, came=hour.came)
        for hour in hours([300.0] * 24 + [100.0] * 24)[:24]
    ]
    past = [*paused, *hours([100.0] * 48)[24:]]
    dear, cheap = (learn_reserves(past, rates=SPEEDS, missed_cost_ratio=ratio)["m"] for ratio in (10.0, 0.1))
    assert (dear[0].recent_peak_hours, dear[0].recent_peak_fraction) == (3.0, 0.8)
    assert dear[0].weight > 0.9
    assert (
        1.0 - sum(one.weight for one in cheap if (one.recent_peak_hours, one.recent_peak_fraction) == (3.0, 0.8))
    ) > 0.8


@given(
    came=st.lists(st.floats(0.0, 2000.0), min_size=LEAST_HOURS, max_size=40),
    need=st.floats(0.0, 1500.0),
    ratio=st.floats(0.0, 100.0),
)
@settings(deadline=None, max_examples=25)
def test_weights_add_up_and_no_more_is_asked_for_than_some_rule_would(
    came: list[float], need: float, ratio: float
) -> None:
    rules = learn_reserves(hours(came, need=need), rates=SPEEDS, missed_cost_ratio=ratio)["m"]
    assert sum(one.weight for one in rules) == pytest.approx(1.0)
    most = need * (1.0 + max(HEADROOM_FRACTIONS)) + max(ROOT_REPLICAS) * math.sqrt(100.0 * need)
    assert need * (1.0 + min(HEADROOM_FRACTIONS)) * (1.0 - 1e-9) <= asked(rules, need) <= most * (1.0 + 1e-9)
