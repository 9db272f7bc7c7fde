"""Time to first token of a pool: the gated-cycle formula, its distribution, and the bins it is counted in.

An arrival waits for the running iteration to end and rides in the next one with everybody who came meanwhile
(simulation.md section 3, "TTFT"). Mean and variance of that time are closed forms; the distribution is taken as a
lognormal above the iteration time. Latencies of many windows are counted in fixed logarithmic bins, so a percentile
over a day is that of the request-weighted mixture and never a mean of percentiles.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.compiling import kernel

HERDING = 2.85  # the one fitted constant of the formula: how far shortest-queue routing evens out n replicas
BIN_LOW_S = 1e-3
BIN_HIGH_S = 1e6
BIN_RATIO = 1.04
BINS = math.ceil(math.log(BIN_HIGH_S / BIN_LOW_S) / math.log(BIN_RATIO))
BIN_EDGES_S: NDArray[np.float64] = BIN_LOW_S * np.power(BIN_RATIO, np.arange(BINS + 1, dtype=np.float64))
UNSERVED_S = BIN_HIGH_S * 0.99

# points of the standard normal that carry a latency distribution into the bins: dense in the upper tail
_LEVEL_EDGES: NDArray[np.float64] = np.concatenate(
    [
        np.linspace(0.0, 0.9, 19),
        np.linspace(0.9, 0.98, 17)[1:],
        np.linspace(0.98, 0.996, 17)[1:],
        np.array([0.998, 0.999, 0.9995, 1.0]),
    ]
)
POINT_WEIGHTS: NDArray[np.float64] = np.diff(_LEVEL_EDGES)


def _normal_quantile(level: float) -> float:
    low, high = -9.0, 9.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2.0)) < level else (low, middle)
    return 0.5 * (low + high)


POINTS: NDArray[np.float64] = np.array(
    [_normal_quantile(0.5 * (low + high)) for low, high in pairwise(_LEVEL_EDGES.tolist())]
)


@kernel
def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@kernel
def mean_below(mean: float, variance: float, limit: float) -> tuple[float, float]:
    """Return E[min(X, limit)] and P(X > limit) of a normal X, the mean kept inside [0, mean]."""
    if variance <= 1e-12:
        return min(mean, limit), 1.0 if mean > limit else 0.0
    deviation = math.sqrt(variance)
    z = (mean - limit) / deviation
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    above = normal_cdf(z)
    excess = deviation * (density + z * above)
    return min(max(mean - excess, 0.0), mean), above


@kernel
def ttft_moments(
    replicas: float,
    admitted_rps: float,
    prompt_s: float,
    iteration_s: float,
    decode_slope_s: float,
    running: float,
    variance: float,
    square_ratio: float,
    cube_ratio: float,
    dispersion: float,
) -> tuple[float, float]:
    """Return mean and variance of the time to first token inside a pool, waiting for a slot not included.

    ``prompt_s`` is the mean prompt's marginal time in an iteration (b E[P]), ``iteration_s`` the iteration without
    prompts, ``decode_slope_s`` its growth per running request and replica, ``variance`` that of the requests in the
    pool. With an empty replica nothing has to end first, so the residual cycle counts only when something runs.
    """
    rate = admitted_rps / replicas
    share = min(rate * prompt_s, 0.98)
    even = 1.0 / (1.0 + HERDING * (1.0 - 1.0 / replicas))
    clumping = 1.0 + (dispersion - 1.0) / replicas
    cycle = iteration_s / (1.0 - share)
    cycle_variance = even * prompt_s**2 * rate * cycle * max(square_ratio - 1.0 + clumping, 0.0) / (1.0 - share * share)
    seen = cycle + cycle_variance / cycle
    third = even * (
        prompt_s**3 * rate * cube_ratio * cycle + 3.0 * share * prompt_s**2 * rate * square_ratio * cycle_variance
    )
    seen_square = third / (1.0 - share**3) / cycle + 3.0 * cycle_variance + cycle * cycle
    busy = 1.0 - math.exp(-running / replicas)
    others = max(rate * seen + clumping - 1.0, 0.0)
    mean = busy * 0.5 * seen + iteration_s + prompt_s + others * prompt_s
    spread = (0.5 + share) ** 2 * max(seen_square - seen * seen, 0.0) + busy * seen_square / 12.0
    spread += others * prompt_s**2 * max(square_ratio - 1.0 + clumping, 0.0) + prompt_s**2 * (square_ratio - 1.0)
    slow = (mean - prompt_s) / iteration_s * decode_slope_s / replicas
    return mean, spread + slow * slow * variance


@kernel
def lognormal_of(mean: float, variance: float, shift: float) -> tuple[float, float]:
    """Return location and scale of the lognormal above ``shift`` with that mean and variance."""
    above = max(mean - shift, 1e-6)
    scale_square = math.log(1.0 + variance / (above * above))
    return math.log(above) - 0.5 * scale_square, math.sqrt(scale_square)


@kernel
def share_within(limit_s: float, shift: float, location: float, scale: float) -> float:
    """Return the share of first tokens that come within the limit."""
    if limit_s <= shift:
        return 0.0
    if scale <= 1e-9:
        return 1.0 if math.log(limit_s - shift) >= location else 0.0
    return normal_cdf((math.log(limit_s - shift) - location) / scale)


@kernel
def bin_of(seconds: float) -> int:
    """Return the latency bin of a time."""
    if seconds <= BIN_LOW_S:
        return 0
    return min(int(math.log(seconds / BIN_LOW_S) / math.log(BIN_RATIO)), BINS - 1)


@kernel
def add_latencies(
    bins: NDArray[np.float64],
    h: int,
    m: int,
    requests: NDArray[np.float64],
    delay: float,
    shift: float,
    location: float,
    scale: float,
) -> None:
    """Count requests with that latency distribution, ``delay`` later, into bins[h, m, tier]; their sums are kept.

    ``requests`` holds one number per tier: tiers that share a pool share the distribution, so it is laid out once.
    """
    for i in range(POINTS.size):
        place = bin_of(delay + shift + math.exp(location + scale * POINTS[i]))
        for k in range(requests.size):
            bins[h, m, k, place] += requests[k] * POINT_WEIGHTS[i]


@kernel
def percentile(bins: NDArray[np.float64], h: int, m: int, k: int, level: float) -> float:
    """Return the latency not exceeded by that share of bins[h, m, k], log-interpolated inside its bin; NaN if empty."""
    total = 0.0
    for i in range(bins.shape[3]):
        total += bins[h, m, k, i]
    if total <= 0.0:
        return math.nan
    wanted, so_far = level * total, 0.0
    for i in range(bins.shape[3]):
        count = bins[h, m, k, i]
        if count > 0.0 and so_far + count >= wanted:
            return float(BIN_LOW_S * BIN_RATIO ** (i + (wanted - so_far) / count))
        so_far += count
    return BIN_HIGH_S
