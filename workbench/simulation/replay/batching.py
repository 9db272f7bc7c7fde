"""Continuous batching of one replica with exact macro-steps (simulation.md section 2).

An iteration takes c + d B + e K and, for every prompt it reads, that prompt's marginal time. While nothing is admitted
and nothing ends, K grows by B per iteration, so n iterations take S(n) = n (c + d B + e K) + e B n (n - 1) / 2: one
step of the clock, exact. An arrival that can be admitted cuts the step at the end of the iteration it meets.

Held: KV of the running requests as it grows; reserved: prompt and output of everything admitted, which never passes the
room. Requests are admitted in the order of the scheduler, and one that does not fit holds back those behind it.
"""

from __future__ import annotations

import math

from workbench.simulation.compiling import inlined, kernel, place, whole
from workbench.simulation.replay.balancing import note_block, note_key
from workbench.simulation.replay.queues import (
    age,
    first_queue,
    next_change_s,
    pop,
    push,
    put,
    queue_of,
    take,
)
from workbench.simulation.replay.state import (
    BLOCK,
    BLOCK_BITS,
    DPA,
    E2E,
    FCFS,
    FEW,
    FIRST,
    NEVER_S,
    NOBODY,
    READY,
    TTFT,
    WAIT,
    WHOLE,
    Order,
    World,
)


@inlined
def prompt_s(w: World, p: int, tokens: int) -> float:
    """Return the marginal seconds of a prompt of that length on a replica of the pool."""
    knot = 0
    for k in range(1, w.prompts.shape[1]):
        knot += int(tokens >= w.prompts[place(p), place(k), 0])
    known = w.prompts[place(p), place(knot)]
    return float(known[1] + known[2] * (tokens - known[0]))


@inlined
def iteration_s(w: World, p: int, running: int, held: float) -> float:
    """Return the seconds of an iteration that only decodes."""
    speed = w.speeds[place(p)]
    return float(speed.base_s + speed.per_request_s * running + speed.per_token_s * held)


@inlined
def cut(w: World, i: int, first_s: float, growth_s: float, at_s: float) -> None:
    """End a macro-step of equal batches with the iteration that runs at an instant, or as planned before.

    ``first_s`` is its first iteration, ``growth_s`` half of what each further one takes more.
    """
    r = w.replicas[place(i)]
    planned, passed_s = r.planned, at_s - r.begin_s
    if passed_s < 1e17:
        slope = first_s - growth_s
        root = 2.0 * passed_s / (slope + math.sqrt(slope * slope + 4.0 * growth_s * passed_s))
        n = int(min(max(math.ceil(root), 1.0), float(planned)))
        while n < planned and n * first_s + growth_s * n * (n - 1) < passed_s:
            n += 1
        while n > 1 and (n - 1) * first_s + growth_s * (n - 1) * (n - 2) >= passed_s:
            n -= 1
        planned = n
    r.planned = planned
    w.ends_s[place(i)] = r.begin_s + planned * first_s + growth_s * planned * (planned - 1)


@kernel
def admit(how: Order, w: World, i: int, now_s: float) -> None:
    """Admit what waits as far as slots, KV room and the prompt tokens of an iteration go."""
    r = w.replicas[place(i)]
    speed, budget, owed = w.speeds[place(r.pool)], how.chunk_tokens, 0
    if budget > 0 and r.chain >= 0:
        owed = -r.chunk_done
        slot = r.chain
        while slot >= 0 and owed < budget:
            owed += w.slots[place(slot)].prompt
            slot = w.slots[place(slot)].next
    if how.scheduler == DPA and r.waiting > 0:
        age(how, w, i, now_s)
    r.is_blocked = 0
    while r.waiting > 0 and (budget == 0 or owed < budget):
        queue = first_queue(how, w, i, now_s)
        slot = w.queues[i, queue, FIRST]
        request = w.slots[place(slot)]
        needed = request.prompt + request.output
        if r.running + r.admitted >= speed.batch_cap or r.reserved + needed > speed.room:
            r.is_blocked = 1
            break
        take(w, i, queue)
        request.next = NOBODY
        w.latencies_s[place(request.row), WAIT] = now_s - request.arrival_s
        if r.chain < 0:
            r.chain = slot
            r.chunk_done = 0
        else:
            w.slots[place(r.chain_tail)].next = slot
        r.chain_tail = slot
        r.reserved += needed
        r.admitted += 1
        r.waiting -= 1
        owed += request.prompt


@kernel
def chain_s(how: Order, w: World, i: int) -> float:
    """Return the marginal seconds of the prompt tokens that the next iteration reads."""
    r = w.replicas[place(i)]
    left, done, total, slot = how.chunk_tokens if how.chunk_tokens > 0 else WHOLE, r.chunk_done, 0.0, r.chain
    while slot >= 0 and left > 0:
        tokens = min(left, w.slots[place(slot)].prompt - done)
        total += prompt_s(w, r.pool, done + tokens)
        if done > 0:
            total -= prompt_s(w, r.pool, done)
        left -= tokens
        done = 0
        slot = w.slots[place(slot)].next
    return total


@kernel
def plan(how: Order, w: World, i: int, now_s: float) -> None:
    """Begin the next macro-step: admit, then one iteration with prompts, or decode until the first request ends."""
    r = w.replicas[place(i)]
    admit(how, w, i, now_s)
    r.begin_s = now_s
    first_s = iteration_s(w, r.pool, r.running, r.held)
    if r.admitted > 0:
        r.planned = 1
        w.ends_s[place(i)] = now_s + first_s + chain_s(how, w, i)
    elif r.running > 0:
        r.planned = (w.heaps[place(r.heap), 0] >> 32) - r.iteration
        growth_s = 0.5 * w.speeds[place(r.pool)].per_token_s * r.running
        changes_s = next_change_s(how, w, i, now_s) if r.is_blocked and how.scheduler == DPA else NEVER_S
        cut(w, i, first_s, growth_s, changes_s)
    else:
        r.planned = 0
        w.ends_s[place(i)] = NEVER_S


@inlined
def release_slot(w: World, slot: int) -> None:
    """Give a request's slot back."""
    w.slots[place(slot)].row = NOBODY
    w.free_slots[0] += 1
    w.free_slots[place(w.free_slots[0])] = slot


@kernel
def first_tokens(how: Order, w: World, i: int, now_s: float) -> None:
    """Hand out first tokens to the requests whose prompt is read; one of a single token ends here."""
    r = w.replicas[place(i)]
    left = how.chunk_tokens if how.chunk_tokens > 0 else WHOLE
    while r.chain >= 0:
        slot = whole(r.chain)
        request = w.slots[place(slot)]
        tokens = request.prompt - r.chunk_done
        if tokens > left:
            r.chunk_done += left
            break
        left -= tokens
        r.chunk_done = 0
        r.chain = request.next
        r.admitted -= 1
        r.owed -= request.prompt
        w.latencies_s[place(request.row), TTFT] = now_s - request.arrival_s
        if request.output > 1:
            push(w.heaps, r.heap, r.running, ((r.iteration + request.output - 1) << 32) | slot)
            r.running += 1
            r.held += request.prompt + 1
        else:
            end(w, i, slot, now_s)


@inlined
def end(w: World, i: int, slot: int, now_s: float) -> None:
    """End a request: its KV is free, its slot is free, and its pool has a completion more."""
    r, request = w.replicas[place(i)], w.slots[place(slot)]
    needed = request.prompt + request.output
    r.reserved -= needed
    w.latencies_s[place(request.row), E2E] = now_s - request.arrival_s
    speed = w.speeds[place(r.pool)]
    speed.finished += 1.0
    if r.status == READY:
        speed.inside -= 1.0
        speed.needed -= needed
        speed.credits += 1.0
    release_slot(w, slot)


@kernel
def advance(how: Order, w: World, i: int, until_s: float) -> None:
    """Carry a replica through every macro-step that ends at or before an instant."""
    r = w.replicas[place(i)]
    held, owed = r.held, r.owed
    while w.ends_s[place(i)] <= until_s:
        now_s = w.ends_s[place(i)]
        r.iteration += r.planned
        r.held += r.running * r.planned
        if r.admitted > 0:
            first_tokens(how, w, i, now_s)
        while r.running > 0 and (w.heaps[place(r.heap), 0] >> 32) <= r.iteration:
            slot = w.heaps[place(r.heap), 0] & 0xFFFFFFFF
            pop(w.heaps, r.heap, r.running)
            r.running -= 1
            r.held -= w.slots[place(slot)].prompt + w.slots[place(slot)].output
            end(w, i, slot, now_s)
        plan(how, w, i, now_s)
    if r.status == READY:
        w.speeds[place(r.pool)].held += r.held - held
        w.speeds[place(r.pool)].owed += r.owed - owed
    note_key(how, w, i)


@kernel
def carry(how: Order, w: World, p: int, until_s: float) -> None:
    """Carry a pool's replicas to an instant."""
    first, last = w.speeds[place(p)].first, w.speeds[place(p)].first + w.speeds[place(p)].used
    is_large = last - first > FEW
    for block in range(first >> BLOCK_BITS, (last + BLOCK - 1) >> BLOCK_BITS):
        if is_large and w.first_end_s[place(block)] > until_s:
            continue
        begin = block << BLOCK_BITS
        for i in range(begin, min(begin + BLOCK, last)):
            if w.ends_s[place(i)] <= until_s:
                advance(how, w, i, until_s)
        if is_large:
            note_block(w, begin)


@kernel
def enqueue(how: Order, w: World, i: int, slot: int, now_s: float) -> None:
    """Hand a request to a replica that is carried to the present; where it can be admitted the macro-step is cut."""
    r, request = w.replicas[place(i)], w.slots[place(slot)]
    speed = w.speeds[place(r.pool)]
    needed = request.prompt + request.output
    put(how, w, i, queue_of(how, request.tier), slot)
    r.waiting += 1
    r.owed += request.prompt
    speed.owed += request.prompt
    speed.needed += needed
    speed.inside += 1.0
    if r.planned == 0:
        plan(how, w, i, now_s)
    elif r.planned > 1:
        leads = r.waiting == 1 or how.scheduler == DPA
        if not leads and how.scheduler != FCFS:
            leads = w.queues[i, first_queue(how, w, i, now_s), FIRST] == slot
        if leads and r.running < speed.batch_cap and r.reserved + needed <= speed.room:
            first_s = iteration_s(w, r.pool, r.running, r.held)
            cut(w, i, first_s, 0.5 * speed.per_token_s * r.running, now_s)
    note_key(how, w, i)
    if speed.used > FEW:
        note_block(w, i)
