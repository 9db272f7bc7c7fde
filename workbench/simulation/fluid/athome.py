"""A step's arrivals where each pool takes those of one origin and all have room there: sixteen pools at once.

As a rule an origin's requests for a model find the one pool of the nearest region under its threshold, and what waits
in the queue there goes to no other pool. Then no pool's arrivals bear on another's, and what :mod:`.traffic` follows
origin by origin is one short loop over the pools of a rank. Where a single request of a step would have to leave, or
one has waited too long, all of the step are routed one by one.

The seats hold what came and went of the queues while this goes on; :func:`hand_back` writes it where others look. No
product and sum are fused here, so that both ways give the same numbers and a step may be taken in either.
"""

from __future__ import annotations

from workbench.simulation import rules as r
from workbench.simulation.compiling import inlined, kernel
from workbench.simulation.state import (
    OUTPUT,
    PROMPT,
    RANK_BITS,
    REQUESTS,
    SEAT,
    TOGETHER,
    Inputs,
    Rank,
    Ranks,
    State,
)


@kernel
def offer(x: Inputs, s: State, step: int, until: int, age_steps: int) -> bool:
    """Note in every seat what a step brings to it; return whether nothing grows too old to wait before a step."""
    deferrable = x.deferred.size > 0
    for p in range(x.homes.shape[0]):
        rank, i, h, m = s.ranks[p >> RANK_BITS], p & SEAT, x.homes[p, 0], x.homes[p, 1]
        now = s.brought[h, m, TOGETHER]
        rank.offer[i] = now[REQUESTS]
        rank.offer_prompts[i], rank.offer_outputs[i] = now[REQUESTS] * now[PROMPT], now[REQUESTS] * now[OUTPUT]
        if deferrable:
            later = s.brought[h, m, TOGETHER + 1]
            rank.later[i], rank.later_prompt[i], rank.later_output[i] = later[REQUESTS], later[PROMPT], later[OUTPUT]
    take_up(x, s, step)
    return x.homes.shape[0] > 0 and not is_due(x, s, until - 1 - age_steps)


@kernel
def is_due(x: Inputs, s: State, old: int) -> bool:
    """Return whether a request of a queue came before a step."""
    if old < 0 or x.deferred.size == 0:
        return False
    for h in range(s.released.shape[0]):
        for m in range(s.released.shape[1]):
            if s.arrived[old, h, m, 0] > s.released[h, m, 0]:
                return True
    return False


@kernel
def take_up(x: Inputs, s: State, step: int) -> None:
    """Note in every seat what has come to its queue before a step, and what has gone from it."""
    if x.deferred.size > 0:
        for p in range(x.homes.shape[0]):
            rank, i, h, m = s.ranks[p >> RANK_BITS], p & SEAT, x.homes[p, 0], x.homes[p, 1]
            rank.total[i], rank.gone[i] = s.arrived[step, h, m, 0], s.released[h, m, 0]


@inlined
def hand_back(x: Inputs, s: State) -> None:
    """Write down whose the requests were that stayed, and what has gone from the queues."""
    for p in range(x.homes.shape[0]):
        rank, i, h, m = s.ranks[p >> RANK_BITS], p & SEAT, x.homes[p, 0], x.homes[p, 1]
        s.together[p, h] += rank.stayed[i]
        rank.stayed[i] = 0.0
        if x.deferred.size > 0:
            s.crews[p >> RANK_BITS, h, x.deferred[0]].inflow[i] += rank.let_go[i]
            rank.let_go[i] = 0.0
            s.released[h, m, 0] = rank.gone[i]


@inlined
def leaving(rank: Rank, route_below: float) -> int:
    """Return in how many seats of a rank a step brings more than the pool has room for."""
    count = 0
    for i in range(rank.ready.size):
        ready = rank.ready[i]
        room = max(ready * rank.route_each[i] - (rank.inside[i] - rank.finished[i]), 0.0) + ready
        is_open = min(ready, route_below - rank.signal[i]) > 0.0
        count += 1 if rank.offer[i] > (room if is_open else 0.0) else 0
    return count


@inlined
def come_home(rank: Rank, rules: r.Rules) -> None:
    """Bring a step's arrivals to the pools of a rank, and let go what their signals of spare capacity allow."""
    for i in range(rank.ready.size):
        requests, finished, ready, gone = rank.offer[i], rank.finished[i], rank.ready[i], rank.gone[i]
        total = rank.total[i] + rank.later[i]
        signals = r.released_per_signal(rules, rank.signal[i]) * (finished + ready)
        room = ready * rank.release_each[i] - (rank.inside[i] + requests - finished)
        batch = max(min(total - gone, min(signals, room)), 0.0)
        rank.total[i], rank.gone[i] = total, gone + batch
        rank.arriving[i] = requests + batch
        rank.prompts[i] = rank.offer_prompts[i] + batch * rank.later_prompt[i]
        rank.outputs[i] = rank.offer_outputs[i] + batch * rank.later_output[i]
        rank.stayed[i] += requests
        rank.let_go[i] += batch


@kernel
def stay_home(ranks: Ranks, rules: r.Rules) -> bool:
    """Bring a step's arrivals to the pools if none of them has to leave; return whether that was so."""
    leave = 0
    for b in range(ranks.size):
        leave += leaving(ranks[b], rules.route_below)
    if leave > 0:
        return False
    for b in range(ranks.size):
        come_home(ranks[b], rules)
    return True
