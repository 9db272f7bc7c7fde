"""workbench.traces.synthetic.published: the working week of a tier in a region's own time."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.traces.synthetic.laws import TIERS
from workbench.traces.synthetic.published import published, working_week

FAST, _, BATCH = TIERS
HOUR_S = 3600.0


def test_the_busiest_hour_is_local_midday_of_the_busiest_weekday() -> None:
    """Tuesday has the highest peak (22.5); 13:00 in the east is 18:00 UTC: hour 42 of the week."""
    rhythm = working_week(FAST, -5.0)
    at = np.arange(0, 7 * 24, 0.25) * HOUR_S
    assert at[np.argmax(rhythm.at(at))] / HOUR_S == pytest.approx(42.0, abs=0.5)
    midday, night = rhythm.at(np.array([42.0, 42.0 - 12.0]) * HOUR_S)
    assert midday / night == pytest.approx(22.5 / 6.0, rel=0.05)


def test_batch_is_flat_and_the_weekend_is_low() -> None:
    assert working_week(BATCH, -8.0).relative == (1.0,)
    rhythm = working_week(FAST, 0.0)
    weekday, saturday = rhythm.at(np.array([13.0, 5 * 24 + 13.0]) * HOUR_S)
    assert weekday / saturday == pytest.approx(21.0 / 3.2, rel=0.05)


def test_regions_elsewhere_have_their_own_midday() -> None:
    offsets = {"us_east": 0.0, "us_central": 6.0, "us_west": 12.0}
    rhythms = {s.region: s.rhythm for s in published(utc_offsets_h=offsets).streams if s.tier == FAST.key}
    assert rhythms["us_central"].at(np.array([24 + 7.0]) * HOUR_S) == pytest.approx(
        rhythms["us_east"].at(np.array([24 + 13.0]) * HOUR_S)
    )
