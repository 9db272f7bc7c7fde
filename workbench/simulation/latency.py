"""Time to first token of a pool: the gated-cycle formula, its distribution, and the bins it is counted in.

An arrival waits for the running iteration to end and rides in the next one with everybody who came meanwhile
(simulation.md section 3, "TTFT"). Mean and variance of that time are closed forms for one replica. In a pool an arrival
goes to the replica with the fewest prompt tokens pending and mostly finds one without any, so only a part of that
company remains (:func:`company_left`). The distribution is taken as the shifted lognormal of that mean and variance and
of the third moment that the prompts' lengths bring. Latencies of many windows are counted in fixed logarithmic bins, so
a percentile over a day is that of the request-weighted mixture and never a mean of percentiles.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.compiling import inlined, kernel, vectors, within

#: Fitted to the replay over 192 pools of 2-40 replicas, six mixes of lengths, two kinds of replica and arrivals of CV^2
#: 1 and 4: how widely the number of pending prompts spreads, by how much those that share an iteration are the short
#: ones, and how many of the other replicas' requests end for an arrival to find their place. None of those pools is
#: among the ones that ``python -m tests.simulation.agreement_table`` prints.
PENDING_SPREAD = 3.3
SHORT_COMPANY = 0.9
EARLY = 0.15
ROUNDS = 2  # that settle how much company an arrival has, which depends on the time sought
#: Fitted to a per-iteration simulation of pools of 1, 4 and 12: the share of what a long prompt adds to its own stay by
#: :func:`carried_on` that is left where others avoid it, and what comes on top of that for a replica by itself.
STAYS, STAYS_ALONE = 0.7, 0.5
LEVELS: NDArray[np.float64] = np.array([0.50, 0.95, 0.99])
BIN_LOW_S = 1e-3
BIN_HIGH_S = 1e6
BIN_RATIO = 1.04
BINS = math.ceil(math.log(BIN_HIGH_S / BIN_LOW_S) / math.log(BIN_RATIO))
BIN_EDGES_S: NDArray[np.float64] = BIN_LOW_S * np.power(BIN_RATIO, np.arange(BINS + 1, dtype=np.float64))
UNSERVED_S = BIN_HIGH_S * 0.99
_LOG_LOW, _LOG_RATIO = math.log(BIN_LOW_S), math.log(BIN_RATIO)

# log(e^a + e^b) = max(a, b) + log(1 + e^-|a - b|): the last term, all in bins, over |a - b| in quarters of a bin
_LATER_BINS: NDArray[np.float64] = np.log1p(np.exp(-0.25 * _LOG_RATIO * np.arange(1024))) / _LOG_RATIO

# points of the standard normal that carry a latency distribution into the bins: dense in the upper tail
LEVEL_EDGES: NDArray[np.float64] = np.concatenate(
    [
        np.linspace(0.0, 0.9, 16),
        np.linspace(0.9, 0.98, 11)[1:],
        np.linspace(0.98, 0.996, 9)[1:],
        np.array([0.998, 0.999, 0.9995, 1.0]),
    ]
)
POINT_WEIGHTS: NDArray[np.float64] = np.diff(LEVEL_EDGES)


def _normal_quantile(level: float) -> float:
    low, high = -9.0, 9.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2.0)) < level else (low, middle)
    return 0.5 * (low + high)


POINTS: NDArray[np.float64] = np.array(
    [_normal_quantile(0.5 * (low + high)) for low, high in pairwise(LEVEL_EDGES.tolist())]
)


@kernel
def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@inlined
def mean_below(mean: float, variance: float, limit: float) -> tuple[float, float]:
    """Return E[min(X, limit)] and P(X > limit) of a normal X, the mean kept inside [0, mean]."""
    apart = mean - limit
    if apart * apart >= 36.0 * variance:  # six deviations away the other side is 1e-9
        return (limit, 1.0) if apart > 0.0 else (mean, 0.0)
    deviation = math.sqrt(variance)
    z = apart / deviation
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    above = normal_cdf(z)
    excess = deviation * (density + z * above)
    return min(max(mean - excess, 0.0), mean), above


@within
def decay(x: float) -> float:
    """Return exp(-x) for x from 0 to 30, within 1e-12 of it in parts of one: the 256th power of a short series.

    Unlike a call of exp it leaves a loop over numbers side by side one of vector instructions.
    """
    y = x * (1 / 256)
    later = 1.0 - y * (1 / 6) * (1.0 - y * (1 / 7) * (1.0 - y * (1 / 8) * (1.0 - y * (1 / 9))))
    e = 1.0 - y * (1.0 - y * (1 / 2) * (1.0 - y * (1 / 3) * (1.0 - y * (1 / 4) * (1.0 - y * (1 / 5) * later))))
    e = e * e * (e * e)
    e = e * e * (e * e)
    e = e * e * (e * e)
    return e * e * (e * e)


@within
def company_left(replicas: float, pending: float, dispersion: float) -> float:
    """Return the share of an arrival's company in its iteration that is left when it takes the least loaded replica.

    ``pending`` is the mean number of prompts pending on a replica. An arrival has company only where every other
    replica has a prompt pending too: the share is the mean excess of the pool's pending prompts over n - 1, over their
    mean; 1 for a single replica. Their spread is not Poisson's (its factor is fitted) and grows with the dispersion of
    arrivals.
    """
    mean = replicas * pending
    spread = PENDING_SPREAD * max(dispersion, 0.0) * mean
    above = mean - (replicas - 1.0)
    left = (above + np.sqrt(above * above + spread)) / (mean + np.sqrt(mean * mean + spread) + 1e-12)
    return left if replicas > 1.0 else 1.0


@within
def until_next(replicas: float, per_iteration: float) -> float:
    """Return the share of the running iteration that an arrival waits for: a half, and more in a large pool.

    ``per_iteration`` is how many requests a replica gets in one. Among replicas without a prompt pending an arrival
    takes the one that runs the fewest requests, which is the one where a request has just ended: at the beginning of an
    iteration. With x places of that kind opening in an iteration the nearest one is s / x old, in the mean, and what is
    left of it is 1 - 1/x + 1/(e^x - 1) of s; an algebraic form within 2 % of that stands for it.
    """
    x = 0.5 * EARLY * (replicas - 1.0) * per_iteration
    return float(0.5 + 0.5 * x / (1.0 + np.sqrt(4.0 + x * x)))


@within
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
    noise_seen: float,
    window_s: float,
) -> tuple[float, float, float, float, float]:
    """Return mean, variance and third central moment of the time to first token, the iteration's part, company left.

    The iteration's part of the mean is how long the one takes that reads the prompt; of the company that it has on a
    replica by itself only a share is left. Waiting for a slot is not included. ``prompt_s`` is the mean prompt's
    marginal time in an iteration (b E[P]), ``iteration_s`` the iteration without prompts, ``decode_slope_s`` its growth
    per running request and replica, ``variance`` that of the requests in the pool. With an empty replica nothing has to
    end first, so the residual cycle counts only when something runs. How much company is left depends on how many
    prompts are pending, and that on the time sought: a few rounds settle it. The choice among n replicas also evens out
    how long their cycles are: what is left of a cycle's variance falls with the root of n.

    Of the noise of arrivals the load itself shows ``noise_seen`` (0 to 1) in its windows of ``window_s``. A cycle is an
    iteration and ``share`` of the one before it, so it strays back at (1 - share) / cycle, and such windows carry
    2 / (2 + window x that) of its variance in their own course, as :func:`workbench.simulation.fluid.service.complete`
    counts it. They show what all replicas have in common, for which the share of the company left stands.
    """
    # divisions cost most here, so those by the same number share one
    each_one, per_iteration = 1.0 / replicas, 1.0 / iteration_s
    rate = admitted_rps * each_one
    share = min(rate * prompt_s, 0.98)
    # 1 - s, 1 - s^2 and 1 - s^3 divide: all from one quotient
    unread, second, third = 1.0 - share, 1.0 + share, 1.0 + share + share * share
    split = 1.0 / (unread * second * third)
    clumping = 1.0 + (dispersion - 1.0) * each_one
    lumps = max(square_ratio - 1.0 + clumping, 0.0)
    cycle, per_cycle = iteration_s * split * second * third, unread * per_iteration
    shown = 2.0 * noise_seen / (2.0 + unread * unread * per_iteration * window_s)
    alone = prompt_s * prompt_s * rate * cycle * lumps * split * third
    busy = 1.0 - decay(min(running * each_one, 30.0))
    waits = until_next(replicas, rate * iteration_s) * busy
    evened = np.sqrt(each_one)
    mean = (waits + 1.0) * iteration_s + prompt_s
    left = varied = cycle_variance = seen = others = riding = 0.0
    for _ in range(ROUNDS):
        left = company_left(replicas, rate * mean, dispersion)
        varied = left * evened * (1.0 - shown * left)
        cycle_variance = varied * alone
        seen = cycle + cycle_variance * per_cycle
        others = left * max(rate * seen + clumping - 1.0, 0.0)
        riding = iteration_s + prompt_s + others * prompt_s
        mean = waits * (iteration_s + left * (seen - iteration_s)) + riding
    cubes = prompt_s**3 * rate * cube_ratio * cycle
    cubed = varied * (cubes + 3.0 * share * prompt_s * prompt_s * rate * square_ratio * cycle_variance)
    seen_square = cubed * split * second * per_cycle + 3.0 * cycle_variance + cycle * cycle
    ended_square = iteration_s * iteration_s + left * (seen_square - iteration_s * iteration_s)
    spread = varied * (0.5 + share) ** 2 * max(seen_square - seen * seen, 0.0) + busy * ended_square * (1 / 12)
    alike = others * (1.0 - SHORT_COMPANY * (1.0 - each_one))
    spread += prompt_s * prompt_s * (alike * lumps + square_ratio - 1.0)
    slow = (mean - prompt_s) * per_iteration * decode_slope_s * each_one
    lean = prompt_s**3 * (cube_ratio - 3.0 * square_ratio + 2.0 + alike * cube_ratio)
    return mean, spread + slow * slow * variance, lean, riding, left


@within
def carried_on(fed: float, gaps: float) -> float:
    """Return what a first iteration that is longer adds to each gap after it, as a share of what it is longer by.

    Of that ``fed`` comes back as prompts in the next iteration, of those as much in the one after, and so on until the
    last gap of the request, of which there are ``gaps`` in the mean (geometric): all together
    fed gaps / (1 + (1 - fed) gaps).
    """
    return fed / (1.0 + (1.0 - fed) * gaps)


@kernel
def lognormal_of(mean: float, variance: float, third: float) -> tuple[float, float, float]:
    """Return shift, location and scale of the lognormal with that mean, variance and third central moment.

    The skewness g of a lognormal with w = e^(scale^2) is (w + 2) sqrt(w - 1), whatever its shift; so w is the root of a
    cubic. Where that would put the shift below nought, it is nought and the third moment is let go.
    """
    if variance <= 1e-12 * mean * mean:
        return 0.0, math.log(max(mean, 1e-9)), 0.0
    skewness = third / (variance * math.sqrt(variance))
    if skewness > 0.05:
        half = 1.0 + 0.5 * skewness * skewness
        root = (half + math.sqrt(half * half - 1.0)) ** (1.0 / 3.0)
        grown = root + 1.0 / root - 1.0
        above = math.sqrt(variance / (grown - 1.0))
        if above <= mean:
            scale_square = math.log(grown)
            return mean - above, math.log(above) - 0.5 * scale_square, math.sqrt(scale_square)
    scale_square = math.log(1.0 + variance / (mean * mean))
    return 0.0, math.log(mean) - 0.5 * scale_square, math.sqrt(scale_square)


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
    return min(int((math.log(seconds) - _LOG_LOW) / _LOG_RATIO), BINS - 1)


@kernel
def add_latencies(
    bins: NDArray[np.float64],
    touched: NDArray[np.int64],
    h: int,
    m: int,
    requests: NDArray[np.float64],
    shift: float,
    location: float,
    scale: float,
) -> None:
    """Count requests with a lognormal latency above ``shift`` into bins[h, m, tier]; their sums are kept.

    ``requests`` holds one number per tier: tiers that share a pool share the distribution, so it is laid out once.
    ``touched[h, m]`` widens to the first and last bin that hold any.
    """
    middle, width = (location - _LOG_LOW) / _LOG_RATIO, scale / _LOG_RATIO
    least = (math.log(shift) - _LOG_LOW) / _LOG_RATIO if shift > 0.0 else -1e9
    place = 0
    for i in range(POINTS.size):
        point = middle + width * POINTS[i]
        apart = int(abs(point - least) * 4.0 + 0.5)
        top = max(point, least)
        if apart < _LATER_BINS.size:
            top += _LATER_BINS[apart]
        place = min(max(int(top), 0), BINS - 1)
        if i == 0:
            touched[h, m, 0] = min(touched[h, m, 0], place)
        for k in range(requests.size):
            bins[h, m, k, place] += requests[k] * POINT_WEIGHTS[i]
    touched[h, m, 1] = max(touched[h, m, 1], place)


@kernel
def note_percentiles(
    bins: NDArray[np.float64],
    so_far: NDArray[np.float64],
    noted: NDArray[np.float64],
    w: int,
    h: int,
    m: int,
    k: int,
    first: int,
    last: int,
) -> None:
    """Note in noted[w, h, m, k] the latencies that LEVELS of bins[h, m, k] do not exceed, log-interpolated in a bin.

    All that is counted lies in the bins ``first`` to ``last``; without any the notes stay as they are. ``so_far`` is
    room for the sums up to each of them.
    """
    total, row = 0.0, ((h * bins.shape[1] + m) * bins.shape[2] + k) * bins.shape[3]
    for i in range(first, last + 1):
        total += bins.flat[row + i]
        so_far.flat[i] = total
    if total <= 0.0:
        return
    for level in range(LEVELS.size):
        wanted = LEVELS[level] * total
        i = first + below(so_far, wanted, first, last)
        before = so_far[i - 1] if i > first else 0.0
        within = (wanted - before) / (so_far[i] - before)
        noted[w, h, m, k, level] = BIN_LOW_S * math.exp(_LOG_RATIO * (i + within))


@vectors
def below(rising: NDArray[np.float64], wanted: float, first: int, last: int) -> int:
    """Return how many of the rising numbers from the first on lie below one that the last one does not."""
    count = 0
    for i in range(first, last):
        count += 1 if rising.flat[i] < wanted else 0
    return count
