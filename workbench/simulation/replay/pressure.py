"""What back-pressure is read from in the replay: every replica and every queue as it stands."""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import kernel
from workbench.simulation.fluid.pressure import note_busy, note_queue, note_rate
from workbench.simulation.replay.state import FIRST, QUEUES, READY, Ints, Outside, World
from workbench.simulation.state import Inputs, Pools


@kernel
def holds_interactive(w: World, deferrable: Ints, i: int) -> bool:
    """Return whether a replica has an interactive request running, being read or waiting before it."""
    replica = w.replicas[i]
    for place in range(replica.running):
        if not deferrable[w.slots[w.heaps[replica.heap, place] & 0xFFFFFFFF].tier]:
            return True
    slot = replica.chain
    while slot >= 0:
        if not deferrable[w.slots[slot].tier]:
            return True
        slot = w.slots[slot].next
    for queue in range(QUEUES):
        slot = w.queues[i, queue, FIRST]
        while slot >= 0:
            if not deferrable[w.slots[slot].tier]:
                return True
            slot = w.slots[slot].next
    return False


@kernel
def counted_busy(w: World, deferrable: Ints, p: int) -> float:
    """Return the ready replicas of a pool that hold an interactive request."""
    speed, busy = w.speeds[p], 0.0
    for i in range(speed.first, speed.first + speed.used):
        if w.replicas[i].status == READY and holds_interactive(w, deferrable, i):
            busy += 1.0
    return busy


@kernel
def watch(x: Inputs, w: World, out: Outside, pools: Pools, rules: r.Rules, now_s: float) -> None:
    """Look at every pool and queue of the replay."""
    for p in range(pools.size):
        if pools[p].silo == r.DEFERRABLE:
            note_rate(pools, x.prompt_grid, rules, p)
        else:
            note_busy(pools, rules, now_s, x.step_s, p, counted_busy(w, x.deferrable, p))
    for m in range(out.deferred.shape[1]):
        for h in range(out.deferred.shape[0]):
            for k in range(out.deferred.shape[2]):
                head = out.deferred[h, m, k, FIRST]
                if head >= 0:
                    left_s = x.promise_s[k] - (now_s - w.slots[head].arrival_s)
                    note_queue(x, pools, out.hosts[h, m], m, 0.0, left_s)
        for region in range(out.queued.shape[0]):
            note_queue(x, pools, region, m, float(out.queued[region, m]), r.NEVER)
