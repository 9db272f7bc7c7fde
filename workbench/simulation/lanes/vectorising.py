"""The few functions that a loop over a row of scenarios needs and that would end its vector instructions.

LLVM turns no call of exp, log or erf into vectors here, so all three are polynomials, fitted for the smallest greatest
error over the range that is said.
"""

from __future__ import annotations

import numpy as np

from workbench.simulation.compiling import place, within
from workbench.simulation.lanes.layout import LANES, Ints, Place, Reals, real

FARTHEST = real(4.5)  # deviations: beyond, less than a request in a hundred thousand is over the limit
MIDDLE = real(2.25)  # the polynomials are taken about it, where single precision keeps their terms small
ONE_LANE, TWO_LANES, THREE_LANES, EIGHT_LANES = (np.uint64(count) for count in (1, 2, 3, 8))
MANTISSA_BITS, MANTISSA, ONE, EXPONENT_OF_ONE = np.int32(23), np.int32(0x7FFFFF), np.int32(0x3F800000), np.int32(127)


@within
def kept(changed: bool, new: np.float32, old: np.float32) -> np.float32:
    """Return the new number where something changed, else the old one; neither is below nought.

    Without the comparison LLVM would store the lanes that changed only, under a mask, and processors of one maker take
    tens of cycles to do so.
    """
    return max(new if changed else old, real(0.0))


@within
def next_marked(marks: Reals, pairs: Ints, own: Place, i: int) -> int:
    """Return the next scenario from ``i`` on whose number of a row is not nought, LANES where there is none.

    ``pairs`` are the same numbers by two: mostly eight of them are nought together, and told apart they would take
    longer than the loop that marks them.
    """
    while i < LANES:
        if i % EIGHT_LANES == np.uint64(0):
            pair = (own + i) // TWO_LANES
            if pairs[pair] | pairs[pair + ONE_LANE] | pairs[pair + TWO_LANES] | pairs[pair + THREE_LANES] == 0:
                i = place(int(i + EIGHT_LANES))
                continue
        if marks[own + i] != real(0.0):
            break
        i = place(int(i + ONE_LANE))
    return i


@within
def decay(x: np.float32) -> np.float32:
    """Return exp(-x) for x from 0 to 18, within 2e-5 of it in parts of one: the 32nd power of a short series."""
    y = x * real(1 / 32)
    e = real(1.0) - y * (real(1.0) - y * (real(0.5) - y * real(1 / 6)))
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e * e


@within
def loss(far: np.float32) -> np.float32:
    """Return E[(Z - far)+] of a standard normal Z for ``far`` from 0 to 4.5, within 2e-6; summed in pairs."""
    x = far - MIDDLE
    square = x * x
    low = (real(0.0042357011) - real(0.012224412) * x) + square * (real(0.015854465) - real(0.01190209) * x)
    middle = (real(0.0054070749) - real(0.0012295897) * x) + square * (real(-1.0554546e-4) + real(1.4464311e-4) * x)
    high = (real(-2.2064257e-5) - real(5.2209167e-6) * x) + square * real(1.3779333e-6)
    return low + square * square * (middle + square * square * high)


@within
def tail(far: np.float32) -> np.float32:
    """Return P(Z > far) of a standard normal Z for ``far`` from 0 to 4.5, within 2e-5; summed in pairs."""
    x = far - MIDDLE
    square = x * x
    low = (real(0.012223566) - real(0.031682529) * x) + square * (real(0.035716159) - real(0.021707251) * x)
    middle = (real(0.0061330401) + real(6.9515627e-4) * x) + square * (real(-0.0010060141) + real(1.5889328e-4) * x)
    high = real(4.6161219e-5) - real(1.2128941e-5) * x
    return low + square * square * (middle + square * square * high)


@within
def log2(x: np.float32) -> np.float32:
    """Return log2 of a positive number, within 2e-5: the exponent and a series of the mantissa."""
    bits = np.float32(x).view(np.int32)
    exponent = real((bits >> MANTISSA_BITS) - EXPONENT_OF_ONE)
    mantissa = np.int32((bits & MANTISSA) | ONE).view(np.float32)
    y = (mantissa - real(1.41421356)) / (mantissa + real(1.41421356))  # about the middle of the octave
    square = y * y
    series = real(1.0) + square * (real(1 / 3) + square * (real(1 / 5) + square * (real(1 / 7) + square * real(1 / 9))))
    return exponent + real(0.5) + real(2.885390082) * y * series
