"""What a model keeps ready is learned from hours that are over, against hours worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from planning_cases import START, TIERS, rates

from workbench import tables
from workbench.domain import RiskPolicy
from workbench.planning.requirement import Reserve, require
from workbench.planning.reserves import KEPT, LEAST_HOURS, PastHour, learn_reserves, past_hour
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
    needed = require(ahead, risk=RISK, tiers=TIERS, observed=known, reserves={"m": reserve})
    asked = needed.filter(~pl.col("is_deferrable")).get_column("input_tps").sum()
    assert past_hour(ahead, risk=RISK, tiers=TIERS, observed=known).needs["m"][rule] == pytest.approx(asked)


def test_windows_with_a_gap_of_the_source_teach_nothing() -> None:
    half = past_hour(foreseen([1.0, 1.0]), risk=RISK, tiers=TIERS, observed=seen([5, 5, 5, None]))
    assert half.came["m"].tolist() == [5.0]
    none = past_hour(foreseen([1.0, 1.0]), risk=RISK, tiers=TIERS, observed=seen([5, 5, None, None]))
    assert "m" not in none.came


@pytest.mark.parametrize(("ratio", "root_input_tps"), [(0.9, 0.0), (1.1, 25.0)])
def test_a_replica_more_is_kept_where_the_work_that_it_saves_is_dearer(ratio: float, root_input_tps: float) -> None:
    """Two replicas' work came and one was planned: 1 + ratio, or 2 with the least reserve that rounds up to two.

    That is half a replica by the root of one: root_input_tps = 0.5^2 x 100.
    """
    found = learn_reserves(hours([200.0] * 24), rates=SPEEDS, missed_cost_ratio=ratio)
    assert found == {"m": Reserve(root_input_tps=root_input_tps)}


def test_the_reserve_grows_with_the_root_where_large_loads_err_by_as_much_as_small_ones() -> None:
    """1 needed and 3 came, 16 and 24: a share of 0.5 covers the second alone, 2 by the root of the load both."""
    past = [*hours([300.0] * 24), *hours([2400.0] * 24, need=1600.0)]
    found = learn_reserves(past, rates=SPEEDS, missed_cost_ratio=20.0)
    assert found == {"m": Reserve(root_input_tps=400.0)}


@pytest.mark.parametrize(("half_life_h", "root_input_tps"), [(24.0, 0.0), (1e6, 25.0)])
def test_older_hours_count_for_less(half_life_h: float, root_input_tps: float) -> None:
    """A day with twice the need, then one without; a missed replica-hour costs 2.5.

    With a day's half-life the older day weighs half: 1 + (1 + 2.5) / 2 = 2.75 without, 2 + 2 / 2 = 3 with one more.
    Of equal weight they are 4.5 and 4.
    """
    past = hours([200.0] * 24 + [100.0] * 24)
    found = learn_reserves(past, rates=SPEEDS, missed_cost_ratio=2.5, half_life_h=half_life_h)
    assert found == {"m": Reserve(root_input_tps=root_input_tps)}


def test_too_few_hours_teach_nothing() -> None:
    assert learn_reserves(hours([200.0] * (LEAST_HOURS - 1)), rates=SPEEDS, missed_cost_ratio=10.0) == {}


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
    kept = learn_reserves(past, rates=SPEEDS, missed_cost_ratio=10.0)
    assert kept == {"m": Reserve(recent_peak_hours=3.0, recent_peak_fraction=0.8)}
    assert learn_reserves(past, rates=SPEEDS, missed_cost_ratio=0.1) == {"m": Reserve()}
