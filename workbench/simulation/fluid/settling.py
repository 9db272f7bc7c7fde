"""Whose the requests were that the pools of a rank served, settled once a tick, and whose deadlines passed."""

from __future__ import annotations

import math

from workbench.simulation.compiling import inlined, kernel, vectors
from workbench.simulation.fluid.service import NOTHING, residual_s
from workbench.simulation.latency import UNSERVED_S, bin_of
from workbench.simulation.state import (
    ABREAST,
    ARRIVED,
    KEPT,
    MISSED,
    RANK_BITS,
    SEAT,
    SERVED,
    SHED,
    TTFT_SUM,
    Floats,
    Inputs,
    Ints,
    Rank,
    Ranks,
    Record,
    State,
)


@vectors
def begin_to_settle(rank: Rank, now_s: float, only: int) -> int:
    """Work out which share of what is inside was served, of one pool or of all; return how many drain replicas.

    Without any that drain, what was leaving has left.
    """
    draining = 0
    for i in range(ABREAST):
        settles = 1.0 if only < 0 or i == only else 0.0
        served = rank.served[i] * settles
        rank.settles[i] = settles
        rank.share[i] = served / max(rank.inside[i] + rank.served[i], NOTHING)
        rank.drained[i] = settles
        rank.served[i] -= served
        rank.unsettled_s[i] = (now_s - rank.settled_s[i]) * settles
        rank.settled_s[i] += rank.unsettled_s[i]
        draining += 1 if rank.draining[i] > 0.0 else 0
    return draining


@kernel
def drain(rank: Rank) -> None:
    """Work out which share of what was leaving has left where replicas still drain."""
    for i in range(ABREAST):
        if rank.draining[i] > 0.0:
            rank.drained[i] *= 1.0 - math.exp(-rank.unsettled_s[i] / max(residual_s(rank, i), 1e-9))


@vectors
def share_out(rank: Rank, crews: Ranks, b: int) -> None:
    """Share out what was served among the origins and tiers of a rank in proportion to what is inside."""
    for h in range(crews.shape[1]):
        for k in range(crews.shape[2]):
            crew = crews[b, h, k]
            for i in range(ABREAST):
                come = crew.inflow[i] * rank.settles[i]
                there = crew.inside[i] + come
                gone, drained = there * rank.share[i], crew.leaving[i] * rank.drained[i]
                crew.inflow[i] -= come
                crew.met[i] += come
                crew.inside[i] = there - gone
                crew.leaving[i] -= drained
                crew.done[i] += gone + drained


@inlined
def settle(x: Inputs, s: State, after: int, b: int, only: int) -> None:
    """Tell origins and tiers apart in what came to a rank's pools and was served before a step, since settled last.

    Of one pool, or of all (-1). Completions are shared out in proportion to what was inside; what drains ends as its
    residual time has it.
    """
    if begin_to_settle(s.ranks[b], after * x.step_s, only) > 0:
        drain(s.ranks[b])
    share_out(s.ranks[b], s.crews, b)


@kernel
def hand_over(s: State, rec: Record, window: int, k: int) -> None:
    """Count what was done for a tier, and begin anew."""
    crews, completed, series = s.crews, s.completed, rec.series
    for p in range(s.pools.size):
        m, b, i = s.pools[p].model, p >> RANK_BITS, p & SEAT
        for h in range(crews.shape[1]):
            done = crews[b, h, k].done[i]
            if done > 0.0:
                crews[b, h, k].done[i] = 0.0
                completed[h, m, k] += done
                series[window, h, m, k, SERVED] += done


@kernel
def is_behind(arrived: Floats, completed: Floats, step: int, k: int, d: int) -> bool:
    """Return whether fewer of a deferrable tier are known to be completed than had arrived before a step."""
    for h in range(arrived.shape[1]):
        for m in range(arrived.shape[2]):
            if completed[h, m, k] < arrived[step, h, m, d]:
                return True
    return False


@kernel
def record_deadlines(x: Inputs, s: State, rec: Record, first: int, last: int) -> None:
    """Count the deferrable requests whose deadline passed in the steps [first, last) without completion."""
    arrived, series, window = s.arrived, rec.series, (last - 1) // x.window_steps
    for d in range(x.deferred.size):
        k = x.deferred[d]
        ago = int(min(x.promise_s[k] / x.step_s, 1e15))
        if last <= ago:
            continue
        if is_behind(arrived, s.completed, last - ago, k, d):
            hand_over(s, rec, window, k)
        for h in range(arrived.shape[1]):
            for m in range(arrived.shape[2]):
                fell, until = arrived[max(first - ago, 0), h, m, d], arrived[last - ago, h, m, d]
                missed = max(until - max(s.completed[h, m, k], fell), 0.0)
                series[window, h, m, k, MISSED] += missed
                series[window, h, m, k, KEPT] += until - fell - missed


@kernel
def count_shed(x: Inputs, touched: Ints, rec: Record, first: int, last: int, steps: int) -> None:
    """Count what comes in the steps [first, last) of a tick and fits in no replica: arrived, and shed.

    Such a request has no first token, so it is later than every other and counts with its age in the mean; the deadline
    of a deferrable one passes without completion.
    """
    if x.shed_rps.shape[0] == 0:
        return
    series, bins, window, never = rec.series, rec.window_bins, (last - 1) // x.window_steps, bin_of(UNSERVED_S)
    age_s = (steps - 0.5 * (first + last)) * x.step_s
    for w in range(first // x.demand_steps, (last - 1) // x.demand_steps + 1):
        lasts_s = (min(last, (w + 1) * x.demand_steps) - max(first, w * x.demand_steps)) * x.step_s
        for h in range(bins.shape[0]):
            for m in range(bins.shape[1]):
                for k in range(bins.shape[2]):
                    requests = x.shed_rps[w, h, m, k] * lasts_s
                    if requests <= 0.0:
                        continue
                    series[window, h, m, k, ARRIVED] += requests
                    series[window, h, m, k, SHED] += requests
                    if x.deferrable[k]:
                        due = last + int(min(x.promise_s[k] / x.step_s, 1e15))
                        if due <= steps:
                            series[(due - 1) // x.window_steps, h, m, k, MISSED] += requests
                        continue
                    series[window, h, m, k, TTFT_SUM] += requests * age_s
                    bins[h, m, k, never] += requests
                    touched[h, m, 0], touched[h, m, 1] = min(touched[h, m, 0], never), max(touched[h, m, 1], never)
