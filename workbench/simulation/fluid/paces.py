"""How long a replica reads prompts of many lengths, where a long one takes more than its share.

Measured profiles bend: attention makes a token of a long prompt dearer. A pool that read every prompt at the pace of
the mean one would read too fast, and its times would spread too little. So the mean, the square and the cube of the
seconds are those of the seconds themselves, over all lengths of the mix; only the mean length moves with the load.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Replica, TokenMix
from workbench.simulation.fluid.shapes import prompts_of
from workbench.simulation.latency import POINT_WEIGHTS, POINTS

Floats = NDArray[np.float64]
ALIKE = 1e-6  # of the seconds, up to which a profile is a straight line


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What seconds of prompts are over what their tokens say: the mean over that of the mean prompt, and the ratios.

    ``cross`` is that of the mean product of tokens and seconds.
    """

    mean: float = 1.0
    square: float = 1.0
    cube: float = 1.0
    cross: float = 1.0


@functools.lru_cache(maxsize=1024)
def pace_of(replica: Replica, mix: TokenMix) -> Pace:
    """Return the pace at which a replica reads a mix: all ones where every token takes the same."""
    ratios, weights = _lengths(mix)
    ratios = ratios / (ratios @ weights)
    each = np.array([performance.prompt_s_per_token(replica, float(one)) for one in mix.input_tokens * ratios])
    seconds = ratios * each / performance.prompt_s_per_token(replica, mix.input_tokens)
    mean = float(seconds @ weights)
    if np.abs(seconds - ratios).max() <= ALIKE:
        return Pace()
    return Pace(
        mean=mean,
        square=float(((seconds / mean) ** 2) @ weights / (ratios**2 @ weights)),
        cross=float((seconds / mean * ratios) @ weights / (ratios**2 @ weights)),
        cube=float(((seconds / mean) ** 3) @ weights / (ratios**3 @ weights)),
    )


def _lengths(mix: TokenMix) -> tuple[Floats, Floats]:
    """Return prompts over some mean and their weights: those of the quantiles, else of a lognormal with its square."""
    if len(mix.input_quantile_ratios) > 1:
        ratios = prompts_of(mix)
        return ratios, np.full(ratios.size, 1.0 / ratios.size)
    width = math.sqrt(math.log(max(mix.input_square_ratio, 1.0)))
    return np.exp(width * POINTS), POINT_WEIGHTS
