"""Queues of a replica and its heap of finishes: all of them lists through the slots of the requests."""

from __future__ import annotations

from workbench.simulation.compiling import inlined, kernel, place, whole
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
    UNCHOSEN,
    Ints,
    Order,
    World,
)


@inlined
def put(how: Order, w: World, i: int, queue: int, slot: int) -> None:
    """Add a request to one of a replica's queues: at the end, or by arrival where the order of service goes by it."""
    ends = w.queues[place(i), place(queue)]
    w.slots[place(slot)].next = NOBODY
    if ends[LAST] < 0:
        ends[FIRST] = slot
        ends[LAST] = slot
    elif how.scheduler == FCFS or w.slots[place(ends[LAST])].arrival_s <= w.slots[place(slot)].arrival_s:
        w.slots[place(ends[LAST])].next = slot
        ends[LAST] = slot
    else:
        push_in(w, i, queue, slot)


@kernel
def push_in(w: World, i: int, queue: int, slot: int) -> None:
    """Put a request before the first of a queue that arrived after it: it has waited elsewhere for a while."""
    at_s, before, after = w.slots[slot].arrival_s, whole(NOBODY), whole(w.queues[i, queue, FIRST])
    while w.slots[after].arrival_s <= at_s:
        before, after = after, whole(w.slots[after].next)
    w.slots[slot].next = after
    if before < 0:
        w.queues[i, queue, FIRST] = slot
    else:
        w.slots[before].next = slot


@inlined
def take(w: World, i: int, queue: int) -> int:
    """Take the first request out of one of a replica's queues."""
    ends = w.queues[place(i), place(queue)]
    slot = ends[FIRST]
    ends[FIRST] = w.slots[place(slot)].next
    if ends[FIRST] < 0:
        ends[LAST] = NOBODY
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
            put(how, w, i, recent, take(w, i, tier))
        while (
            w.queues[i, recent, FIRST] >= 0
            and w.slots[w.queues[i, recent, FIRST]].arrival_s + promise_s - now_s < -how.severe_s
        ):
            put(how, w, i, severe, take(w, i, recent))


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
def push(heaps: Ints, heap: int, size: int, key: int) -> None:
    """Add a key to a heap of that size."""
    row, i = place(heap), size
    while i > 0:
        parent = (i - 1) >> 1
        if heaps[row, place(parent)] <= key:
            break
        heaps[row, place(i)] = heaps[row, place(parent)]
        i = parent
    heaps[row, place(i)] = key


@inlined
def pop(heaps: Ints, heap: int, size: int) -> None:
    """Remove the smallest key of a heap of that size.

    The hole moves down to the bottom whatever the last key is, and the last key from there up again: it belongs near
    the bottom, and a way whose length is known beforehand costs no wrong guesses.
    """
    row, end = place(heap), size - 1
    last = heaps[row, place(end)]
    heaps[row, place(end)] = UNCHOSEN  # the sibling of a single child
    i, child = 0, 1
    while child < end:
        child += int(heaps[row, place(child + 1)] < heaps[row, place(child)])
        heaps[row, place(i)] = heaps[row, place(child)]
        i, child = child, 2 * child + 1
    while i > 0:
        parent = (i - 1) >> 1
        if heaps[row, place(parent)] <= last:
            break
        heaps[row, place(i)] = heaps[row, place(parent)]
        i = parent
    heaps[row, place(i)] = last
