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


@within
def hand(
    a: Reals, at: Place, w: Reals, s: Reals, going: np.float32, delay_s: np.float32, interactive: np.float32, i: int
) -> None:  # fmt: skip
    """Hand a pool what goes to it, with the lengths of all that is routed; ``SHARE`` is its share of that.

    ``interactive`` is 1 for requests whose first tokens are counted, else 0.
    """
    share = going / max(s[row.ALL + i], real(1e-30))
    w[row.SHARE + i] = share
    a[at + row.ARRIVING + i] += going
    a[at + row.PROMPTS + i] += share * s[row.ALL_PROMPTS + i]
    a[at + row.OUTPUTS + i] += share * s[row.ALL_OUTPUTS + i]
    a[at + row.RECENT_DELAY + i] += going * delay_s
    a[at + row.TTFT_COUNT + i] += interactive * going


@vectors
def fill_alone(
    a: Reals, at: Place, w: Reals, h: Reals, s: Reals, delay_s: np.float32, interactive: np.float32
) -> int:  # fmt: skip
    """Hand a place's only pool what it has room for and return in how many scenarios requests are left over."""
    more = np.int32(0)
    for i in range(LANES):
        ready, left = a[at + row.READY + i], s[row.LEFT + i]
        present = a[at + row.INSIDE + i] + a[at + row.ARRIVING + i] - a[at + row.FINISHED + i]
        under = a[at + row.SIGNAL + i] < h[row.ROUTE_BELOW + i]
        going = min(left, room_of(ready * a[at + row.ROUTE_EACH + i] - present, ready, under))
        left -= going
        s[row.LEFT + i] = left
        more = np.int32(more + (np.int32(1) if left > CRUMB * s[row.ALL + i] else np.int32(0)))
        hand(a, at, w, s, going, delay_s, interactive, i)
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
        ready = a[at + row.READY + i]
        present, holding = a[at + row.INSIDE + i] + a[at + row.ARRIVING + i], ready * a[at + row.ROUTE_EACH + i]
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
def take(a: Reals, at: Place, w: Reals, s: Reals, delay_s: np.float32, interactive: np.float32) -> None:
    """Hand a pool its part of the room of its place."""
    for i in range(LANES):
        hand(a, at, w, s, a[at + row.ROOM + i] * s[row.PART + i], delay_s, interactive, i)


@vectors
def take_rest(
    a: Reals, at: Place, w: Reals, s: Reals, name: np.float32, delay_s: np.float32, interactive: np.float32
) -> None:  # fmt: skip
    """Hand a pool what is left where it is the idlest."""
    for i in range(LANES):
        rest = max(s[row.LEFT + i], real(0.0)) if s[row.IDLEST + i] == name else real(0.0)
        hand(a, at, w, s, rest, delay_s, interactive, i)


@vectors
def take_tier(t: Reals, tier: Place, w: Reals, asked: Reals, own: Place) -> None:
    """Hand a tier of a pool its share of what is routed."""
    for i in range(LANES):
        t[tier + row.COMES + i] += w[row.SHARE + i] * asked[own + i]


@within
def take_tiers(b: Block, p: int) -> None:
    """Hand the tiers of a pool their shares of what went to it."""
    tiers = b.some.size
    for k in range(tiers):
        if b.some[k] > 0:
            tier = np.uint64(p * tiers + k) * row.TIER_SIZE
            take_tier(b.tiers, tier, b.work, b.asked, np.uint64(k) * LANES)


@within
def fill_place(b: Block, pools_in: Ints, delay_s: np.float32, interactive: np.float32) -> int:
    """Hand a place's pools what they have room for and return in how many scenarios requests are left over."""
    if pools_in[1] < 0:
        p = pools_in[0]
        at = np.uint64(p) * row.POOL_SIZE
        more = fill_alone(b.pools, at, b.work, b.scenario, b.scratch, delay_s, interactive)
        take_tiers(b, p)
        return more
    for p in pools_in:
        if p < 0:
            break
        offer(b.pools, np.uint64(p) * row.POOL_SIZE, b.scenario, b.scratch)
    more = fill(b.scratch)
    for p in pools_in:
        if p < 0:
            break
        take(b.pools, np.uint64(p) * row.POOL_SIZE, b.work, b.scratch, delay_s, interactive)
        take_tiers(b, p)
    return more


@within
def fill_idlest(b: Block, x: Inputs, h: int, m: int, kind: int) -> None:
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
        delay_s = real(x.network_s[h, place // x.silos])
        for p in x.pools_in[m, kind, place]:
            if p < 0:
                break
            at = np.uint64(p) * row.POOL_SIZE
            take_rest(b.pools, at, b.work, b.scratch, real(p), delay_s, real(1 - kind))
            take_tiers(b, p)


@within
def route(b: Block, x: Inputs, h: int, m: int, kind: int) -> None:
    """Route what an origin asks of a model: place by place to the threshold, the rest to the idlest pool in reach."""
    seen, more = 0, 1
    while more > 0 and seen < x.preference.shape[1] and x.preference[h, seen] >= 0:
        place = x.preference[h, seen]
        pools_in = x.pools_in[m, kind, place]
        if pools_in[0] >= 0:
            more = fill_place(b, pools_in, real(x.network_s[h, place // x.silos]), real(1 - kind))
        seen += 1
    if more > 0:
        fill_idlest(b, x, h, m, kind)
