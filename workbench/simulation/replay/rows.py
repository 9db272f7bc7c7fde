"""The rows that the replay runs on: what is inside, what is ahead, and room for what becomes of each.

Between two blocks a request that has ended or was shed leaves. Who is still inside moves to the front and keeps its
slot, which learns the new row; so memory follows the block and what is inside, never what has been.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.simulation.replay.arrivals import Arrived
from workbench.simulation.replay.state import E2E, NOBODY, SHED, SLOT, Outside, Requests, World

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Requests with the world and the outside that hold their rows, and their numbers in order of arrival.

    In front lie those taken in before, by arrival; then the block, by model and arrival.
    """

    requests: Requests
    world: World
    outside: Outside
    number: Ints
    known: int  # how many have been numbered

    @property
    def inside(self) -> int:
        """How many rows in front belong to requests of earlier blocks."""
        return int(self.requests.first[0])


def no_requests(models: int) -> Requests:
    """Return the rows before the first block."""
    return Requests(
        arrival_s=np.zeros(0),
        prompt=np.zeros(0, dtype=np.int32),
        output=np.zeros(0, dtype=np.int32),
        origin=np.zeros(0, dtype=np.int16),
        tier=np.zeros(0, dtype=np.int16),
        model=np.zeros(0, dtype=np.int16),
        first=np.zeros(models, dtype=np.int64),
        position=np.zeros(models, dtype=np.int64),
        last=np.zeros(models, dtype=np.int64),
    )


def settled(rows: Rows) -> Flags:
    """Return which rows have ended or were shed: nothing will become of them any more."""
    return np.asarray(np.isfinite(rows.world.latencies_s[:, E2E]) | (rows.outside.pool_of == SHED))


def taken_in(rows: Rows) -> Flags:
    """Return which rows have arrived as far as the replay has come."""
    requests = rows.requests
    taken = np.zeros(requests.arrival_s.size, dtype=bool)
    taken[: rows.inside] = True
    for first, position in zip(requests.first, requests.position, strict=True):
        taken[first:position] = True
    return taken


def followed_by(rows: Rows, block: Arrived, *, is_numbered: bool) -> Rows:
    """Return the rows once a block has been added and what is settled has left."""
    before, taken = rows.requests, taken_in(rows)
    inside, ahead = np.flatnonzero(taken & ~settled(rows)), np.flatnonzero(~taken)
    inside = inside[np.argsort(before.arrival_s[inside], kind="stable")]
    models = np.concatenate([before.model[ahead], block.model])
    order = np.argsort(models, kind="stable")
    columns = {
        name: np.concatenate([old[inside], np.concatenate([old[ahead], new])[order]])
        for name, old, new in (
            ("arrival_s", before.arrival_s, block.arrival_us / 1e6),
            ("prompt", before.prompt, block.prompt),
            ("output", before.output, block.output),
            ("origin", before.origin, block.origin),
            ("tier", before.tier, block.tier),
            ("model", before.model, block.model),
        )
    }
    counts = np.bincount(models, minlength=before.last.size)
    last = inside.size + np.cumsum(counts)
    coming = np.arange(rows.known, rows.known + block.model.size)
    return Rows(
        requests=Requests(**columns, first=last - counts, position=last - counts, last=last),
        world=_world(rows, inside, order.size),
        outside=rows.outside._replace(pool_of=_kept(rows.outside.pool_of, inside, order.size, NOBODY)),
        number=np.concatenate([rows.number[inside], np.concatenate([rows.number[ahead], coming])[order]])
        if is_numbered
        else rows.number,
        known=rows.known + block.model.size,
    )


def _kept(old: NDArray[Number], inside: Ints, new: int, empty: float) -> NDArray[Number]:
    """Return the values of those inside, followed by empty ones."""
    values = np.full((inside.size + new, *old.shape[1:]), empty, dtype=old.dtype)
    values[: inside.size] = old[inside]
    return values


def _world(rows: Rows, inside: Ints, new: int) -> World:
    """Return the world with slots for all that may be inside at once; those in use know their new rows."""
    world, used = rows.world, int(rows.outside.fresh[0])
    slots, free_slots = world.slots, world.free_slots
    if slots.size < used + new + 1:
        slots = np.zeros(used + new + 1, SLOT).view(np.recarray)
        slots[:used] = world.slots[:used]
        free_slots = np.zeros(slots.size + 1, dtype=np.int32)
        free_slots[: used + 1] = world.free_slots[: used + 1]
    moved_to = np.full(rows.requests.arrival_s.size + 1, NOBODY)  # one more: the row of a free slot is NOBODY
    moved_to[inside] = np.arange(inside.size)
    slots["row"][:used] = moved_to[slots["row"][:used]]
    return world._replace(slots=slots, free_slots=free_slots, latencies_s=_kept(world.latencies_s, inside, new, np.nan))
