"""Requests of the fluid simulator find a pool: routing, the queue of deferrable work and its release.

The rules of :mod:`.rules` speak of one request; a step brings many, so here they are followed in the limit of small
requests. The interactive tiers of an origin and model are routed together: the rules treat them alike.
"""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, vectors
from workbench.simulation.fluid.athome import hand_back, offer, stay_home, take_up, tell_home
from workbench.simulation.fluid.service import NOTHING
from workbench.simulation.state import (
    OUTPUT,
    PROMPT,
    RANK_BITS,
    REQUESTS,
    SEAT,
    TOGETHER,
    Floats,
    Inputs,
    Ints,
    Rank,
    Ranks,
    State,
)

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


@vectors
def is_any(together: Floats) -> bool:
    """Return whether any requests were routed together."""
    count = 0
    for i in range(together.size):
        count += 1 if together.flat[i] > 0.0 else 0
    return count > 0


@kernel
def tell_apart(x: Inputs, s: State) -> None:
    """Share the interactive requests that were routed together out to their tiers."""
    together, share = s.together, s.share
    if not is_any(together):
        if x.homes.shape[0] > 0:
            tell_home(x, s)
        return
    hand_back(x, s)
    for p in range(together.shape[0]):
        m, i = s.pools[p].model, p & SEAT
        for h in range(together.shape[1]):
            requests = together[p, h]
            if requests > 0.0:
                together[p, h], told = 0.0, 0.0
                for k in range(share.shape[2]):
                    s.crews[p >> RANK_BITS, h, k].inflow[i] += requests * share[h, m, k]
                    told += share[h, m, k]
                    if told >= 1.0:  # nothing is left, and a loop that may end anywhere is not made one of scatters
                        break


@kernel
def join_tiers(x: Inputs, s: State, step: int) -> None:
    """Note what a step of this demand window brings: of all interactive tiers together, and of each deferrable one."""
    w, block = step // x.demand_steps, step // x.mean_steps
    note_brought(x.rps[w], x.prompt_mean[block], x.output_mean[block], x.deferrable, s.brought, s.share, x.step_s)
    s.noted[0] = w


@inlined
def offer_window(
    x: Inputs, s: State, step: int, until: int, age_steps: int, told: int, is_first: bool
) -> bool:  # fmt: skip
    """Note what the steps of a demand window bring to queues and seats; return whether all may stay at home before one.

    Whose the requests were was told apart last at ``told``; those since then came as the window before had them.
    """
    if step > told:
        tell_apart(x, s)
    queue_up(x, s.arrived, step, until)
    return offer(x, s, step, until, age_steps, is_first)


@kernel
def queue_up(x: Inputs, arrived: Floats, first: int, last: int) -> None:
    """Note in whole what will have come of every deferrable tier after each of the steps [first, last) of a window."""
    queues, cells = x.deferred.size, arrived.shape[1] * arrived.shape[2]
    rates, width = first // x.demand_steps * cells * x.deferrable.size, cells * queues
    for cell in range(cells):
        for d in range(queues):
            at = first * width + cell * queues + d
            total, each = arrived.flat[at], x.rps.flat[rates + cell * x.deferrable.size + x.deferred[d]] * x.step_s
            for after in range(1, min(last, arrived.shape[0] - 1) - first + 1):
                total += each
                arrived.flat[at + after * width] = total


@vectors
def note_brought(
    rps: Floats, prompt_mean: Floats, output_mean: Floats, deferrable: Ints, brought: Floats, share: Floats,
    step_s: float,
) -> None:  # fmt: skip
    """Note requests, mean prompt and mean output by origin and model, and each interactive tier's share."""
    for h in range(brought.shape[0]):
        for m in range(brought.shape[1]):
            requests = prompts = outputs = 0.0
            for k in range(share.shape[2]):
                own = 0.0 if deferrable[k] else rps[h, m, k]
                requests += own
                prompts += own * prompt_mean[h, m, k]
                outputs += own * output_mean[h, m, k]
            each, d = 1.0 / max(requests, NOTHING), TOGETHER
            brought[h, m, d, REQUESTS] = requests * step_s
            brought[h, m, d, PROMPT], brought[h, m, d, OUTPUT] = prompts * each, outputs * each
            for k in range(share.shape[2]):
                share[h, m, k] = 0.0 if deferrable[k] else rps[h, m, k] * each
                if deferrable[k]:
                    d += 1
                    brought[h, m, d, REQUESTS] = rps[h, m, k] * step_s
                    brought[h, m, d, PROMPT], brought[h, m, d, OUTPUT] = prompt_mean[h, m, k], output_mean[h, m, k]


@inlined
def bring_in(x: Inputs, s: State, rules: r.Rules, step: int, age_steps: int, may_stay: bool) -> None:
    """Bring in one step's arrivals: to all pools at once where all may stay at home, else origin by origin."""
    stays = may_stay
    if stays:
        stays = stay_home(s.few, rules) if s.few.size > 0 else stay_home(s.ranks, rules)
    if not stays:
        if s.noted[0] != step // x.demand_steps:
            join_tiers(x, s, step)
        arrive(x, s, rules, step, age_steps)


@inlined
def arrive(x: Inputs, s: State, rules: r.Rules, step: int, age_steps: int) -> None:
    """Bring in one step's arrivals: interactive ones are routed; deferrable ones queued, and released when it is time.

    What has waited in the queue for ``age_steps`` waits for no signal any more, as if it were interactive.
    """
    hand_back(x, s)
    brought, nearest = s.brought, x.nearest
    for h in range(brought.shape[0]):
        for m in range(brought.shape[1]):
            p, offer = nearest[h, m], brought[h, m, TOGETHER]
            if p >= 0 and offer[REQUESTS] <= room_in(s.ranks, rules, p):  # as a rule
                send(s, p, h, NOBODY, offer[REQUESTS], offer[PROMPT], offer[OUTPUT])
            elif offer[REQUESTS] > 0.0:
                route(
                    s, x.preference, x.pools_in, rules, h, m, NOBODY, 0, offer[REQUESTS], offer[PROMPT], offer[OUTPUT]
                )
            for d in range(x.deferred.size):
                take_in_deferrable(x, s, rules, step, step - age_steps, h, m, d)
    take_up(x, s, step + 1)


@inlined
def take_in_deferrable(x: Inputs, s: State, rules: r.Rules, step: int, old: int, h: int, m: int, d: int) -> None:
    """Send what has grown old in the queue of a deferrable tier and release what there is room for.

    The queue stands at home, or in the nearest region that hosts the model.
    """
    k, arrived, released, offer = x.deferred[d], s.arrived, s.released, s.brought[h, m, d + 1]
    requests, prompt, output = offer[REQUESTS], offer[PROMPT], offer[OUTPUT]
    gone, due = released[h, m, d], requests
    queued = arrived[step + 1, h, m, d] - gone
    if queued <= 0.0:
        return
    if not x.siloed:
        due = min(max(arrived[old, h, m, d] - gone, 0.0), queued) if old >= 0 else 0.0
    if due > 0.0:
        route(s, x.preference, x.pools_in, rules, h, m, k, 1, due, prompt, output)
    if not x.siloed and queued > due and x.hosts[h, m] >= 0:
        first = x.hosts[h, m] * x.silos
        due += release(s, x.pools_in, rules, first, first + x.silos, h, m, k, queued - due, prompt, output)
    released[h, m, d] = gone + due


@kernel
def count_arrivals(x: Inputs, coming: Floats, first: int, last: int) -> None:
    """Add the arrivals of the steps [first, last) to those of every origin, model and tier."""
    for w in range(first // x.demand_steps, (last - 1) // x.demand_steps + 1):
        lasts_s = (min(last, (w + 1) * x.demand_steps) - max(first, w * x.demand_steps)) * x.step_s
        for i in range(coming.size):
            coming.flat[i] += x.rps.flat[w * coming.size + i] * lasts_s
