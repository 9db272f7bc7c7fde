"""The request-level simulator: continuous batching with exact macro-steps, under the same rules as the fluid one.

Every request keeps its own time to first token and end; nothing about an iteration is averaged. It is the truth that
the fluid simulator is judged and calibrated against (simulation.md section 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from workbench.domain import Fleet
from workbench.simulation import state as shared
from workbench.simulation.loads import Span
from workbench.simulation.replay import engine, setup, summing
from workbench.simulation.rules import Rules
from workbench.simulation.scheduling import Scheduling
from workbench.simulation.setup import Pool

__all__ = ["Replay"]


class Replay:
    """A replay under way: call it with first and last step; after the last one the record is filled."""

    def __init__(
        self,
        requests: pl.DataFrame,
        *,
        fleet: Fleet,
        pools: Sequence[Pool],
        inputs: shared.Inputs,
        state: shared.State,
        record: shared.Record,
        rules: Rules,
        span: Span,
        scheduling: Scheduling,
    ) -> None:
        self._inputs, self._state, self._record, self._rules, self._span = inputs, state, record, rules, span
        self._places = {i: pool.region for i, pool in enumerate(pools)}
        self._requests, self.frame = setup.requests_of(requests, fleet, span)
        self.world = setup.world_of(fleet, pools, self.frame.height)
        self.outside = setup.outside_of(fleet, self.world, state.pools, inputs.preference, inputs.pools_in)
        self._order = setup.order_of(scheduling, inputs.promise_s)
        self._oldest_s = np.zeros((span.windows, *self.outside.deferred.shape[:3]))
        self._saturated = np.zeros((span.steps, len(pools)))

    def __call__(self, first: int, last: int) -> None:
        """Run steps [first, last); after the last one of the span, sum up."""
        self.advance(first, last)
        if last == self._span.steps:
            self.sum_up()

    def advance(self, first: int, last: int) -> None:
        """Run steps [first, last) and sum up nothing yet."""
        engine.replay(
            self._inputs, self._state, self._record, self._order, self.world, self.outside, self._requests,
            self._oldest_s, self._saturated, self._rules, first, last,
        )  # fmt: skip

    def sum_up(self) -> None:
        """Fill the record's windows, latency bins and percentiles from the requests' times."""
        summing.sum_up(
            self._record, self._inputs, self.world, self.outside, self._requests,
            regions=self._state.pools["region"], oldest_s=self._oldest_s, saturated=self._saturated, span=self._span,
        )  # fmt: skip

    def latencies(self) -> pl.DataFrame:
        """Return every request with its times inside the pool, the pool's number and where that stands.

        ``wait_s`` ends with admission to a batch, ``ttft_s`` and ``e2e_s`` with the first and last token; null where it
        never came to that. ``pool`` is -1 for a request not yet routed and -2 for one that was shed; ``served_in`` is
        null for both.
        """
        names = ("wait_s", "ttft_s", "e2e_s")
        times = {name: pl.Series(self.world.latencies_s[:, i]).fill_nan(None) for i, name in enumerate(names)}
        pool = pl.Series(self.outside.pool_of)
        return self.frame.with_columns(
            **times,
            pool=pool,
            served_in=pool.replace_strict(self._places, default=None, return_dtype=pl.String),
        )
