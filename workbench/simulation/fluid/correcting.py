"""Where a measured correction of the time to first token is looked up: in between loads and sizes of a pool.

A table holds two natural logarithms per load and size: of the factor on the mean, and of the further factor on the
spread around it. In between they are taken linearly in the load and in the logarithm of the size; beyond the edges the
edge holds. A table without loads corrects nothing, and is what a run has that was given no calibration.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.compiling import inlined

Floats = NDArray[np.float64]

#: Shares of what a pool can do at most, and replicas of a pool, at which a calibration is measured.
LOADS: Floats = np.array([0.15, 0.35, 0.55, 0.70, 0.80, 0.90])
SIZES: Floats = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 40.0])
_LN_SIZES: Floats = np.log(SIZES)


def no_correction(pools: int) -> Floats:
    """Return the tables of pools that are corrected by nothing."""
    return np.zeros((pools, 0, SIZES.size, 2))


@inlined
def between(grid: Floats, value: float) -> tuple[int, float]:
    """Return the place in a rising grid below a value and how far the value lies towards the next, both inside it."""
    low = 0
    while low < grid.size - 2 and grid[low + 1] <= value:
        low += 1
    return low, min(max((value - grid[low]) / (grid[low + 1] - grid[low]), 0.0), 1.0)


@inlined
def factors_at(tables: Floats, p: int, load: float, replicas: float) -> tuple[float, float]:
    """Return the factors on the mean and on the spread for a pool at a share of what it can do with its replicas."""
    i, right = between(LOADS, load)
    j, up = between(_LN_SIZES, math.log(replicas))
    mean = spread = 0.0
    for a in range(2):
        for b in range(2):
            weight = (right if a else 1.0 - right) * (up if b else 1.0 - up)
            mean += weight * tables[p, i + a, j + b, 0]
            spread += weight * tables[p, i + a, j + b, 1]
    return math.exp(mean), math.exp(spread)
