"""Requests of the fluid simulator find a pool: those that are routed, and the deferrable ones that are released.

The rules of :mod:`.rules` speak of one request; a step brings many, so here they are followed in the limit of small
requests.
"""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.state import RANK_BITS, SEAT, Ints, Rank, Ranks, State

NOBODY = -1  # in place of a tier: the interactive ones, each with its share


@inlined
def send(s: State, p: int, h: int, k: int, requests: float, prompt: float, output: float) -> None:
    """Hand requests to a pool; their lengths are mixed into those of what is inside when the pool serves."""
    rank, i = s.ranks[p >> RANK_BITS], p & SEAT
    rank.arriving[i] += requests
    rank.prompts[i] += requests * prompt
    rank.outputs[i] += requests * output
    if k >= 0:
        s.crews[p >> RANK_BITS, h, k].inflow[i] += requests
    else:
        s.together[p, h] += requests


@inlined
def taken(rank: Rank, i: int) -> float:
    """Return what is in the pool after this step so far, if it completes as many as in the last."""
    return float(rank.inside[i] + rank.arriving[i] - rank.finished[i])


@inlined
def room_in(ranks: Ranks, rules: r.Rules, p: int) -> float:
    """Return how many requests a pool under the routing threshold takes before it is over it, nought otherwise."""
    rank, i = ranks[p >> RANK_BITS], p & SEAT
    ready = rank.ready[i]
    if ready <= 0.0 or rank.signal[i] >= rules.route_below:
        return 0.0
    return float(max(ready * rank.route_each[i] - taken(rank, i), 0.0) + ready)


@kernel
def idlest_of(ranks: Ranks, preference: Ints, pools_in: Ints, h: int, m: int, kind: int) -> int:
    """Return the pool in reach that is least full, one without a ready replica only where there is no other."""
    idlest, fullness = -1, math.inf
    for i in range(preference.shape[1]):
        if preference[h, i] < 0:
            break
        for j in range(pools_in.shape[3]):
            p = pools_in[m, kind, preference[h, i], j]
            if p < 0:
                break
            rank, place = ranks[p >> RANK_BITS], p & SEAT
            ready, ratio = rank.ready[place], math.inf
            if ready > 0.0:
                there = rank.inside[place] + rank.arriving[place]
                ratio = there / max(ready * rank.route_each[place], 1e-9)
            if idlest < 0 or ratio < fullness:
                idlest, fullness = p, ratio
    return idlest


@inlined
def fill(
    s: State, pools_in: Ints, rules: r.Rules, place: int, h: int, m: int, k: int, kind: int, requests: float,
    prompt: float, output: float,
) -> float:  # fmt: skip
    """Send requests to the pools of a place as far as those have room, in proportion to it, and return how many."""
    ranks, only, room, sent = s.ranks, pools_in[m, kind, place, 0], 0.0, 0.0
    if only >= 0 and pools_in[m, kind, place, 1] < 0:  # as a rule: then there is nothing to share out
        sent = min(requests, room_in(ranks, rules, only))
        if sent > 0.0:
            send(s, only, h, k, sent, prompt, output)
        return sent
    for j in range(pools_in.shape[3]):
        p = pools_in[m, kind, place, j]
        if p < 0:
            break
        room += room_in(ranks, rules, p)
    for j in range(pools_in.shape[3]):
        p = pools_in[m, kind, place, j]
        if p < 0 or room <= 0.0:
            break
        going = min(requests / room, 1.0) * room_in(ranks, rules, p)
        if going > 0.0:
            send(s, p, h, k, going, prompt, output)
            sent += going
    return sent


@inlined
def route(
    s: State, preference: Ints, pools_in: Ints, rules: r.Rules, h: int, m: int, k: int, kind: int, requests: float,
    prompt: float, output: float,
) -> None:  # fmt: skip
    """Route a step's requests as the rule does one by one: place by place to the threshold, the rest to the idlest.

    Inside a place the pools share what comes in proportion to their room, as requests that each go to the least loaded
    pool would. A pool just under the threshold takes one more request on each replica, which lifts its signal over it;
    so a pool whose overflow goes elsewhere still asks for another replica.
    """
    left = requests
    for i in range(preference.shape[1]):
        if preference[h, i] < 0:
            break
        left -= fill(s, pools_in, rules, preference[h, i], h, m, k, kind, left, prompt, output)
        if left <= 1e-12 * requests:
            return
    send(s, idlest_of(s.ranks, preference, pools_in, h, m, kind), h, k, left, prompt, output)


@inlined
def release(
    s: State, pools_in: Ints, rules: r.Rules, first: int, after: int, h: int, m: int, k: int, queued: float,
    prompt: float, output: float,
) -> float:  # fmt: skip
    """Let queued deferrable requests go on signals of spare capacity in the places [first, after); return how many.

    A pool signals at each completion, and each ready replica once per step, so that an idle pool is fed too.
    """
    ranks, going = s.ranks, 0.0
    for place in range(first, after):
        for j in range(pools_in.shape[3]):
            p = pools_in[m, 1, place, j]
            if p < 0 or queued <= going:
                break
            rank, i = ranks[p >> RANK_BITS], p & SEAT
            each, ready = r.released_from(rules, s.pools[p].silo, rank.signal[i]), rank.ready[i]
            room = max(ready * rank.release_each[i] - taken(rank, i), 0.0)
            batch = min(queued - going, each * (rank.finished[i] + ready), room)
            if batch > 0.0:
                send(s, p, h, k, batch, prompt, output)
                going += batch
    return going
