"""Requests as they come: frames in order of time, one or many, as arrays in order of arrival.

A frame alone may be in any order. Of several each begins where the one before ended or later, so that what arrives in
a step is known as soon as a later request is, and nothing but the present has to be held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.errors import SimulationError
from workbench.simulation.loads import Span, keys_of
from workbench.tables import REQUESTS

MOST_TOKENS = np.iinfo(np.int32).max  # no replica holds as many: a longer request is shed like one of this length


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The requests of one block that arrive inside the span, in order of arrival; places are those of the fleet.

    ``known_us`` is the instant up to which no further request can come.
    """

    arrival_us: NDArray[np.int64]
    prompt: NDArray[np.int32]
    output: NDArray[np.int32]
    origin: NDArray[np.int16]
    model: NDArray[np.int16]
    tier: NDArray[np.int16]
    known_us: int

    def chosen(self, which: NDArray[np.int64] | slice) -> Arrived:
        """Return some of the requests, in the order of their places."""
        return Arrived(
            arrival_us=self.arrival_us[which],
            prompt=self.prompt[which],
            output=self.output[which],
            origin=self.origin[which],
            model=self.model[which],
            tier=self.tier[which],
            known_us=self.known_us,
        )


def arrivals_of(load: pl.DataFrame | Iterable[pl.DataFrame], fleet: Fleet, span: Span) -> Iterator[Arrived]:
    """Yield block after block of ``REQUESTS``, up to the one that reaches past the span.

    Raises TableError on rows that are no requests, SimulationError on a name that the fleet lacks and on a block that
    begins before the one before it ended.
    """
    end_us, known_us = round(span.steps * span.step_s * 1e6), None
    for number, frame in enumerate([load] if isinstance(load, pl.DataFrame) else load, start=1):
        block = _arrays_of(REQUESTS.conform(frame), fleet, span)
        if not block.arrival_us.size:
            continue
        first_us = int(block.arrival_us[0])
        if known_us is not None and first_us < known_us:
            raise SimulationError(
                f"block {number} of the requests begins at {_instant(span, first_us)}, before the last arrival of "
                f"those before it at {_instant(span, known_us)}; hand the blocks on in order of time, none overlapping."
            )
        known_us = block.known_us
        first, last = np.searchsorted(block.arrival_us, [0, end_us])
        yield block.chosen(slice(int(first), int(last)))
        if known_us >= end_us:
            return


def together(blocks: Sequence[Arrived]) -> Arrived:
    """Return several blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    return Arrived(
        arrival_us=np.concatenate([block.arrival_us for block in blocks]),
        prompt=np.concatenate([block.prompt for block in blocks]),
        output=np.concatenate([block.output for block in blocks]),
        origin=np.concatenate([block.origin for block in blocks]),
        model=np.concatenate([block.model for block in blocks]),
        tier=np.concatenate([block.tier for block in blocks]),
        known_us=blocks[-1].known_us,
    )


def _arrays_of(frame: pl.DataFrame, fleet: Fleet, span: Span) -> Arrived:
    places = keys_of(frame, fleet, what="requests have")
    at_us = (frame.get_column("arrived_at") - span.start).dt.total_microseconds().to_numpy()
    block = Arrived(
        arrival_us=at_us,
        prompt=_tokens(frame, "input_tokens"),
        output=_tokens(frame, "output_tokens"),
        origin=_places(frame, "region", places),
        model=_places(frame, "model", places),
        tier=_places(frame, "tier", places),
        known_us=int(at_us.max()) if at_us.size else 0,
    )
    is_sorted = bool((at_us[1:] >= at_us[:-1]).all())
    return block if is_sorted else block.chosen(np.argsort(at_us, kind="stable"))


def _tokens(frame: pl.DataFrame, column: str) -> NDArray[np.int32]:
    return frame.get_column(column).clip(upper_bound=MOST_TOKENS).cast(pl.Int32).to_numpy()


def _places(frame: pl.DataFrame, column: str, places: Mapping[str, Sequence[str]]) -> NDArray[np.int16]:
    return frame.get_column(column).cast(pl.Enum(places[column])).to_physical().cast(pl.Int16).to_numpy()


def _instant(span: Span, us: int) -> str:
    return f"{span.start + timedelta(microseconds=us):%Y-%m-%d %H:%M:%S.%f}"
