"""Replicas of the replay come and go, one by one, by the rules that the fluid simulator follows too."""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel, whole
from workbench.simulation.replay.balancing import note_block, note_blocks, note_key
from workbench.simulation.replay.dispatch import hand_over_apart, note_signal
from workbench.simulation.replay.pressure import watch
from workbench.simulation.replay.queues import age, take
from workbench.simulation.replay.state import (
    DPA,
    DRAINING,
    FIRST,
    LAST,
    NEVER_S,
    NOBODY,
    OFF,
    QUEUES,
    READY,
    Order,
    Outside,
    World,
)
from workbench.simulation.scaling import scale_from
from workbench.simulation.state import Inputs, Pools, Record, State


@kernel
def start_ready(how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, now_s: float) -> None:
    """Give every pool as many ready replicas as the rules say it has; what was parked goes to the first of them."""
    for p in range(pools.size):
        speed = w.speeds[p]
        while speed.active < pools[p].ready:
            i = speed.first
            while w.replicas[i].status != OFF:
                i += 1
            replica = w.replicas[i]
            replica.status = READY
            replica.heap = out.free_heaps[out.free_heaps[0]]
            out.free_heaps[0] -= 1
            speed.used = max(speed.used, i - speed.first + 1)
            speed.active += 1
            note_key(how, w, i)
            note_blocks(w, p)
        slot = whole(out.parked[p, FIRST]) if speed.active > 0 else NOBODY
        if slot >= 0:
            out.parked[p, FIRST] = NOBODY
            out.parked[p, LAST] = NOBODY
        while slot >= 0:
            request = w.slots[slot]
            following = whole(request.next)
            speed.inside -= 1.0
            speed.needed -= request.prompt + request.output
            speed.owed -= request.prompt
            hand_over_apart(how, w, out, pools, rules, p, slot, now_s)
            slot = following
        note_signal(w, pools, rules, p)


@kernel
def retire(how: Order, w: World, out: Outside, pools: Pools, rules: r.Rules, p: int, now_s: float) -> None:
    """Take the replica with the fewest requests out of routing: it finishes what it runs, what waits goes elsewhere."""
    speed, pool = w.speeds[p], pools[p]
    chosen, fewest = whole(NOBODY), 1 << 30
    for i in range(speed.first, speed.first + speed.used):
        inside = w.replicas[i].running + w.replicas[i].admitted + w.replicas[i].waiting
        if w.replicas[i].status == READY and inside < fewest:
            chosen, fewest = i, inside
    replica = w.replicas[chosen]
    replica.status = DRAINING
    note_key(how, w, chosen)
    note_block(w, chosen)
    speed.active -= 1
    pool.ready -= 1
    pool.draining += 1
    speed.held -= replica.held
    speed.inside -= replica.running + replica.admitted + replica.waiting
    speed.needed -= replica.reserved
    speed.owed -= replica.owed
    if how.scheduler == DPA:
        age(how, w, chosen, now_s)
    for queue in range(QUEUES):
        while w.queues[chosen, queue, FIRST] >= 0:
            slot = take(w, chosen, queue)
            request = w.slots[slot]
            replica.waiting -= 1
            replica.owed -= request.prompt
            speed.needed -= request.prompt + request.output
            hand_over_apart(how, w, out, pools, rules, p, slot, now_s)
    note_signal(w, pools, rules, p)


@kernel
def lend_drained(w: World, out: Outside, pools: Pools) -> None:
    """Turn replicas that have finished their last request into lent GPUs."""
    for p in range(pools.size):
        speed, pool = w.speeds[p], pools[p]
        if pool.draining == 0:
            continue
        for i in range(speed.first, speed.first + speed.used):
            replica = w.replicas[i]
            if replica.status == DRAINING and replica.running + replica.admitted == 0:
                replica.status = OFF
                w.ends_s[i] = NEVER_S
                out.free_heaps[0] += 1
                out.free_heaps[out.free_heaps[0]] = replica.heap
                pool.draining -= 1
                pool.lent_gpus += pool.gpus


@inlined
def scale(x: Inputs, s: State, rec: Record, how: Order, w: World, out: Outside, rules: r.Rules, step: int) -> None:
    """Take one step of every pool of the replay."""
    now_s = step * x.step_s
    if rules.scale_by == r.BACK_PRESSURE:
        watch(x, w, out, s.pools, rules, now_s)
    p, is_going_on = whole(NOBODY), True
    while is_going_on:  # called in one place only: a call hands over hundreds of numbers
        p = scale_from(x, s, rec, rules, step, p)
        is_going_on = p >= 0
        if is_going_on:
            retire(how, w, out, s.pools, rules, p, now_s)
