"""workbench.traces.synthetic.rhythms: a rhythm keeps its means, bursts and growth do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import TraceError
from workbench.traces.synthetic.rhythms import WEEK_S, Burst, Noise, Rhythm, Spikes, growth_at, rhythm_of_means


def test_a_rhythm_is_straight_between_the_middles_of_its_slots() -> None:
    """Two slots of 10 s with middles at 5 and 15 s: 1 at 5 s, 3 at 15 s, and halfway in between at 10 s and at 0 s."""
    rhythm = Rhythm(period_s=20.0, relative=(1.0, 3.0))
    assert rhythm.at(np.array([5.0, 15.0, 10.0, 0.0, 25.0, -5.0])).tolist() == [1.0, 3.0, 2.0, 2.0, 1.0, 3.0]


def test_a_single_slot_is_flat() -> None:
    assert Rhythm(period_s=5.0, relative=(1.0,)).at(np.array([0.0, 3.0])).tolist() == [1.0, 1.0]


@settings(deadline=None)
@given(st.lists(st.floats(1.0, 2.0), min_size=3, max_size=48))
def test_the_mean_over_every_slot_is_the_one_asked_for(means: list[float]) -> None:
    period_s = 60.0 * len(means)
    rhythm = rhythm_of_means(means, period_s=period_s)
    relative = rhythm.at((np.arange(len(means) * 600) + 0.5) * 0.1).reshape(len(means), 600).mean(axis=1)
    assert relative == pytest.approx(np.array(means) / np.mean(means), rel=1e-3)
    assert np.mean(rhythm.relative) == pytest.approx(1.0)


def test_a_load_that_ends_suddenly_never_becomes_negative() -> None:
    rhythm = rhythm_of_means([4.0] * 10 + [0.0] * 20, period_s=30.0)
    assert min(rhythm.relative) == 0.0
    assert rhythm_of_means([0.0, 0.0], period_s=2.0).relative == (1.0,)


def test_a_burst_lasts_so_many_minutes_every_so_many_hours() -> None:
    burst = Burst(ratio=3.0, minutes=20.0, every_h=6.0, first_h=1.0)
    edges = np.array([0.0, 3600.0, 4700.0, 4800.0, 7 * 3600.0, 7 * 3600.0 + 1200.0, 8 * 3600.0])
    assert burst.between(edges).tolist() == [1.0, 3.0, 3.0, 1.0, 3.0, 1.0]


def test_bursts_begin_and_end_where_they_say() -> None:
    burst = Burst(ratio=4.0, minutes=1.5, every_h=1.0, first_h=0.5)
    assert sorted(burst.edges(0.0, 2 * 3600.0)) == [1800.0, 1890.0, 5400.0, 5490.0]
    assert sorted(burst.edges(1800.0, 1900.0)) == [1890.0]
    assert burst.edges(0.0, 1000.0).size == 0


@given(minutes=st.floats(0.05, 9.0), first_h=st.floats(0.0, 0.5))
def test_a_burst_of_part_of_a_minute_counts_for_that_part(minutes: float, first_h: float) -> None:
    """Twice the rate for some minutes, once: so many minutes more of the rate, wherever the steps of a minute lie."""
    burst = Burst(ratio=2.0, minutes=minutes, every_h=24.0, first_h=first_h)
    assert (burst.between(np.arange(0.0, 3660.0, 60.0)) - 1.0).sum() == pytest.approx(minutes, rel=1e-9)


def test_growth_is_compounded_week_by_week() -> None:
    assert growth_at(np.array([0.0, WEEK_S, 2 * WEEK_S]), 0.1).tolist() == pytest.approx([1.0, 1.1, 1.21])


def test_spikes_keep_the_mean() -> None:
    """12 spikes of 600 s a day cover 1/12 of it; at 4 times the rate the mean factor is 1 + 3/12."""
    assert Spikes(per_day=12.0, ratio=4.0, length_s=600.0).mean == pytest.approx(1.25)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rhythm(period_s=0.0, relative=(1.0,)),
        lambda: Rhythm(period_s=1.0, relative=(-1.0, 2.0)),
        lambda: Rhythm(period_s=1.0, relative=(float("nan"),)),
        lambda: Rhythm(period_s=1.0, relative=()),
        lambda: Burst(ratio=-1.0, minutes=1.0, every_h=1.0),
        lambda: Burst(ratio=2.0, minutes=61.0, every_h=1.0),
        lambda: Noise(dwell_s=7.0, cv=0.1),
        lambda: Noise(dwell_s=60.0, cv=-0.1),
    ],
)
def test_impossible_parts_are_refused(make) -> None:
    with pytest.raises(TraceError, match=r"needs|lasts"):
        make()


def test_random_bursts_come_once_in_every_stretch_and_at_other_times_of_it() -> None:
    """Two hours are left empty, then 40 stretches of 6 h hold 20 minutes of 3 times the rate each: 40 x 20 x 2 more."""
    burst = Burst(ratio=3.0, minutes=20.0, every_h=6.0, first_h=2.0, is_random=True, seed=7)
    minutes = np.arange(0.0, 242 * 3600.0 + 1.0, 60.0)
    extra = burst.between(minutes) - 1.0
    by_stretch = extra[120:].reshape(40, 360).sum(axis=1)
    assert not extra[:120].any()
    assert by_stretch == pytest.approx(np.full(40, 40.0))
    begins = burst.edges(0.0, 242 * 3600.0)[:40] - 7200.0
    assert len(set(np.round(begins % 21_600.0))) > 35
    assert np.all(begins % 21_600.0 <= 340 * 60.0)
    parts = [burst.between(minutes[first : first + 61]) for first in range(0, minutes.size - 1, 60)]
    assert np.concatenate(parts) == pytest.approx(extra + 1.0)
    other = Burst(ratio=3.0, minutes=20.0, every_h=6.0, first_h=2.0, is_random=True, seed=8)
    assert not np.allclose(other.between(minutes), extra + 1.0)
