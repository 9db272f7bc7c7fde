"""workbench.simulation.latency: the distribution helpers against hand-worked cases, sampling and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.simulation import latency as la


def bins() -> np.ndarray:
    return np.zeros((1, 1, 1, la.BINS))


def test_points_carry_the_whole_distribution() -> None:
    assert la.POINT_WEIGHTS.sum() == pytest.approx(1.0)
    assert pytest.approx(0.0, abs=0.02) == la.POINT_WEIGHTS @ la.POINTS
    assert pytest.approx(1.0, abs=0.06) == la.POINT_WEIGHTS @ la.POINTS**2


def test_mean_below_a_limit_by_hand() -> None:
    below, above = la.mean_below(10.0, 4.0, 10.0)  # E[(X - mean)+] = deviation / sqrt(2 pi)
    assert below == pytest.approx(10.0 - 2.0 / math.sqrt(2.0 * math.pi))
    assert above == pytest.approx(0.5)
    assert la.mean_below(10.0, 0.0, 4.0) == (4.0, 1.0)
    assert la.mean_below(3.0, 0.0, 4.0) == (3.0, 0.0)


@settings(deadline=None)
@given(mean=st.floats(0, 1e4), variance=st.floats(0, 1e6), limit=st.floats(0.1, 1e4))
def test_mean_below_stays_inside_its_bounds(mean: float, variance: float, limit: float) -> None:
    below, above = la.mean_below(mean, variance, limit)
    assert 0.0 <= below <= mean
    assert below <= limit + 1e-9 * limit + 4.0 * math.sqrt(variance)
    assert 0.0 <= above <= 1.0


def test_an_idle_replica_answers_after_its_own_prompt() -> None:
    mean, variance = la.ttft_moments(4.0, 1e-9, 0.08, 0.03, 2e-4, 0.0, 0.0, 1.0, 1.0, 1.0)
    assert mean == pytest.approx(0.03 + 0.08, rel=1e-3)
    assert variance == pytest.approx(0.0, abs=1e-3)


@settings(deadline=None)
@given(
    low=st.floats(0.01, 0.8), extra=st.floats(0.001, 0.15), replicas=st.integers(1, 40), dispersion=st.floats(0.5, 8)
)
def test_more_load_never_shortens_the_wait(low: float, extra: float, replicas: int, dispersion: float) -> None:
    def mean(share: float) -> float:
        rate = share / 0.08 * replicas
        return float(la.ttft_moments(float(replicas), rate, 0.08, 0.04, 2e-4, 10.0, 5.0, 2.0, 8.0, dispersion)[0])

    assert mean(low + extra) >= mean(low) - 1e-12


def test_lognormal_has_the_asked_mean_and_variance(rng: np.random.Generator) -> None:
    location, scale = la.lognormal_of(0.5, 0.04, 0.1)
    sample = 0.1 + rng.lognormal(location, scale, 400_000)
    assert sample.mean() == pytest.approx(0.5, rel=0.01)
    assert sample.var() == pytest.approx(0.04, rel=0.05)
    assert la.share_within(0.6, 0.1, location, scale) == pytest.approx((sample <= 0.6).mean(), abs=0.005)
    assert la.share_within(0.05, 0.1, location, scale) == 0.0


def test_percentiles_of_binned_latencies_match_the_distribution(rng: np.random.Generator) -> None:
    location, scale = la.lognormal_of(0.5, 0.1, 0.05)
    counted = bins()
    la.add_latencies(counted, 0, 0, np.array([1000.0]), 0.02, 0.05, location, scale)
    assert counted.sum() == pytest.approx(1000.0)
    sample = 0.07 + rng.lognormal(location, scale, 400_000)
    for level in (0.50, 0.95, 0.99):
        assert la.percentile(counted, 0, 0, 0, level) == pytest.approx(np.quantile(sample, level), rel=0.06)


def test_percentile_of_nothing_is_nan() -> None:
    assert math.isnan(la.percentile(bins(), 0, 0, 0, 0.95))


@settings(deadline=None)
@given(seconds=st.floats(1e-6, 1e8))
def test_every_time_falls_into_its_bin(seconds: float) -> None:
    place = la.bin_of(seconds)
    assert 0 <= place < la.BINS
    if la.BIN_LOW_S < seconds < la.BIN_EDGES_S[-1]:
        assert la.BIN_EDGES_S[place] <= seconds * (1 + 1e-9)
        assert seconds <= la.BIN_EDGES_S[place + 1] * (1 + 1e-9)
