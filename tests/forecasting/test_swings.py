"""Swings: the size of the last errors over that of the last days, by hand, and that nothing to come is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.forecasting.leads import grid_of
from workbench.forecasting.swings import LARGEST_SWING, evened, swings_of

HOURS = grid_of(3600.0)


def first_hour(sizes: list[float]) -> np.ndarray:
    """Return hourly origins with these errors in the first hour, and nothing known of other leads."""
    errors = np.full((len(sizes), HOURS.leads.size), np.nan)
    errors[:, 0] = sizes
    return errors


def test_nothing_known_is_no_swing() -> None:
    assert swings_of(np.empty((0, HOURS.leads.size)), grid=HOURS).tolist() == [[1.0] * HOURS.buckets]


def test_one_error_by_hand() -> None:
    """An error of .3 after nothing, a lead of .5 h: an hour old it counts 2^(-1/36) among 12 hours of .12 and
    2^(-1/6.25) among the 3 hours of belief.
    """
    slow, quick = 2 ** (-1 / 36), 2 ** (-1 / 6.25)
    usual = (12 * 0.12 + slow * 0.3) / (12 + slow)  # the prior is a ceiling of its own: it stays .12
    wanted = (quick * 0.3 + 3 * usual) / (quick + 3) / usual
    swings = swings_of(first_hour([0.3]), grid=HOURS)
    assert swings[0].tolist() == [1.0] * HOURS.buckets
    assert swings[1, 0] == pytest.approx(wanted)
    assert swings[1, 1:].tolist() == [1.0] * (HOURS.buckets - 1)


def test_unrest_widens_within_hours_and_calm_narrows() -> None:
    """Two days of .05, six hours of .3, a day of .05: half as wide again in between, back under 1 after it."""
    swings = swings_of(first_hour([0.05] * 48 + [0.3] * 6 + [0.05] * 24), grid=HOURS)[:, 0]
    assert 0.8 < swings[48] < 1.0
    assert swings[54] > 1.5
    assert swings[78] < 0.9


def test_an_error_is_told_in_units_of_the_swing_at_its_origin() -> None:
    errors = first_hour([0.1, -0.2])
    swings = np.tile(np.array([[2.0], [4.0], [8.0]]), (1, HOURS.buckets))
    assert evened(errors, swings, grid=HOURS)[:, 0].tolist() == [0.05, -0.05]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 60))
def test_what_comes_later_changes_nothing(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.standard_t(2, size=(72, HOURS.leads.size))
    errors[rng.random(errors.shape) < 0.1] = np.nan
    back = cut - np.arange(cut)
    then = np.where(HOURS.leads[None, :] < back[:, None], errors[:cut], np.nan)
    whole = swings_of(errors, grid=HOURS)
    np.testing.assert_array_equal(swings_of(then, grid=HOURS), whole[: cut + 1])
    assert whole.min() >= 1.0 / LARGEST_SWING
    assert whole.max() <= LARGEST_SWING
