"""workbench.simulation.fluid.correcting: what lies between the measured loads and sizes, and beyond them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.simulation.compiling import kernel
from workbench.simulation.fluid import correcting


@kernel
def looked_up(tables: NDArray[np.float64], load: float, replicas: float) -> tuple[float, float]:
    """What is inlined in the engine, as a function of its own."""
    return correcting.factors_at(tables, 0, load, replicas)


def table() -> NDArray[np.float64]:
    """The mean's logarithm is the place of the load, the spread's that of the size."""
    made = np.zeros((1, correcting.LOADS.size, correcting.SIZES.size, 2))
    made[0, :, :, 0] = np.arange(correcting.LOADS.size)[:, None]
    made[0, :, :, 1] = np.arange(correcting.SIZES.size)[None, :]
    return made


@pytest.mark.parametrize(
    ("load", "replicas", "expected"),
    [
        (0.15, 1.0, (0.0, 0.0)),
        (0.55, 4.0, (2.0, 2.0)),
        (0.25, 8.0, (0.5, 3.0)),  # half way from 0.15 to 0.35
        (0.90, math.sqrt(2.0 * 4.0), (5.0, 1.5)),  # half way from 2 to 4 in the logarithm
        (0.01, 0.5, (0.0, 0.0)),  # beyond the edges the edge holds
        (1.40, 400.0, (5.0, 5.0)),
    ],
)
def test_factors_by_hand(load: float, replicas: float, expected: tuple[float, float]) -> None:
    assert looked_up(table(), load, replicas) == pytest.approx(tuple(map(math.exp, expected)))


def test_no_table_corrects_nothing() -> None:
    assert correcting.no_correction(3).shape == (3, 0, correcting.SIZES.size, 2)
