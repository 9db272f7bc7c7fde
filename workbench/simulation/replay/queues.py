"""Queues of a replica and its heap of finishes: all of them lists through the slots of the requests."""

from __future__ import annotations

from workbench.simulation.compiling import inlined, kernel, whole
from workbench.simulation.replay.state import (
    DPA,
    EDF,
    FCFS,
    FIRST,
    LAST,
    NEVER_S,
    NOBODY,
    PF,
    QUEUES,
    TIERS,
    Ints,
    Order,
    World,
)


@inlined
def put(w: World, i: int, queue: int, slot: int) -> None:
    """Add a request to the end of one of a replica's queues."""
    w.slots[slot].next = NOBODY
    if w.queues[i, queue, LAST] < 0:
        w.queues[i, queue, FIRST] = slot
    else:
        w.slots[w.queues[i, queue, LAST]].next = slot
    w.queues[i, queue, LAST] = slot


@inlined
def take(w: World, i: int, queue: int) -> int:
    """Take the first request out of one of a replica's queues."""
    slot = w.queues[i, queue, FIRST]
    w.queues[i, queue, FIRST] = w.slots[slot].next
    if w.queues[i, queue, FIRST] < 0:
        w.queues[i, queue, LAST] = NOBODY
    return whole(slot)


@inlined
def queue_of(how: Order, tier: int) -> int:
    """Return the queue that a new request of a tier joins: one for all under first come first served."""
    return 0 if how.scheduler == FCFS else tier


@kernel
def age(how: Order, w: World, i: int, now_s: float) -> None:
    """Move on what is past its promise: from fresh to recently and from recently to severely expired."""
    for tier in range(TIERS):
        promise_s, recent, severe = how.promise_s[tier], TIERS + tier, 2 * TIERS + tier
        while w.queues[i, tier, FIRST] >= 0 and w.slots[w.queues[i, tier, FIRST]].arrival_s + promise_s - now_s < 0.0:
            put(w, i, recent, take(w, i, tier))
        while (
            w.queues[i, recent, FIRST] >= 0
            and w.slots[w.queues[i, recent, FIRST]].arrival_s + promise_s - now_s < -how.severe_s
        ):
            put(w, i, severe, take(w, i, recent))


@kernel
def next_change_s(how: Order, w: World, i: int, now_s: float) -> float:
    """Return when the order under DPA changes by itself: a head becomes urgent, expires, or severely so."""
    at = NEVER_S
    for tier in range(TIERS):
        if w.queues[i, tier, FIRST] >= 0:
            due = w.slots[w.queues[i, tier, FIRST]].arrival_s + how.promise_s[tier]
            at = min(at, due - how.urgent_s if due - how.urgent_s > now_s else due)
        if w.queues[i, TIERS + tier, FIRST] >= 0:
            at = min(at, w.slots[w.queues[i, TIERS + tier, FIRST]].arrival_s + how.promise_s[tier] + how.severe_s)
    return at


@inlined
def first_queue(how: Order, w: World, i: int, now_s: float) -> int:
    """Return the queue whose first request is served next (sageserve.md section 4.4), -1 when nothing waits.

    FCFS: by arrival. EDF: by arrival plus promise. PF: by tier, then arrival. DPA: severely expired, urgent by tier,
    not urgent by tier, recently expired; inside a class the least slack.
    """
    if how.scheduler == FCFS:
        return 0
    best, best_class, best_value = -1, 0.0, 0.0
    for queue in range(QUEUES if how.scheduler == DPA else TIERS):
        head = w.queues[i, queue, FIRST]
        if head < 0:
            continue
        tier = queue % TIERS
        arrival_s = w.slots[head].arrival_s
        slack_s = arrival_s + how.promise_s[tier] - now_s
        rank, value = 0.0, arrival_s
        if how.scheduler == EDF:
            value = slack_s
        elif how.scheduler == PF:
            rank = float(tier)
        elif queue >= 2 * TIERS:
            value = slack_s
        elif queue >= TIERS:
            rank, value = 9.0, slack_s
        else:
            rank, value = (1.0 if slack_s <= how.urgent_s else 4.0) + tier, slack_s
        if best < 0 or rank < best_class or (rank == best_class and value < best_value):
            best, best_class, best_value = queue, rank, value
    return best


@inlined
def push(heaps: Ints, row: int, size: int, key: int) -> None:
    """Add a key to a heap of that size."""
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if heaps[row, parent] <= key:
            break
        heaps[row, i] = heaps[row, parent]
        i = parent
    heaps[row, i] = key


@inlined
def pop(heaps: Ints, row: int, size: int) -> None:
    """Remove the smallest key of a heap of that size."""
    last, end = heaps[row, size - 1], size - 1
    i, child = 0, 1
    while child < end:
        if child + 1 < end and heaps[row, child + 1] < heaps[row, child]:
            child += 1
        if heaps[row, child] >= last:
            break
        heaps[row, i] = heaps[row, child]
        i = child
        child = 2 * i + 1
    if end > 0:
        heaps[row, i] = last
