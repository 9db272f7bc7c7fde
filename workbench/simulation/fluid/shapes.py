"""The shape that the lengths of prompts give the time to first token, where no lognormal has it.

Conversations of the public traces come in two sizes, and while nothing waits a first token takes as long as its own
prompt: then the quantiles of the prompts are those of the time. A shifted lognormal of the same three moments is up to
15 % off at the 95th percentile. What it lacks is worked out once for every mix: the quantiles of a prompt and a wait
together, less those of the lognormal with their moments, in standard deviations, by the share of the variance that the
prompt brings (simulation.md section 3: "convolve the endpoint's own prompt quantiles with a gamma wait").
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.domain import TokenMix
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.latency import LEVEL_EDGES, POINT_WEIGHTS, POINTS, bin_of, lognormal_of

Floats = NDArray[np.float64]
SHARES = 9  # of the variance, from none to all of it, at which shapes are worked out
PROMPTS, WAITS = 240, 96  # equally likely ones that stand for all
WAIT_SKEWNESS = 1.0  # of a wait for the end of an iteration, and for company now and then
FAR = 1e3  # deviations from nought to a mean, where no shift is cut off
LEAST = 0.4  # deviations up to which the lognormal does as well, at all points up to that of LEAST_UP_TO
LEAST_UP_TO = 0.96
_LEVELS: Floats = 0.5 * (LEVEL_EDGES[1:] + LEVEL_EDGES[:-1])


def shapes_of(mixes: Sequence[TokenMix]) -> Floats:
    """Return what the lognormal lacks for every mix, and no shares at all where it lacks nothing for any."""
    found = np.stack([shape_of(mix) for mix in mixes])
    return found if found.any() else found[:, :0]


@functools.lru_cache(maxsize=256)
def shape_of(mix: TokenMix) -> Floats:
    """Return by share of the variance and by point of the distribution what the lognormal lacks, in deviations.

    Noughts where the mix has no quantiles of its prompts, and where the lognormal does as well.
    """
    lacks: Floats = np.zeros((SHARES, POINTS.size))
    if len(mix.input_quantile_ratios) < 2 or mix.input_quantile_ratios[0] == mix.input_quantile_ratios[-1]:
        return lacks
    prompt, wait = _standard(prompts_of(mix)), _standard(_waits())
    for place in range(1, SHARES):
        share = place / (SHARES - 1)
        whole = (math.sqrt(share) * prompt[:, None] + math.sqrt(1.0 - share) * wait).ravel()
        shift, location, scale = lognormal_of(FAR, 1.0, float((whole**3).mean()))
        lacks[place] = np.quantile(whole, _LEVELS) - (shift - FAR + np.exp(location + scale * POINTS))
    is_unlike = np.abs(lacks[:, _LEVELS <= LEAST_UP_TO]).max() > LEAST
    shape: Floats = lacks if is_unlike else 0.0 * lacks
    return shape


def prompts_of(mix: TokenMix) -> Floats:
    """Return equally likely prompts over their mean: straight lines between the quantiles of the mix.

    Above the last quantile an exponential tail, as long as brings the mean to one.
    """
    known = np.array(mix.input_quantile_ratios)
    at = (np.arange(PROMPTS) + 0.5) / PROMPTS
    ratios: Floats = np.interp(at, (np.arange(known.size) + 0.5) / known.size, known)
    tail = at > (known.size - 0.5) / known.size
    if tail.any():
        draws = -np.log(1.0 - (np.arange(tail.sum()) + 0.5) / tail.sum())
        ratios[tail] += max(1.0 - float(ratios.mean()), 0.0) * PROMPTS * draws / draws.sum()
    return ratios


def _waits() -> Floats:
    """Return equally likely waits of a skewness, whatever their mean and deviation."""
    shift, location, scale = lognormal_of(FAR, 1.0, WAIT_SKEWNESS)
    waits: Floats = shift + np.exp(location + scale * np.interp((np.arange(WAITS) + 0.5) / WAITS, _LEVELS, POINTS))
    return waits


def _standard(values: Floats) -> Floats:
    standard: Floats = (values - values.mean()) / values.std()
    return standard


@inlined
def lacking(shapes: Floats, model: int, prompts: float, point: int) -> float:
    """Return what the lognormal lacks at a point where prompts bring so much of the variance, in deviations."""
    place = min(prompts, 1.0) * (SHARES - 1)
    low = min(int(place), SHARES - 2)
    near, far = shapes[model, low, point], shapes[model, low + 1, point]
    return float(near + (far - near) * (place - low))


@kernel
def limit_seen(
    shapes: Floats,
    model: int,
    prompts: float,
    deviation: float,
    limit_s: float,
    shift: float,
    location: float,
    scale: float,
) -> float:
    """Return the time that as many of the lognormal come within as truly come within a limit.

    Times rise from point to point; between two of them, and beyond the outermost, deviations of the normal do.
    """
    before, z = 0.0, 0.0
    for i in range(POINTS.size):
        seconds = shift + math.exp(location + scale * POINTS[i]) + deviation * lacking(shapes, model, prompts, i)
        if limit_s <= seconds or i == POINTS.size - 1:
            if i == 0 or limit_s > seconds:
                return limit_s - deviation * lacking(shapes, model, prompts, i)
            z = POINTS[i] - (POINTS[i] - POINTS[i - 1]) * min((seconds - limit_s) / max(seconds - before, 1e-12), 1.0)
            break
        before = seconds
    return shift + math.exp(location + scale * z)


@kernel
def add_shaped(
    bins: Floats,
    touched: NDArray[np.int64],
    h: int,
    m: int,
    requests: Floats,
    shift: float,
    location: float,
    scale: float,
    shapes: Floats,
    prompts: float,
    deviation: float,
) -> None:
    """Count requests into bins[h, m, tier] as :func:`~workbench.simulation.latency.add_latencies` does, in shape."""
    for i in range(POINTS.size):
        seconds = shift + math.exp(location + scale * POINTS[i]) + deviation * lacking(shapes, m, prompts, i)
        place = bin_of(seconds)
        touched[h, m, 0] = min(touched[h, m, 0], place)
        touched[h, m, 1] = max(touched[h, m, 1], place)
        for k in range(requests.size):
            bins[h, m, k, place] += requests[k] * POINT_WEIGHTS[i]
