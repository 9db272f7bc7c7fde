"""Levels that move with misses: ranks and one step by hand, what forgets, and that nothing to come is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.forecasting import tracking
from workbench.forecasting.leads import grid_of

HOURS = grid_of(3600.0)
TENS = grid_of(600.0)


def known_until_now(made: np.ndarray) -> np.ndarray:
    """Blank what the last origin and those before it cannot know yet."""
    back = made.shape[0] - np.arange(made.shape[0])
    return np.where(HOURS.leads[None, :] < back[:, None], made, np.nan)


def test_the_first_error_is_ranked_by_the_prior_alone() -> None:
    """Laplace of .12, no hour known: at -.12 sqrt(1 + .5 / 6) half of 1 / e lies below, at nothing a half."""
    errors = np.full((1, HOURS.leads.size), np.nan)
    errors[0, 0] = -0.12 * np.sqrt(1 + 0.4 * 0.5 / 12)
    ranks = tracking.ranks_of(errors, grid=HOURS)
    assert ranks[0, 0] == pytest.approx(0.5 / np.e)
    assert np.isnan(ranks[0, 1:]).all()


def test_later_errors_are_ranked_by_those_known_by_then() -> None:
    """Forty hours at -.5 in the first hour, then nothing: it lies above 40 hours faded to 27.3, and half the prior."""
    errors = np.full((41, HOURS.leads.size), np.nan)
    errors[:40, 0], errors[40, 0] = -0.5, 0.0
    hours = sum(0.5 ** (age / 36) for age in range(1, 41))
    ranks = tracking.ranks_of(errors, grid=HOURS)
    assert ranks[40, 0] == pytest.approx((hours + 6) / (hours + 12), rel=1e-3)


def test_one_miss_and_one_hit_by_hand() -> None:
    """A miss on one of two sides moves the levels out by .3 x (.5 - .05), a hit in by .3 x .05; all fades."""
    errors = np.full((3, HOURS.leads.size), np.nan)
    errors[:2, 0] = 4.0, 0.0
    moves = tracking.moves_of(errors, grid=HOURS)[:, 0]
    fade = 0.5 ** (1 / 36)
    assert moves == pytest.approx([0.0, 0.135, 0.135 * fade - 0.015, (0.135 * fade - 0.015) * fade])


def test_longer_leads_move_in_smaller_steps() -> None:
    """The bucket of hours 13 to 24 is over after a day: a hit there moves by .3 x .05 / 24^.4."""
    errors = np.full((24, HOURS.leads.size), np.nan)
    mine = HOURS.bucket == 4
    errors[0, mine] = 0.0
    moves = tracking.moves_of(errors, grid=HOURS)[:, 4]
    assert moves[:24].tolist() == [0.0] * 24
    assert moves[24] == pytest.approx(-0.015 / 24**0.4)


def test_levels_keep_their_order_and_side() -> None:
    """Logit -2.94 of .05 stretched by 2 is that of 1 / (1 + 19^2)."""
    assert tracking.level_of(0.05, np.array([np.log(2.0)])) == pytest.approx([1 / 362])
    for move in (-1.0, 0.0, 1.0):
        levels = tracking.level_of(np.array([0.01, 0.1, 0.3, 0.5]), np.full(4, move))
        assert (np.diff(levels) > 0).all()
        assert levels[-1] == 0.5


def test_misses_widen_and_calm_narrows() -> None:
    """Errors of spread .05 for five days, then of .25 for two: levels go out; back to .02, they come in again."""
    rng = np.random.default_rng(3)
    scale = np.repeat([0.05, 0.25, 0.02], [120, 48, 96])
    errors = rng.normal(size=(264, HOURS.leads.size)) * scale[:, None]
    moves = tracking.moves_of(errors, grid=HOURS)[:, 0]
    assert moves[132:168].max() > moves[118] + 0.2
    assert moves[-1] < min(0.0, moves[168])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(30, 60))
def test_what_comes_later_changes_nothing_and_going_on_gives_the_same(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.standard_t(3, size=(72, HOURS.leads.size)) * 0.2
    errors[rng.random(errors.shape) < 0.1] = np.nan
    whole = tracking.moves_of(errors, grid=HOURS)
    past = tracking.moves_of(known_until_now(errors[:cut]), grid=HOURS)
    np.testing.assert_array_equal(whole[: cut + 1], past)
    np.testing.assert_array_equal(tracking.moves_of(errors, grid=HOURS, before=past), whole)
    assert np.abs(whole).max() <= tracking.LARGEST_MOVE


def test_short_windows_have_buckets_of_unlike_size() -> None:
    """Ten-minute windows: six leads in the first hour, twelve in the others."""
    errors = np.zeros((30, TENS.leads.size))
    moves = tracking.moves_of(errors, grid=TENS)
    assert moves.shape == (31, TENS.buckets)
    assert moves[-1, 0] < 0
