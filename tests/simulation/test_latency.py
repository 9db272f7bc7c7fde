"""workbench.simulation.latency: the distribution helpers against hand-worked cases, sampling and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.simulation import latency as la

NOWHERE = np.array([[[la.BINS, -1]]])


def laid_out(
    requests: float, location: float, scale: float, *, shift: float, bins: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    bins, touched = np.zeros((1, 1, 1, la.BINS)) if bins is None else bins, NOWHERE.copy()
    la.add_latencies(bins, touched, 0, 0, np.array([requests]), shift, location, scale)
    return bins, touched


def percentiles_of(bins: np.ndarray, touched: np.ndarray) -> np.ndarray:
    noted = np.full((1, 1, 1, 1, 3), np.nan)
    la.note_percentiles(bins, np.zeros(la.BINS), noted, 0, 0, 0, 0, touched[0, 0, 0], touched[0, 0, 1])
    return noted[0, 0, 0, 0]


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
    mean, variance, _, riding, left = la.ttft_moments(4.0, 1e-9, 0.08, 0.03, 2e-4, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 60.0)
    assert mean == pytest.approx(0.03 + 0.08, rel=1e-3)
    assert riding == pytest.approx(mean)
    assert variance == pytest.approx(0.0, abs=1e-3)
    assert left < 1e-3


@settings(deadline=None)
@given(fed=st.floats(0.0, 0.95), gaps=st.floats(0.1, 500.0))
def test_a_longer_iteration_carries_on_until_the_request_ends(fed: float, gaps: float) -> None:
    """Followed iteration by iteration: each feeds the next, and a request has one more gap with gaps / (1 + gaps)."""
    goes_on = gaps / (1.0 + gaps)
    added = sum((fed * goes_on) ** k for k in range(1, 400))
    assert gaps * la.carried_on(fed, gaps) == pytest.approx(added, rel=1e-6)


def test_company_of_a_pool_by_hand() -> None:
    # 4 replicas with half a prompt pending each: 2 in all, spread 6.6: (2 - 3 + sqrt(1 + 6.6)) / (2 + sqrt(4 + 6.6))
    assert la.company_left(4.0, 0.5, 1.0) == pytest.approx((-1.0 + math.sqrt(7.6)) / (2.0 + math.sqrt(10.6)))
    assert la.company_left(1.0, 0.5, 1.0) == 1.0
    assert la.company_left(7.0, 0.0, 1.0) == pytest.approx(0.0, abs=1e-9)


@settings(deadline=None)
@given(replicas=st.integers(2, 200), more=st.integers(1, 50), pending=st.floats(1e-6, 3), dispersion=st.floats(0, 20))
def test_more_replicas_leave_less_company_and_more_pending_prompts_more(
    replicas: int, more: int, pending: float, dispersion: float
) -> None:
    left = la.company_left(float(replicas), pending, dispersion)
    assert 0.0 <= left <= 1.0
    assert la.company_left(float(replicas), pending * 1.5, dispersion) >= left - 1e-9
    if pending <= 1.0:
        assert la.company_left(float(replicas + more), pending, dispersion) <= left + 1e-9


def test_an_arrival_waits_for_half_an_iteration_and_for_more_of_it_where_places_open_often() -> None:
    assert la.until_next(1.0, 5.0) == 0.5
    assert la.until_next(40.0, 1e-9) == pytest.approx(0.5)
    assert la.until_next(1e9, 1.0) == pytest.approx(1.0)
    for x in (0.5, 2.0, 4.0, 20.0):  # x places open in an iteration: 1 - 1/x + 1/(e^x - 1) of it is left
        left = 1.0 - 1.0 / x + 1.0 / math.expm1(x)
        assert la.until_next(2.0, x / la.EARLY) == pytest.approx(left, rel=0.02), x


@settings(deadline=None)
@given(
    low=st.floats(0.01, 0.8),
    extra=st.floats(0.001, 0.15),
    replicas=st.integers(1, 40),
    dispersion=st.floats(0.5, 8),
    noise_seen=st.floats(0.0, 1.0),
)
def test_more_load_never_shortens_the_wait(
    low: float, extra: float, replicas: int, dispersion: float, noise_seen: float
) -> None:
    def mean(share: float) -> float:
        n, rate = float(replicas), share / 0.08 * replicas
        return float(la.ttft_moments(n, rate, 0.08, 0.04, 2e-4, 10.0, 5.0, 2.0, 8.0, dispersion, noise_seen, 10.0)[0])

    assert mean(low + extra) >= mean(low) - 1e-12


def test_noise_that_the_load_shows_is_not_counted_again() -> None:
    def moments(n: float, noise_seen: float, window_s: float) -> tuple[float, float]:
        mean, variance, *_ = la.ttft_moments(n, n * 8.0, 0.08, 0.04, 0.0, 1e9, 0.0, 1.0, 1.0, 1.0, noise_seen, window_s)
        return mean, variance

    cycle = 0.04 / (1.0 - 0.64)
    # one replica whose load shows every arrival: it waits for half a cycle of one length, and rides with those of it
    mean, variance = moments(1.0, 1.0, 0.0)
    assert mean == pytest.approx(0.5 * cycle + 0.04 + 0.08 + 8.0 * cycle * 0.08)
    assert variance == pytest.approx(cycle * cycle / 12.0 + 0.08 * 0.08 * 8.0 * cycle)
    # half of it where a window is as long as two relaxations: the cycle's variance falls by half
    whole, half = moments(1.0, 0.0, 0.0)[0], moments(1.0, 1.0, 2.0 * cycle / (1.0 - 0.64))[0]
    assert half == pytest.approx(0.5 * (whole + mean))
    assert moments(1.0, 1.0, 1e9)[0] == pytest.approx(whole)
    # replicas beside each other: the more of the company the choice among them leaves, the more of it is the pool's
    for n in (2.0, 4.0, 12.0):
        assert moments(1.0, 1.0, 10.0)[0] / whole < moments(n, 1.0, 10.0)[0] / moments(n, 0.0, 10.0)[0] < 1.0


def test_lognormal_has_the_asked_moments(rng: np.random.Generator) -> None:
    # 0.1 + lognormal of scale 0.5: w = e^0.25, skewness (w + 2) sqrt(w - 1)
    grown = math.exp(0.25)
    third = (grown + 2.0) * math.sqrt(grown - 1.0) * 0.04**1.5
    shift, location, scale = la.lognormal_of(0.5, 0.04, third)
    assert scale == pytest.approx(0.5)
    sample = shift + rng.lognormal(location, scale, 400_000)
    assert sample.mean() == pytest.approx(0.5, rel=0.01)
    assert sample.var() == pytest.approx(0.04, rel=0.05)
    assert la.share_within(0.6, shift, location, scale) == pytest.approx((sample <= 0.6).mean(), abs=0.005)
    assert la.share_within(shift - 0.01, shift, location, scale) == 0.0


@settings(deadline=None)
@given(mean=st.floats(1e-3, 1e3), deviation=st.floats(0.0, 1e3), skewness=st.floats(-5.0, 30.0))
def test_lognormal_keeps_mean_and_variance_whatever_the_third_moment(
    mean: float, deviation: float, skewness: float
) -> None:
    shift, location, scale = la.lognormal_of(mean, deviation**2, skewness * deviation**3)
    above = math.exp(location + 0.5 * scale * scale)
    assert shift >= 0.0
    assert shift + above == pytest.approx(mean, rel=1e-6)
    if deviation > 1e-3 * mean:
        assert above * math.sqrt(math.expm1(scale * scale)) == pytest.approx(deviation, rel=1e-6)


def test_percentiles_of_binned_latencies_match_the_distribution(rng: np.random.Generator) -> None:
    location, scale = la.lognormal_of(0.45, 0.1, 0.0)[1:]
    bins, touched = laid_out(1000.0, location, scale, shift=0.07)
    assert bins.sum() == pytest.approx(1000.0)
    assert np.flatnonzero(bins[0, 0, 0])[[0, -1]].tolist() == touched[0, 0].tolist()
    sample = 0.07 + rng.lognormal(location, scale, 400_000)
    assert percentiles_of(bins, touched) == pytest.approx(np.quantile(sample, la.LEVELS), rel=0.06)


def test_percentiles_of_a_mixture_are_those_of_its_requests() -> None:
    # nine in ten take 0.2 s, one in ten 5 s: the median is of the first, P95 and P99 of the second
    bins, touched = laid_out(900.0, math.log(0.2), 0.0, shift=0.0)
    _, later = laid_out(100.0, math.log(5.0), 0.0, shift=0.0, bins=bins)
    touched[0, 0, 1] = later[0, 0, 1]
    assert percentiles_of(bins, touched) == pytest.approx([0.2, 5.0, 5.0], rel=la.BIN_RATIO - 1.0)


def test_percentiles_of_nothing_are_not_noted() -> None:
    assert np.isnan(percentiles_of(np.zeros((1, 1, 1, la.BINS)), NOWHERE)).all()


@settings(deadline=None)
@given(seconds=st.floats(1e-6, 1e8), shift=st.floats(0.0, 1e4))
def test_every_time_falls_into_its_bin(seconds: float, shift: float) -> None:
    bins, _ = laid_out(1.0, math.log(seconds), 0.0, shift=shift)
    place, whole = int(bins[0, 0, 0].argmax()), seconds + shift
    if la.BIN_LOW_S < whole < la.BIN_EDGES_S[-2]:  # an edge may be missed by the table's rounding, 2 % of a time
        assert la.BIN_EDGES_S[place] <= whole * 1.005
        assert whole <= la.BIN_EDGES_S[place + 1] * 1.005
    else:
        assert place == (0 if whole <= la.BIN_LOW_S else la.BINS - 1) or whole >= la.BIN_EDGES_S[-2]
