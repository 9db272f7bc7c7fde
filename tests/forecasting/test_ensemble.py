"""The weighted median and its weights against hand figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.forecasting import ensemble
from workbench.forecasting.leads import grid_of

HOURS = grid_of(3600.0)


def test_equal_weights_give_the_median() -> None:
    points = np.array([[5.0, 1.0], [1.0, 2.0], [3.0, 9.0]])
    assert ensemble.weighted_median(points, np.ones((3, 2))).tolist() == [3.0, 2.0]


def test_a_point_with_all_the_weight_is_the_median() -> None:
    points = np.array([[5.0], [1.0], [3.0]])
    assert ensemble.weighted_median(points, np.array([[1.0], [0.0], [0.0]])).item() == 5.0


def test_two_points_are_weighed_between_the_middles_of_their_weights() -> None:
    """Weights 3/4 and 1/4 of 0 and 8: middles 3/8 and 7/8, half lies a quarter of the way: 2."""
    assert ensemble.weighted_median(np.array([[0.0], [8.0]]), np.array([[0.75], [0.25]])).item() == pytest.approx(2.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.01, 1.0)), min_size=1, max_size=6))
def test_the_median_lies_among_the_points(pairs: list[tuple[float, float]]) -> None:
    points, weights = np.array(pairs).T[:, :, None]
    found = ensemble.weighted_median(points, weights).item()
    assert points.min() <= found <= points.max()


def test_the_grid_of_hours_and_days() -> None:
    """Hourly windows: one in the first bucket, hours 2-3, 4-6 and so on whole, twelve of each longer one."""
    assert HOURS.leads[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert HOURS.ends.tolist() == [1, 3, 6, 12, 24, 72, 168]
    assert np.bincount(HOURS.bucket).tolist() == [1, 2, 3, 6, 12, 12, 12]
    days = grid_of(86_400.0)
    assert days.leads.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert days.places.tolist() == [0, 5, 6]
    values = np.array([1.0, 3.0, 3.0])
    assert days.between(values, np.array([12.0, 30.0, 48.0, 999.0])) == pytest.approx([1.0, 2.0, 3.0, 3.0])


def test_losses_are_means_over_the_known_windows_of_a_bucket() -> None:
    realised = np.full((1, HOURS.leads.size), 2.0)
    realised[0, 1] = np.nan
    realised[0, 3:6] = np.nan
    points = np.full((1, 1, HOURS.leads.size), 5.0)
    found = ensemble.losses_of(points, realised, HOURS, levels=np.array([2.0]))[0, 0]
    assert found[[0, 1, 3]].tolist() == [1.5, 1.5, 1.5]
    assert np.isnan(found[2])


def test_the_level_of_an_origin_is_the_day_before_it_and_a_tenth_of_all() -> None:
    """A day at 2 and one at 4, then a gap: 2.2, 4.3 and, with nothing known of the last day, 3.3; never zero."""
    rates = np.concatenate([np.full(24, 2.0), np.full(24, 4.0), np.full(24, np.nan)])
    levels = ensemble.levels_of(rates, origins=np.array([24, 48, 72]), per_day=24)
    assert levels == pytest.approx([2.2, 4.3, 3.3])
    assert ensemble.levels_of(np.zeros(24), origins=np.array([0, 24]), per_day=24).tolist() == [1.0, 1.0]


def test_weights_follow_the_finished_forecasts_alone() -> None:
    """Expert 0 erred 1, expert 1 erred 2 at ten origins: after them it weighs more; before any ended, as the prior."""
    origins = np.arange(10)
    losses = np.broadcast_to(np.array([1.0, 2.0])[:, None, None], (2, 10, HOURS.buckets))
    prior = np.ones((2, HOURS.buckets))
    made = ensemble.weights_at(np.array([0, 10]), origins=origins, losses=losses, prior=prior, grid=HOURS)
    assert made[:, 0, :] == pytest.approx(0.5)
    assert (made[0, 1, :3] > 0.6).all()
    assert made[:, 1, 4:] == pytest.approx(0.5)
    assert made.sum(axis=0) == pytest.approx(1.0)
