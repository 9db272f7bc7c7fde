"""The request-level simulator: continuous batching with exact macro-steps, under the same rules as the fluid one.

Every request keeps its own time to first token and end; nothing about an iteration is averaged. It is the truth that
the fluid simulator is judged and calibrated against (simulation.md section 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.simulation import state as shared
from workbench.simulation.expectations import Surprise
from workbench.simulation.loads import Span
from workbench.simulation.replay import dispatch, engine, rows, setup
from workbench.simulation.replay.arrivals import Arrived, arrivals_of, together
from workbench.simulation.replay.keeping import Kept
from workbench.simulation.replay.state import Outside, World
from workbench.simulation.replay.summing import Tally
from workbench.simulation.rules import Rules
from workbench.simulation.scheduling import Scheduling
from workbench.simulation.setup import Pool, refuse_cut_off

__all__ = ["Replay"]


class Replay:
    """A replay under way: call it with first and last step; after the last one the record is filled.

    ``load`` is a frame of requests or several in order of time, which are read as the replay comes to them; of those
    read before only the requests inside are held. ``surprise`` compares what comes with what is expected.
    ``keep_requests`` holds every single one for :meth:`requests`.
    """

    def __init__(
        self,
        load: pl.DataFrame | Iterable[pl.DataFrame],
        *,
        fleet: Fleet,
        pools: Sequence[Pool],
        inputs: shared.Inputs,
        state: shared.State,
        record: shared.Record,
        rules: Rules,
        span: Span,
        scheduling: Scheduling,
        surprise: Surprise | None = None,
        keep_requests: bool = False,
    ) -> None:
        self._surprise = surprise or Surprise(fleet, span, is_expecting=False)
        self._inputs = inputs._replace(observed_over_forecast=self._surprise.ratio)
        self._state, self._record, self._rules, self._span = state, record, rules, span
        self._fleet, self._blocks = fleet, arrivals_of(load, fleet, span)
        self._known_steps = self._done_steps = 0
        self._order = setup.order_of(scheduling, inputs.promise_s)
        self._tally = Tally(record, inputs, regions=state.pools["region"], span=span)
        self._kept = Kept(fleet, pools, inputs.network_s, span) if keep_requests else None
        world = setup.world_of(fleet, pools)
        self.rows = rows.Rows(
            requests=rows.no_requests(len(fleet.models)),
            world=world,
            outside=setup.outside_of(fleet, world, inputs.hosts),
            number=np.zeros(0, dtype=np.int64),
            known=0,
        )
        self._take_in()

    def __call__(self, first: int, last: int) -> None:
        """Run steps [first, last); after the last one of the span, sum up."""
        self.advance(first, last)
        if last == self._span.steps:
            self.sum_up()

    def advance(self, first: int, last: int) -> None:
        """Run steps [first, last) and sum up nothing but what leaves to make room."""
        while first < last:
            if self._known_steps <= first:
                self._take_in()
            until = min(last, self._known_steps)
            self._surprise.tell(first, until)
            engine.replay(
                self._inputs, self._state, self._record, self._order, self.rows.world, self.rows.outside,
                self.rows.requests, self._tally.oldest_s, self._tally.saturated, self._rules, first, until,
            )  # fmt: skip
            first = self._done_steps = until

    def sum_up(self) -> None:
        """Fill the record's windows, latency bins and percentiles from the times of the requests still held."""
        self._settle(everyone=True)
        self._tally.finish()

    @property
    def world(self) -> World:
        """The replicas and what is in them."""
        return self.rows.world

    @property
    def outside(self) -> Outside:
        """What waits outside the replicas."""
        return self.rows.outside

    def waiting(self, hours: int) -> NDArray[np.float64]:
        """Return what waits for release by hour of arrival, region, model and tier: requests, prompts, answers."""
        regions, models, tiers = self.rows.outside.deferred.shape[:3]
        found = np.zeros((hours, regions, models, tiers, 3))
        dispatch.count_waiting(self.rows.world, self.rows.outside, found)
        return found

    @property
    def first_bins(self) -> NDArray[np.int32]:
        """Times to the first token, counted by hour of arrival, region, model, tier and latency bin."""
        return self._tally.first_bins

    @property
    def whole_bins(self) -> NDArray[np.int32]:
        """Times to the last token, counted by hour of arrival, region, model, tier and latency bin."""
        return self._tally.whole_bins

    def requests(self) -> pl.DataFrame | None:
        """Return every request with its times as its origin sees them (``SIM_REQUESTS``); None if none were kept."""
        return self._kept.frame() if self._kept is not None else None

    def latencies(self) -> pl.DataFrame | None:
        """Return every request with its times as its pool sees them, and the pool's number; None if none were kept."""
        return self._kept.latencies() if self._kept is not None else None

    def _take_in(self) -> None:
        """Read blocks until those of another step are known, let go what is settled, and add them."""
        blocks: list[Arrived] = []
        before = self._known_steps
        while self._known_steps <= before:
            block = next(self._blocks, None)
            if block is None:
                self._known_steps = self._span.steps
                break
            refuse_cut_off(_counts(block, self._fleet), self._fleet, self._inputs.preference, self._inputs.pools_in)
            self._observe(block)
            blocks.append(block)
            self._known_steps = min(int(block.known_us // round(self._span.step_s * 1e6)), self._span.steps)
        if blocks:
            self._settle(everyone=False)
            self.rows = rows.followed_by(self.rows, together(blocks), is_numbered=self._kept is not None)

    def _observe(self, block: Arrived) -> None:
        """Take note of the interactive prompts of a block by step."""
        interactive = np.array([not tier.deferrable for tier in self._fleet.tiers])[block.tier]
        step = block.arrival_us[interactive] // round(self._span.step_s * 1e6)
        tokens = block.prompt[interactive].astype(np.float64)
        self._surprise.observe(step, block.origin[interactive], block.model[interactive], tokens)

    def _settle(self, *, everyone: bool) -> None:
        """Count what is settled, or everyone when the span is over."""
        self._tally.add(self.rows, self._done_steps * self._span.step_s, everyone=everyone)
        if self._kept is not None:
            which = rows.settled(self.rows)
            self._kept.add(self.rows, which | everyone)


def _counts(block: Arrived, fleet: Fleet) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return how many requests of a block come from each region for each model and tier."""
    sizes = (len(fleet.regions), len(fleet.models), len(fleet.tiers))
    cells = np.ravel_multi_index((block.origin, block.model, block.tier), sizes)
    return np.bincount(cells, minlength=int(np.prod(sizes))).reshape(sizes)
