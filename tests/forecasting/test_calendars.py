"""What a calendar reads off a history, and its regressors, against hand figures."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from forecasting_cases import MONDAY, series

from workbench.forecasting import calendars
from workbench.forecasting.fits import Event
from workbench.forecasting.history import EPOCH


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([5.0, 5.1, 4.9, 1.0], True),
        ([5.0, 3.0, 4.0, 3.0], False),
        ([5.0, 5.1, 4.9, np.nan], False),
        ([5.0, 1.0], False),
    ],
)
def test_the_weekend_is_told_from_weekdays_by_three_spreads(levels: list[float], expected: bool) -> None:
    """The last day is a Saturday."""
    weekdays = np.arange(6 - len(levels), 6)
    assert calendars.has_weekend(np.array(levels), weekdays=weekdays) is expected


def test_days_are_counted_back_from_the_end_with_their_weekday() -> None:
    """Two and a half days up to Thursday midnight: Tuesday and Wednesday, half a Monday left out."""
    given = series([1.0] * 12 + [2.0] * 24 + [4.0] * 10 + [np.nan] * 14, as_of=MONDAY + timedelta(days=3))
    levels, weekdays = calendars.day_levels(given)
    assert weekdays.tolist() == [1, 2]
    assert np.exp(levels[0]) == pytest.approx(2.0, rel=0.02)
    assert np.isnan(levels[1])


def test_a_week_is_told_from_chance_by_three_of_them() -> None:
    rng = np.random.default_rng(3)
    weekdays = np.arange(21) % 7
    noise = rng.normal(0.0, 0.1, 21)
    assert not calendars.has_week(noise, weekdays=weekdays, split=False)
    assert calendars.has_week(noise + (weekdays == 2), weekdays=weekdays, split=False)
    assert not calendars.has_week((noise + (weekdays == 2))[:20], weekdays=weekdays[:20], split=False)
    assert not calendars.has_week(noise + (weekdays >= 5), weekdays=weekdays, split=True)


def test_waves_weekend_and_event_stand_side_by_side() -> None:
    """Friday 18:00 and Saturday 06:00: sine -1 on one side, 1 on the other; the event holds the second."""
    friday_s = (MONDAY + timedelta(days=4, hours=18) - EPOCH).total_seconds()
    instants_s = np.array([friday_s, friday_s + 12 * 3600.0])
    event = Event(name="x", start_s=instants_s[1], end_s=instants_s[1] + 1.0)
    calendar = calendars.Calendar(has_weekend=True, has_week=True, events=(event,))
    made = calendar.regressors(instants_s)
    assert made.shape == (2, 2 * 12 + 6 + 1 + 1)
    assert made[:, 0] == pytest.approx([-1.0, 0.0])
    assert made[:, 12] == pytest.approx([0.0, 1.0])
    assert made[:, -2:].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert calendars.weekdays_of(instants_s).tolist() == [4, 5]


def test_hours_are_means_of_what_is_known_and_whole_gaps_are_left_out() -> None:
    """Half hours 1 3, gap 5, gap gap: hours 2 and 5 at their middles."""
    nan = float("nan")
    given = series([1.0, 3.0, nan, 5.0, nan, nan], window_s=1800.0, as_of=MONDAY)
    instants_s, means = calendars.hourly(given, logs=given.rates)
    assert means.tolist() == [2.0, 5.0]
    end_s = (MONDAY - EPOCH).total_seconds()
    assert (instants_s - end_s).tolist() == [-2.5 * 3600, -1.5 * 3600]


def test_a_kind_of_day_is_unseen_until_a_fit_could_read_it() -> None:
    """Monday to Saturday 18:00, hours: on Saturday evening the fit still knows weekdays alone; by Sunday it has one."""
    evening = series([1.0] * (5 * 24 + 18), as_of=MONDAY + timedelta(days=5, hours=18))
    sunday = np.array([6 * 24 + 3])
    assert calendars.unseen_from(evening, np.array([evening.rates.size]), sunday).all()
    later = series([1.0] * (6 * 24 + 2), as_of=MONDAY + timedelta(days=6, hours=2))
    assert not calendars.unseen_from(later, np.array([later.rates.size]), sunday).any()
