"""workbench.traces.synthetic.fitted_rates: slots, level, rhythm and growth, hand-solved; gaps are no zeros."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.traces.synthetic.fitting_cases import kept, requests_at, series_of
from workbench.traces import open_store
from workbench.traces.store import Store
from workbench.traces.synthetic.fitted_rates import counted, grid_of, growth_of, rhythms_of

START = datetime(2025, 1, 6)
HERE = ("here", "m", "t")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "traces.duckdb") as opened:
        yield opened


@pytest.mark.parametrize(
    ("hours", "native_s", "slot_s", "period_slots"),
    [
        (14 * 24, None, 3600.0, 168),
        (7 * 24, None, 3600.0, 168),
        (3 * 24, None, 3600.0, 72),
        (24, 600.0, 3600.0, 24),
        (7, None, 3600.0, 7),
        (2, None, 600.0, 12),
        (0.9, None, 60.0, 54),
        (48, 7200.0, 7200.0, 24),
    ],
)
def test_slots_are_as_long_as_the_trace_allows(
    hours: float, native_s: float | None, slot_s: float, period_slots: int
) -> None:
    grid = grid_of(START, START + timedelta(hours=hours), native_s=native_s)
    assert (grid.slot_s, grid.period_slots) == (slot_s, period_slots)


def test_level_and_rhythm_of_a_day_with_a_busy_half(store: Store) -> None:
    """2,000 requests an hour for 12 h, then 1,000: 5/6 per second on average... 1,500 / 3,600 s; 4/3 and 2/3 of it."""
    trace = kept(store, series_of([2000.0] * 12 + [1000.0] * 12, 3600.0))
    end = START + timedelta(days=1)
    counts = counted(store, trace, grid_of(START, end, native_s=3600.0), since=START, until=end)
    rps, rhythm = rhythms_of(counts, growth_per_week=0.0)[HERE]
    assert rps == pytest.approx(1500 / 3600, rel=1e-3)
    hours = rhythm.at(np.array([6.5, 18.5]) * 3600.0)
    assert hours == pytest.approx([4 / 3, 2 / 3], rel=0.01)


def test_unknown_windows_are_no_zeros(store: Store) -> None:
    trace = kept(store, series_of([600.0] * 5 + [None] * 5 + [600.0] * 14, 3600.0))
    end = START + timedelta(days=1)
    counts = counted(store, trace, grid_of(START, end, native_s=3600.0), since=START, until=end)
    rps, rhythm = rhythms_of(counts, growth_per_week=0.0)[HERE]
    assert counts.known_s.sum() == 19 * 3600
    assert rps == pytest.approx(600 / 3600, rel=1e-3)
    assert rhythm.relative == pytest.approx([1.0] * 24, rel=0.02)


def test_growth_is_the_ratio_of_whole_weeks(store: Store) -> None:
    """Three weeks of 100, 120 and 144 an hour: a fifth per week, and 100 / 3,600 s at the start of the trace."""
    weeks = [100.0 * 1.2**week for week in range(3) for _ in range(168)]
    trace = kept(store, series_of(weeks, 3600.0))
    end = START + timedelta(days=21)
    counts = counted(store, trace, grid_of(START, end, native_s=3600.0), since=START, until=end)
    assert growth_of(counts) == pytest.approx(0.2)
    rps, _ = rhythms_of(counts, growth_per_week=0.2)[HERE]
    grown = rps * 3600 * sum(1.2 ** ((hour + 0.5) / 168) for hour in range(504))
    assert grown == pytest.approx(sum(weeks), rel=0.01)


def test_a_thin_series_leans_on_the_others_of_its_region_and_tier(store: Store) -> None:
    """Of 48 requests of the thin model none came in the busy hour of the thick one, yet it is expected then."""
    thick = [hour * 3600 + i for hour in range(24) for i in range(1000 if hour == 9 else 100)]
    thin = [hour * 3600 + 1 + i for hour in range(24) if hour != 9 for i in range(2)]
    models = ["thick"] * len(thick) + ["thin"] * len(thin)
    trace = kept(store, requests_at([*thick, *thin], model=models))
    end = START + timedelta(days=1)
    counts = counted(store, trace, grid_of(START, end, native_s=None), since=START, until=end)
    rhythms = rhythms_of(counts, growth_per_week=0.0)
    at = np.array([9.0, 15.0])[:, None] * 3600.0 + np.arange(5.0, 3600.0, 10.0)
    busy, calm = rhythms["here", "thin", "t"][1].at(at).mean(axis=1)
    assert 1.5 < busy / calm < 10
    busy, calm = rhythms["here", "thick", "t"][1].at(at).mean(axis=1)
    assert busy / calm == pytest.approx(10, rel=0.05)
