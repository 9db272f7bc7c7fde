"""What has come beside what was expected, as far as the replay has seen requests: the override compares the two."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.simulation.loads import Span, expectation_of
from workbench.simulation.replay.arrivals import Arrived
from workbench.units import SECONDS_PER_MINUTE

Floats = NDArray[np.float64]


class Surprise:
    """Fills in the ratio of interactive input tokens observed in the last minute to those expected, step by step.

    The ratio stays 1 where nothing is expected and nothing comes, and where the expectation says nothing.
    """

    def __init__(self, ratio: Floats, expected: pl.DataFrame | None, fleet: Fleet, span: Span) -> None:
        self._ratio, self._span = ratio, span
        self._interactive = np.array([not tier.deferrable for tier in fleet.tiers])
        self._wanted = None if expected is None else expectation_of(expected, fleet, span)
        self._tokens = np.zeros(ratio.shape if expected is not None else (0, 0, 0))

    def add(self, block: Arrived) -> None:
        """Take note of a block's requests."""
        if self._wanted is None:
            return
        counted = self._interactive[block.tier]
        step = block.arrival_us[counted] // round(self._span.step_s * 1e6)
        np.add.at(self._tokens, (step, block.origin[counted], block.model[counted]), block.prompt[counted])

    def tell(self, first: int, last: int) -> None:
        """Fill in the steps [first, last), of which every request is known."""
        if self._wanted is None:
            return
        minute = max(int(SECONDS_PER_MINUTE / self._span.step_s), 1)
        for step in range(first, last):
            since = max(step + 1 - minute, 0)
            seen = self._tokens[since : step + 1].mean(axis=0) / self._span.step_s
            wanted = self._wanted[step]
            is_known = ~np.isnan(wanted) & ((wanted > 0) | (seen > 0))
            self._ratio[step] = np.where(is_known, seen / np.maximum(wanted, 1e-9), 1.0)
