"""The choice of a replica inside a pool, by blocks of places.

Every place has a key that orders it by its load and tells its place in the block. Of a pool of hundreds the least key
and the first end of every block are kept, so that a request looks at one number in sixteen; of a few dozen places they
are looked at anew, as to keep them up to date would take longer.
"""

from __future__ import annotations

from workbench.simulation.compiling import inlined, kernel, place, whole
from workbench.simulation.replay.state import (
    BLOCK,
    BLOCK_BITS,
    FEW,
    NOBODY,
    READY,
    UNCHOSEN,
    Floats,
    Ints,
    Order,
    World,
)
from workbench.simulation.rules import replica_load


@inlined
def note_key(how: Order, w: World, i: int) -> None:
    """Note what the choice of a replica compares, and its place inside the block; places not ready take none."""
    r = w.replicas[place(i)]
    key = UNCHOSEN
    if r.status == READY:
        load = replica_load(how.balance, r.owed, whole(r.running + r.admitted + r.waiting))
        key = (load << BLOCK_BITS) + (i & (BLOCK - 1))
    w.keys[place(i)] = key


@inlined
def lesser(a: float, b: float) -> float:
    """Return the lesser of two numbers."""
    return a if a < b else b


@inlined
def least_of_block(values: Floats | Ints, begin: int) -> float:
    """Return the least of a block's values, as the least of four that are found side by side."""
    a, b, c, d = (values[place(begin)], values[place(begin + 1)], values[place(begin + 2)], values[place(begin + 3)])
    for i in range(begin + 4, begin + BLOCK, 4):
        a, b = lesser(values[place(i)], a), lesser(values[place(i + 1)], b)
        c, d = lesser(values[place(i + 2)], c), lesser(values[place(i + 3)], d)
    return lesser(lesser(a, b), lesser(c, d))


@inlined
def note_block(w: World, i: int) -> None:
    """Note the first end and the least key of a replica's block, after one of the block has changed."""
    block = i >> BLOCK_BITS
    w.first_end_s[place(block)] = least_of_block(w.ends_s, block << BLOCK_BITS)
    w.least_keys[place(block)] = least_of_block(w.keys, block << BLOCK_BITS)


@kernel
def note_blocks(w: World, p: int) -> None:
    """Note the ends and keys of all blocks of a pool, whose places in use have become more."""
    first = w.speeds[p].first
    for i in range(first, first + w.speeds[p].used, BLOCK):
        note_block(w, i)


@inlined
def least_loaded(w: World, p: int) -> int:
    """Return the least loaded of a pool's ready replicas, the first of equals; NOBODY where none is ready."""
    first, last = w.speeds[place(p)].first, w.speeds[place(p)].first + w.speeds[place(p)].used
    best, best_load = whole(NOBODY), UNCHOSEN >> BLOCK_BITS
    for block in range(first >> BLOCK_BITS, (last + BLOCK - 1) >> BLOCK_BITS):
        begin = block << BLOCK_BITS
        key = int(w.least_keys[place(block)] if last - first > FEW else least_of_block(w.keys, begin))
        load, i = key >> BLOCK_BITS, begin + (key & (BLOCK - 1))
        best, best_load = (i, load) if load < best_load else (best, best_load)
    return best
