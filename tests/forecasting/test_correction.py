"""The correction by the last hours against hand figures."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.forecasting import correction
from workbench.forecasting.correction import Means


def test_means_leave_gaps_out() -> None:
    nan = float("nan")
    means = Means.of(np.array([1.0, nan, 3.0, nan]))
    found = means.over(np.array([-5, 0, 1, 3]), np.array([1, 3, 2, 4]))
    assert found[:2].tolist() == [1.0, 2.0]
    assert np.isnan(found[2:]).all()


def test_each_span_is_its_mean_and_steps_over_gaps() -> None:
    """Six windows of ten minutes an hour: the last is 6, the hour 3.5, all before it 0, so three hours 3.5 / 3."""
    residuals = np.array([0.0] * 138 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    found = correction.recent(residuals, origins=np.array([144]), window_s=600.0)[0]
    assert found == pytest.approx([6.0, 3.5, 21 / 18, 21 / 144])
    holed = np.concatenate([residuals[:-1], [np.nan]])
    assert correction.recent(holed, origins=np.array([144]), window_s=600.0)[0, :2] == pytest.approx([5.0, 15 / 6])
    gone = correction.recent(np.full(5, np.nan), origins=np.array([5]), window_s=600.0, otherwise=0.3)
    assert gone.tolist() == [[0.3] * 4]


def test_weights_fade_from_the_newest_to_the_day() -> None:
    """At once half is the last ten minutes and the rest the hour; two days on it is the day, at 1/e."""
    made = correction.fading(np.array([0.0, 48.0]))
    assert made[0] == pytest.approx([0.5, 0.5, 0.0, 0.0])
    assert made[1] == pytest.approx([0.0, 0.0, 0.0, np.exp(-1.0)], abs=1e-3)


def test_a_level_that_settles_fades_and_one_that_does_not_stays() -> None:
    residuals = np.full(30, 0.4)
    given = {"origins": np.array([30]), "leads": np.array([0, 999]), "window_s": 3600.0}
    settled = correction.corrected(residuals, settles=True, **given)[0]
    assert settled == pytest.approx([0.4, 0.0], abs=0.01)
    assert correction.corrected(residuals, settles=False, **given)[0] == pytest.approx([0.4, 0.4])


def test_of_the_day_only_its_share_counts() -> None:
    """A day of .4, two days on, when all else has faded: .4 / e of it whole, half of that at a share of a half."""
    given = {"origins": np.array([30]), "leads": np.array([47]), "window_s": 3600.0, "settles": True}
    whole, half = (correction.corrected(np.full(30, 0.4), daily_share=share, **given)[0, 0] for share in (1.0, 0.5))
    assert whole == pytest.approx(0.4 * np.exp(-47.5 / 48), rel=1e-3)
    assert half == pytest.approx(whole / 2, rel=1e-2)
