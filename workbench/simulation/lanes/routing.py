"""Where the requests of an origin and model go: place by place to the threshold, the rest to the idlest pool.

The rules are those of :mod:`workbench.simulation.fluid.routing`, followed by a loop over scenarios for every deed.
Arrays: ``a`` pools, ``t`` tiers in pools, ``w`` work, ``h`` scenario, ``s`` scratch (:mod:`.layout`).
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.compiling import vectors, within
from workbench.simulation.lanes.layout import LANES, Block, Ints, Place, Reals, real
from workbench.simulation.state import Inputs

NOBODY = real(2e30)
NOT_READY = real(1e30)
CRUMB = real(1e-6)  # of the requests: what rounding leaves


@vectors
def nothing_asked(s: Reals) -> None:
    """Begin the sums of one origin and model."""
    for i in range(LANES):
        s[row.ALL + i] = real(0.0)
        s[row.LEFT + i] = real(0.0)
        s[row.ALL_PROMPTS + i] = real(0.0)
        s[row.ALL_OUTPUTS + i] = real(0.0)


@vectors
def ask(
    s: Reals, asked: Reals, tier: Place, load: Reals, factor: Place, requests: np.float32, prompt: np.float32,
    output: np.float32, others: np.float32,
) -> None:  # fmt: skip
    """Add a tier's requests of this step to those of its origin and model: ``others`` is 0 for the first, then 1."""
    for i in range(LANES):
        amount = load[factor + i] * requests
        everything = others * s[row.ALL + i] + amount
        asked[tier + i] = amount
        s[row.ALL + i] = everything
        s[row.LEFT + i] = everything
        s[row.ALL_PROMPTS + i] = others * s[row.ALL_PROMPTS + i] + amount * prompt
        s[row.ALL_OUTPUTS + i] = others * s[row.ALL_OUTPUTS + i] + amount * output


@within
def room_of(below: np.float32, ready: np.float32, under: bool) -> np.float32:
    """Return how many requests a pool takes before it is over the threshold, ``below`` more and one on each replica."""
    return max(below, real(0.0)) + ready if under and ready > real(0.0) else real(0.0)


@vectors
def offer_alone(a: Reals, at: Place, h: Reals, s: Reals) -> int:
    """Fill the room of a place's only pool and return in how many scenarios requests are left over."""
    more = np.int32(0)
    for i in range(LANES):
        ready, left = a[at + row.READY + i], s[row.LEFT + i]
        present = a[at + row.INSIDE + i] + a[at + row.ARRIVING + i] - a[at + row.FINISHED + i]
        under = a[at + row.SIGNAL + i] < h[row.ROUTE_BELOW + i]
        going = min(left, room_of(ready * a[at + row.ROUTE_EACH + i] - present, ready, under))
        left -= going
        a[at + row.ROOM + i] = going
        s[row.LEFT + i] = left
        more = np.int32(more + (np.int32(1) if left > CRUMB * s[row.ALL + i] else np.int32(0)))
    return int(more)


@vectors
def offer(a: Reals, at: Place, h: Reals, s: Reals) -> None:
    """Add a pool's room to that of its place."""
    for i in range(LANES):
        ready = a[at + row.READY + i]
        present = a[at + row.INSIDE + i] + a[at + row.ARRIVING + i] - a[at + row.FINISHED + i]
        under = a[at + row.SIGNAL + i] < h[row.ROUTE_BELOW + i]
        room = room_of(ready * a[at + row.ROUTE_EACH + i] - present, ready, under)
        a[at + row.ROOM + i] = room
        s[row.EACH + i] += room


@vectors
def compare(a: Reals, at: Place, s: Reals, name: np.float32, first: bool) -> None:
    """Note whether a pool is the idlest so far, with what goes to it already."""
    for i in range(LANES):
        ready, going = a[at + row.READY + i], a[at + row.ROOM + i]
        present, holding = a[at + row.INSIDE + i] + a[at + row.ARRIVING + i] + going, ready * a[at + row.ROUTE_EACH + i]
        fullness = present / max(holding, real(1e-9))
        fullness = fullness if ready > real(0.0) else NOT_READY
        most = NOBODY if first else s[row.FULLNESS + i]
        s[row.IDLEST + i] = name if fullness < most else s[row.IDLEST + i]
        s[row.FULLNESS + i] = min(fullness, most)


@vectors
def fill(s: Reals) -> int:
    """Fill the room of a region of several pools and return in how many scenarios requests are left over."""
    more = np.int32(0)
    for i in range(LANES):
        left, room = s[row.LEFT + i], s[row.EACH + i]
        part = min(left / max(room, real(1e-9)), real(1.0)) if room > real(0.0) else real(0.0)
        left -= min(left, room)  # a crumb that rounding leaves would be routed where another scenario has more
        s[row.PART + i] = part
        s[row.EACH + i] = real(0.0)
        s[row.LEFT + i] = left
        more = np.int32(more + (np.int32(1) if left > CRUMB * s[row.ALL + i] else np.int32(0)))
    return int(more)


@vectors
def settle(a: Reals, at: Place, s: Reals) -> None:
    """Turn a pool's room into what goes to it."""
    for i in range(LANES):
        a[at + row.ROOM + i] *= s[row.PART + i]


@vectors
def take_rest(a: Reals, at: Place, s: Reals, name: np.float32) -> None:
    """Let the pool take what is left where it is the idlest."""
    for i in range(LANES):
        a[at + row.ROOM + i] += max(s[row.LEFT + i], real(0.0)) if s[row.IDLEST + i] == name else real(0.0)


@vectors
def take(a: Reals, at: Place, w: Reals, s: Reals, delay_s: np.float32, interactive: np.float32) -> None:
    """Hand a pool what goes to it, with the lengths of all that is routed; ``SHARE`` is its share of that.

    ``interactive`` is 1 for requests whose first tokens are counted, else 0.
    """
    for i in range(LANES):
        going = a[at + row.ROOM + i]
        share = going / max(s[row.ALL + i], real(1e-30))
        w[row.SHARE + i] = share
        a[at + row.ARRIVING + i] += going
        a[at + row.PROMPTS + i] += share * s[row.ALL_PROMPTS + i]
        a[at + row.OUTPUTS + i] += share * s[row.ALL_OUTPUTS + i]
        a[at + row.RECENT + i] += going
        a[at + row.RECENT_DELAY + i] += going * delay_s
        a[at + row.TTFT_COUNT + i] += interactive * going


@vectors
def take_tier(t: Reals, tier: Place, w: Reals, asked: Reals, own: Place) -> None:
    """Hand a tier of a pool its share of what is routed."""
    for i in range(LANES):
        t[tier + row.COMES + i] += w[row.SHARE + i] * asked[own + i]


@within
def offer_place(b: Block, pools_in: Ints) -> int:
    """Fill the room of a place's pools and return in how many scenarios requests are left over."""
    if pools_in[1] < 0:
        return offer_alone(b.pools, np.uint64(pools_in[0]) * row.POOL_SIZE, b.scenario, b.scratch)
    for p in pools_in:
        if p < 0:
            break
        offer(b.pools, np.uint64(p) * row.POOL_SIZE, b.scenario, b.scratch)
    more = fill(b.scratch)
    for p in pools_in:
        if p < 0:
            break
        settle(b.pools, np.uint64(p) * row.POOL_SIZE, b.scratch)
    return more


@within
def find_idlest(b: Block, x: Inputs, h: int, m: int, kind: int) -> None:
    """Let the idlest pool in reach take what is left."""
    first = True
    for place in x.preference[h]:
        if place < 0:
            break
        for p in x.pools_in[m, kind, place]:
            if p < 0:
                break
            compare(b.pools, np.uint64(p) * row.POOL_SIZE, b.scratch, real(p), first)
            first = False
    for place in x.preference[h]:
        if place < 0:
            break
        for p in x.pools_in[m, kind, place]:
            if p < 0:
                break
            take_rest(b.pools, np.uint64(p) * row.POOL_SIZE, b.scratch, real(p))


@within
def hand_over(b: Block, p: int, delay_s: np.float32, interactive: np.float32) -> None:
    """Hand a pool its part of what is routed, tier by tier."""
    tiers, at = b.some.size, np.uint64(p) * row.POOL_SIZE
    take(b.pools, at, b.work, b.scratch, delay_s, interactive)
    for k in range(tiers):
        if b.some[k] > 0:
            tier = np.uint64(p * tiers + k) * row.TIER_SIZE
            take_tier(b.tiers, tier, b.work, b.asked, np.uint64(k) * LANES)


@within
def route(b: Block, x: Inputs, h: int, m: int, kind: int) -> None:
    """Route what an origin asks of a model: place by place to the threshold, the rest to the idlest pool in reach."""
    seen, more = 0, 1
    while more > 0 and seen < x.preference.shape[1] and x.preference[h, seen] >= 0:
        pools_in = x.pools_in[m, kind, x.preference[h, seen]]
        if pools_in[0] >= 0:
            more = offer_place(b, pools_in)
        seen += 1
    if more > 0:
        find_idlest(b, x, h, m, kind)
    for j in range(seen):
        place = x.preference[h, j]
        for p in x.pools_in[m, kind, place]:
            if p < 0:
                break
            hand_over(b, p, real(x.network_s[h, place // x.silos]), real(1 - kind))
