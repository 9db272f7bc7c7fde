"""Requests of the fluid simulator find a pool: routing, the queue of deferrable work and its release.

The rules of :mod:`.rules` speak of one request; a step brings many, so here they are followed in the limit of small
requests. The interactive tiers of an origin and model are routed together: the rules treat them alike.
"""

from __future__ import annotations

import math

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.state import Floats, Inputs, Ints, Pools, State

TOGETHER = -1  # in place of a tier: the interactive ones, each with its share
REQUESTS, PROMPT, OUTPUT = range(3)


@inlined
def send(s: State, p: int, h: int, m: int, k: int, requests: float, prompt: float, output: float) -> None:
    """Hand requests to a pool and mix their lengths into those of what is inside."""
    pool, inflow = s.pools[p], s.inflow
    share = requests / (pool.inside + pool.arriving + requests)
    pool.prompt += share * (prompt - pool.prompt)
    pool.output += share * (output - pool.output)
    pool.arriving += requests
    if k >= 0:
        inflow[p, h, k] += requests
    else:
        for tier in range(inflow.shape[2]):
            inflow[p, h, tier] += requests * s.share[h, m, tier]


@inlined
def taken(pools: Pools, p: int) -> float:
    """Return what is in the pool after this step so far, if it completes as many as in the last."""
    return float(pools[p].inside + pools[p].arriving - pools[p].finished)


@inlined
def room_in(pools: Pools, rules: r.Rules, p: int) -> float:
    """Return how many requests a pool under the routing threshold takes before it is over it, nought otherwise."""
    pool = pools[p]
    if pool.ready <= 0 or pool.signal >= rules.route_below:
        return 0.0
    return float(max(pool.ready * pool.route_each - taken(pools, p), 0.0) + pool.ready)


@kernel
def idlest_of(pools: Pools, preference: Ints, pools_in: Ints, h: int, m: int, kind: int) -> int:
    """Return the pool in reach that is least full, one without a ready replica only where there is no other."""
    idlest, fullness = -1, math.inf
    for i in range(preference.shape[1]):
        if preference[h, i] < 0:
            break
        for j in range(pools_in.shape[3]):
            p = pools_in[m, kind, preference[h, i], j]
            if p < 0:
                break
            ratio = math.inf
            if pools[p].ready > 0:
                ratio = (pools[p].inside + pools[p].arriving) / max(pools[p].ready * pools[p].route_each, 1e-9)
            if idlest < 0 or ratio < fullness:
                idlest, fullness = p, ratio
    return idlest


@inlined
def fill(
    s: State, pools_in: Ints, rules: r.Rules, place: int, h: int, m: int, k: int, kind: int, requests: float,
    prompt: float, output: float,
) -> float:  # fmt: skip
    """Send requests to the pools of a place as far as those have room, in proportion to it, and return how many."""
    pools, only, room, sent = s.pools, pools_in[m, kind, place, 0], 0.0, 0.0
    if only >= 0 and pools_in[m, kind, place, 1] < 0:  # as a rule: then there is nothing to share out
        sent = min(requests, room_in(pools, rules, only))
        if sent > 0.0:
            send(s, only, h, m, k, sent, prompt, output)
        return sent
    for j in range(pools_in.shape[3]):
        p = pools_in[m, kind, place, j]
        if p < 0:
            break
        room += room_in(pools, rules, p)
    for j in range(pools_in.shape[3]):
        p = pools_in[m, kind, place, j]
        if p < 0 or room <= 0.0:
            break
        going = min(requests / room, 1.0) * room_in(pools, rules, p)
        if going > 0.0:
            send(s, p, h, m, k, going, prompt, output)
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
    send(s, idlest_of(s.pools, preference, pools_in, h, m, kind), h, m, k, left, prompt, output)


@inlined
def release(
    s: State, pools_in: Ints, rules: r.Rules, first: int, after: int, h: int, m: int, k: int, queued: float,
    prompt: float, output: float,
) -> float:  # fmt: skip
    """Let queued deferrable requests go on signals of spare capacity in the places [first, after); return how many.

    A pool signals at each completion, and each ready replica once per step, so that an idle pool is fed too.
    """
    pools, going = s.pools, 0.0
    for place in range(first, after):
        for i in range(pools_in.shape[3]):
            p = pools_in[m, 1, place, i]
            if p < 0 or queued <= going:
                break
            allowed = r.released_from(rules, pools[p].silo, pools[p].signal) * (pools[p].finished + pools[p].ready)
            room = max(pools[p].ready * pools[p].release_each - taken(pools, p), 0.0)
            batch = min(queued - going, allowed, room)
            if batch > 0.0:
                send(s, p, h, m, k, batch, prompt, output)
                going += batch
    return going


@kernel
def join_tiers(x: Inputs, s: State, step: int) -> None:
    """Sum up what a step of this demand window brings of all interactive tiers, and each tier's share of it."""
    w, block, joint, share = step // x.demand_steps, step // x.mean_steps, s.joint, s.share
    for h in range(joint.shape[0]):
        for m in range(joint.shape[1]):
            requests = prompts = outputs = 0.0
            for k in range(share.shape[2]):
                rps = 0.0 if x.deferrable[k] else x.rps[w, h, m, k]
                share[h, m, k] = rps
                requests += rps
                prompts += rps * x.prompt_mean[block, h, m, k]
                outputs += rps * x.output_mean[block, h, m, k]
            joint[h, m, REQUESTS] = requests * x.step_s
            if requests > 0.0:
                joint[h, m, PROMPT], joint[h, m, OUTPUT] = prompts / requests, outputs / requests
                for k in range(share.shape[2]):
                    share[h, m, k] /= requests


@inlined
def arrive(x: Inputs, s: State, rules: r.Rules, step: int) -> None:
    """Bring in one step's arrivals: interactive ones are routed; deferrable ones queued, and released when it is time.

    What has grown old in the queue waits for no signal any more, as if it were interactive.
    """
    joint, w, block = s.joint, step // x.demand_steps, step // x.mean_steps
    old = step - int(rules.ages_after_s / x.step_s)
    if step == w * x.demand_steps or step == block * x.mean_steps:
        join_tiers(x, s, step)
    for h in range(joint.shape[0]):
        for m in range(joint.shape[1]):
            if joint[h, m, REQUESTS] > 0.0:
                route(
                    s, x.preference, x.pools_in, rules, h, m, TOGETHER, 0, joint[h, m, REQUESTS], joint[h, m, PROMPT],
                    joint[h, m, OUTPUT],
                )  # fmt: skip
            for d in range(x.deferred.size):
                take_in_deferrable(x, s, rules, step, w, block, old, h, m, d)


@inlined
def take_in_deferrable(
    x: Inputs, s: State, rules: r.Rules, step: int, w: int, block: int, old: int, h: int, m: int, d: int
) -> None:
    """Queue a step's arrivals of a deferrable tier, send what has grown old and release what there is room for.

    The queue stands at home, or in the nearest region that hosts the model.
    """
    k, arrived, released = x.deferred[d], s.arrived, s.released
    requests = x.rps[w, h, m, k] * x.step_s
    arrived[step + 1, h, m, d] = arrived[step, h, m, d] + requests
    queued, due = arrived[step + 1, h, m, d] - released[h, m, d], requests
    if queued <= 0.0:
        return
    if not x.siloed:
        due = min(max(arrived[old, h, m, d] - released[h, m, d], 0.0), queued) if old >= 0 else 0.0
    prompt, output = x.prompt_mean[block, h, m, k], x.output_mean[block, h, m, k]
    if due > 0.0:
        route(s, x.preference, x.pools_in, rules, h, m, k, 1, due, prompt, output)
    if not x.siloed and queued > due and x.hosts[h, m] >= 0:
        first = x.hosts[h, m] * x.silos
        due += release(s, x.pools_in, rules, first, first + x.silos, h, m, k, queued - due, prompt, output)
    released[h, m, d] += due


@kernel
def count_arrivals(x: Inputs, coming: Floats, first: int, last: int) -> None:
    """Add the arrivals of the steps [first, last) to those of every origin, model and tier."""
    for w in range(first // x.demand_steps, (last - 1) // x.demand_steps + 1):
        lasts_s = (min(last, (w + 1) * x.demand_steps) - max(first, w * x.demand_steps)) * x.step_s
        for h in range(coming.shape[0]):
            for m in range(coming.shape[1]):
                for k in range(coming.shape[2]):
                    coming[h, m, k] += x.rps[w, h, m, k] * lasts_s
