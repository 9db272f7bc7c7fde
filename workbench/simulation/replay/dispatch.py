"""Requests find a replica: routing by the rules, the choice inside a pool, the queues of deferrable work.

A pool's signal is noted whenever a request comes to it and at every tick. What waits before a replica counts as if it
were already admitted, so a burst is seen when it arrives and not when its prompts are read; the KV held is that at the
beginning of each replica's macro-step.

Release follows the fluid simulator's rule: a pool signals at each completion, and each ready replica once per step; a
signal lets two, one or no request go as the pool's load stands then, and signals that find nothing waiting or a pool
too full lapse, at the latest with the tick.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, place, whole
from workbench.simulation.replay.balancing import least_loaded
from workbench.simulation.replay.batching import carry, enqueue, release_slot
from workbench.simulation.replay.state import (
    FIRST,
    LAST,
    NOBODY,
    SHED,
    Floats,
    Order,
    Outside,
    Requests,
    Ways,
    World,
)
from workbench.simulation.state import Pools

MIXED_OVER = 1024.0  # requests over which a pool's mean lengths are taken: fewer would scale pools out on noise


@inlined
def note_signal(w: World, pools: Pools, rules: r.Rules, p: int) -> None:
    """Note the load signal of a pool as it stands: KV cache, slots and work of what is inside, at most all slots."""
    pool, speed = pools[place(p)], w.speeds[place(p)]
    n = float(pool.ready)
    if n <= 0.0:
        pool.signal = 1.0 if speed.inside > 0.0 else 0.0
        return
    kv = min((speed.held + speed.owed) / (n * speed.room), 1.0)
    slots = min(max(speed.inside / (n * speed.batch_cap), speed.needed / (n * speed.room)), 1.0)
    each = speed.inside / n
    if slots >= 1.0:
        each = min(each, float(speed.batch_cap), speed.room * speed.inside / speed.needed)
    pool.kv, pool.slots, pool.work = kv, slots, each / (each + speed.decode_s)
    pool.signal = r.signal_of(rules, kv, slots, pool.work)


@inlined
def hand_over(
    how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, p: int, slot: int, now_s: float
) -> None:
    """Give a request to the least loaded replica of a pool, or park it where none is ready yet."""
    request = w.slots[place(slot)]
    pools[p].prompt += (request.prompt - pools[p].prompt) / MIXED_OVER
    pools[p].output += (request.output - pools[p].output) / MIXED_OVER
    carry(how, w, p, now_s)
    i = least_loaded(w, p)
    if i >= 0:
        enqueue(how, w, i, slot, now_s)
    else:
        request.next = NOBODY
        if out.parked[p, LAST] < 0:
            out.parked[p, FIRST] = slot
        else:
            w.slots[out.parked[p, LAST]].next = slot
        out.parked[p, LAST] = slot
        w.speeds[p].inside += 1.0
        w.speeds[p].needed += request.prompt + request.output
        w.speeds[p].owed += request.prompt
    out.pool_of[place(request.row)] = p
    note_signal(w, pools, rules, p)


@kernel
def hand_over_apart(
    how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, p: int, slot: int, now_s: float
) -> None:
    """Hand a request over, as a call of its own: for what is not done for every request."""
    hand_over(how, w, out, pools, rules, p, slot, now_s)


@inlined
def new_slot(w: World, out: Outside) -> int:
    """Return a free slot: one given back, else one never used."""
    if w.free_slots[0] > 0:
        slot = w.free_slots[place(w.free_slots[0])]
        w.free_slots[0] -= 1
        return whole(slot)
    out.fresh[0] += 1
    return int(out.fresh[0] - 1)


@inlined
def fitting_pool(ways: Ways, w: World, pools: Pools, rules: r.Rules, h: int, m: int, kind: int, needed: int) -> int:
    """Return the pool that a request goes to by the rules, or the nearest one that can hold it, -1 where none can."""
    p = r.choose_pool(rules, ways.preference, h, ways.pools_in, m, kind, pools)
    if p >= 0 and needed <= w.speeds[p].room:
        return p
    for i in range(ways.preference.shape[1]):
        region = ways.preference[h, i]
        if region < 0:
            break
        for j in range(ways.pools_in.shape[3]):
            other = ways.pools_in[m, kind, region, j]
            if other < 0:
                break
            if needed <= w.speeds[other].room:
                return int(other)
    return NOBODY


@inlined
def send(
    ways: Ways,
    how: Order,
    w: World,
    out: Outside,
    pools: Pools,
    rules: r.Rules,
    m: int,
    kind: int,
    slot: int,
    now_s: float,
) -> None:
    """Route a request by the rules and hand it over; one that fits in no pool is shed."""
    request = w.slots[place(slot)]
    p = fitting_pool(ways, w, pools, rules, request.origin, m, kind, request.prompt + request.output)
    if p < 0:
        out.pool_of[place(request.row)] = SHED
        release_slot(w, slot)
    else:
        hand_over(how, w, out, pools, rules, p, slot, now_s)


@kernel
def send_apart(
    ways: Ways, how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, m: int, slot: int, now_s: float
) -> None:
    """Route a deferrable request that waits for no signal, as a call of its own."""
    send(ways, how, w, out, pools, rules, m, whole(1), slot, now_s)


@kernel
def oldest_queue(w: World, out: Outside, m: int, region: int) -> tuple[int, int]:
    """Return origin and tier of the oldest deferrable request that waits in a region for a model, -1 for none."""
    origin, tier, oldest_s = -1, -1, 1e300
    for h in range(out.deferred.shape[0]):
        if out.hosts[h, m] != region:
            continue
        for k in range(out.deferred.shape[2]):
            head = out.deferred[h, m, k, FIRST]
            if head >= 0 and w.slots[head].arrival_s < oldest_s:
                origin, tier, oldest_s = h, k, w.slots[head].arrival_s
    return origin, tier


@inlined
def leave_queue(w: World, out: Outside, h: int, m: int, k: int) -> int:
    """Take the first request out of a queue of deferrable work."""
    slot = out.deferred[h, m, k, FIRST]
    out.deferred[h, m, k, FIRST] = w.slots[place(slot)].next
    if out.deferred[h, m, k, FIRST] < 0:
        out.deferred[h, m, k, LAST] = NOBODY
    out.queued[out.hosts[h, m], m] -= 1
    return whole(slot)


@inlined
def may_release(out: Outside, pools: Pools, rules: r.Rules, p: int) -> bool:
    """Return whether deferrable requests wait for a pool that has room: else a call of many numbers is spared."""
    pool = pools[place(p)]
    waits = out.queued[place(pool.region), place(pool.model)] > 0
    return bool(waits and r.released_from(rules, pool.silo, pool.signal) > 0)


@kernel
def release(ways: Ways, how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, p: int, now_s: float) -> None:
    """Let deferrable requests of a pool's region go, as many per signal of spare capacity as the rule says."""
    pool, speed = pools[place(p)], w.speeds[place(p)]
    while speed.credits >= 1.0 and out.queued[pool.region, pool.model] > 0:
        speed.credits -= 1.0
        allowed = r.released_from(rules, pool.silo, pool.signal)
        if allowed == 0:
            break
        for _ in range(allowed):
            if out.queued[pool.region, pool.model] == 0:
                break
            h, k = oldest_queue(w, out, pool.model, pool.region)
            slot = leave_queue(w, out, h, pool.model, k)
            if w.slots[place(slot)].prompt + w.slots[place(slot)].output > speed.room:
                send_apart(ways, how, w, out, pools, rules, pool.model, slot, now_s)
            else:
                hand_over_apart(how, w, out, pools, rules, p, slot, now_s)
    speed.credits = 0.0


@kernel
def release_aged(ways: Ways, how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, now_s: float) -> None:
    """Route what has grown old in the queues: it waits for no signal any more, as if it were interactive."""
    for h in range(out.deferred.shape[0]):
        for m in range(out.deferred.shape[1]):
            for k in range(out.deferred.shape[2]):
                head = out.deferred[h, m, k, FIRST]
                while head >= 0 and w.slots[head].arrival_s <= now_s - rules.ages_after_s:
                    slot = leave_queue(w, out, h, m, k)
                    send_apart(ways, how, w, out, pools, rules, m, slot, now_s)
                    head = out.deferred[h, m, k, FIRST]


@kernel
def count_waiting(w: World, out: Outside, found: Floats) -> None:
    """Add up the requests, prompt and output tokens that wait for release, by hour of arrival and series."""
    for h in range(out.deferred.shape[0]):
        for m in range(out.deferred.shape[1]):
            for k in range(out.deferred.shape[2]):
                slot = out.deferred[h, m, k, FIRST]
                while slot >= 0:
                    request = w.slots[slot]
                    cell = found[min(int(request.arrival_s / 3600.0), found.shape[0] - 1), h, m, k]
                    cell[0] += 1.0
                    cell[1] += request.prompt
                    cell[2] += request.output
                    slot = request.next


@inlined
def arrive(
    ways: Ways, how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, q: Requests, m: int, row: int
) -> None:
    """Take in one request: a deferrable one joins its queue, another is routed; spare capacity is used at once."""
    now_s, h, k = q.arrival_s[place(row)], q.origin[place(row)], q.tier[place(row)]
    slot = new_slot(w, out)
    request = w.slots[place(slot)]
    request.arrival_s = now_s
    request.row = row
    request.prompt = q.prompt[place(row)]
    request.output = q.output[place(row)]
    request.tier = k
    request.origin = h
    request.next = NOBODY
    if ways.deferrable[k] and not ways.siloed:
        if out.deferred[h, m, k, LAST] < 0:
            out.deferred[h, m, k, FIRST] = slot
        else:
            w.slots[out.deferred[h, m, k, LAST]].next = slot
        out.deferred[h, m, k, LAST] = slot
        out.queued[out.hosts[h, m], m] += 1
        return
    send(ways, how, w, out, pools, rules, m, ways.deferrable[k], slot, now_s)
    p = whole(out.pool_of[place(row)])
    if p >= 0 and may_release(out, pools, rules, p):
        release(ways, how, w, out, pools, rules, p, now_s)
    elif p >= 0 and out.queued[pools[p].region, m] > 0:
        w.speeds[p].credits = 0.0
