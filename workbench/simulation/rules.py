"""The rules of the world: routing, release of deferrable work, scaling, readiness. One set, for every engine.

Each rule is a small pure function of numbers, so that an engine in compiled code, a test and a reader see the same
thing. The numbers come from a :class:`Rules` value made from a policy; sources: sageserve.md sections 4.2 (routing),
4.3 (release), 7.1 (scaling), 7.2 (readiness), 7.4 (order of actions).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.domain import FOLLOW_PLAN, Policy
from workbench.simulation.compiling import kernel

RECLAIM, SWAP, REMOTE, REFUSED, IN = 0, 1, 2, 3, 4
KINDS = ("reclaim", "swap", "remote", "refused", "in")
SHARED, INTERACTIVE, DEFERRABLE = 0, 1, 2
SILOS = ("shared", "interactive", "deferrable")
NO_PLAN, AT_ONCE, PACED, PACED_WITH_OVERRIDE = range(len(FOLLOW_PLAN))
NEVER = 1e18


class Rules(NamedTuple):
    """A policy's numbers in the order compiled code takes them; meanings and units as in ``domain.Policy``."""

    follow_plan: int
    kv_cache_only: bool
    route_below: float
    out_above: float
    in_below: float
    cooldown_s: float
    floor: int
    release_two_below: float
    release_one_below: float
    ages_after_s: float
    override_in_last_s: float
    override_out_ratio: float
    override_in_ratio: float
    reclaim_s: float
    swap_s: float
    remote_s: float


def rules_of(policy: Policy) -> Rules:
    """Return a policy's numbers for the engines."""
    return Rules(
        follow_plan=FOLLOW_PLAN.index(policy.follow_plan),
        kv_cache_only=policy.signal == "kv_cache",
        route_below=policy.route_below_fraction,
        out_above=policy.scale_out_above_fraction,
        in_below=policy.scale_in_below_fraction,
        cooldown_s=policy.cooldown_s,
        floor=policy.floor_replicas,
        release_two_below=policy.release_two_below_fraction,
        release_one_below=policy.release_one_below_fraction,
        ages_after_s=policy.deferrable_ages_after_s,
        override_in_last_s=policy.override_in_last_s,
        override_out_ratio=policy.override_out_ratio,
        override_in_ratio=policy.override_in_ratio,
        reclaim_s=policy.reclaim_s,
        swap_s=policy.swap_s,
        remote_s=policy.remote_s,
    )


@kernel
def signal_of(rules: Rules, kv_cache: float, batch_slots: float, work: float) -> float:
    """Return the load signal: the largest of the three fractions, or the paper's KV cache alone."""
    if rules.kv_cache_only:
        return kv_cache
    return max(kv_cache, batch_slots, work)


@kernel
def choose_pool(
    rules: Rules,
    preference: NDArray[np.int64],
    origin: int,
    pools_in: NDArray[np.int64],
    model: int,
    kind: int,
    pools: NDArray[np.void],
) -> int:
    """Return the pool that requests of an origin and model go to; kind 0 is interactive, 1 deferrable.

    ``preference[origin]`` orders the regions that it has a route to, ``pools_in[model, kind, region]`` lists the pools
    that may take them, both padded with -1; ``pools`` has fields ``signal`` and ``ready``. The first region with a
    ready pool under the threshold wins, inside a region the pool with the lowest signal. When all are at or over it:
    the lowest signal anywhere. A pool without a ready replica is taken only when there is no other, so that its queue
    is seen.
    """
    best, best_signal = -1, 2.0 * NEVER
    for i in range(preference.shape[1]):
        region = preference[origin, i]
        if region < 0:
            break
        here, here_signal = -1, 2.0 * NEVER
        for j in range(pools_in.shape[3]):
            pool = pools_in[model, kind, region, j]
            if pool < 0:
                break
            value = pools[pool].signal if pools[pool].ready > 0 else NEVER
            if value < here_signal:
                here, here_signal = pool, value
        if here >= 0 and here_signal < rules.route_below:
            return here
        if here_signal < best_signal:
            best, best_signal = here, here_signal
    return best


@kernel
def released_per_signal(rules: Rules, signal: float) -> int:
    """Return how many deferrable requests one signal of spare capacity lets go: 2 below 0.50, 1 below 0.60, else 0."""
    if signal < rules.release_two_below:
        return 2
    if signal < rules.release_one_below:
        return 1
    return 0


@kernel
def scaling_step(
    rules: Rules,
    signal: float,
    ready: int,
    starting: int,
    ready_in_group: int,
    held_in_group: int,
    budget: int,
    into_hour_s: float,
    observed_over_forecast: float,
) -> int:
    """Return +1 (out), -1 (in) or 0 for one pool that is not cooling down.

    Replicas that are starting count: the signal is judged as it will be when they are ready, or a pool would start one
    every few seconds for as long as the first one loads its weights. The floor counts the group, that is the model's
    pools of all GPU kinds in the region: ``held_in_group`` ready or starting replicas, and nothing is taken away that
    would leave fewer than the floor ready. ``budget`` is what is left of the plan's change for the hour (positive: may
    go out, negative: may go in). Reactive needs no budget. A paced plan spends its budget only when the signal asks
    for it; with the override, in the last minutes of the hour and with the budget spent, a
    forecast that proved far too low (ratio at or over ``override_out_ratio``) or too high lifts the limit.
    """
    wants_out = signal * ready > rules.out_above * (ready + starting) or (held_in_group == 0 and signal > 0.0)
    wants_in = signal < rules.in_below and ready > 0 and ready_in_group > rules.floor
    if held_in_group < rules.floor:
        return 1
    if rules.follow_plan == NO_PLAN:
        allowed_out = allowed_in = True
    elif rules.follow_plan == AT_ONCE:
        allowed_out = allowed_in = False
    else:
        allowed_out, allowed_in = budget > 0, budget < 0
        late = into_hour_s >= 3600.0 - rules.override_in_last_s
        if rules.follow_plan == PACED_WITH_OVERRIDE and late:
            allowed_out = allowed_out or (budget >= 0 and observed_over_forecast >= rules.override_out_ratio)
            allowed_in = allowed_in or (budget <= 0 and observed_over_forecast <= rules.override_in_ratio)
    if wants_out and allowed_out:
        return 1
    if wants_in and allowed_in:
        return -1
    return 0


@kernel
def acquire_kind(gpus: int, lent_here: int, lent_others: int, free: int) -> int:
    """Return how a new replica is acquired: from GPUs lent with its model, with others' too, with free ones too, not.

    GPUs are taken in that order and the slowest source decides how long the replica takes.
    """
    if lent_here >= gpus:
        return RECLAIM
    if lent_here + lent_others >= gpus:
        return SWAP
    if lent_here + lent_others + free >= gpus:
        return REMOTE
    return REFUSED


@kernel
def readiness_s(rules: Rules, kind: int) -> float:
    """Return the seconds until a replica acquired that way serves."""
    if kind == RECLAIM:
        return rules.reclaim_s
    if kind == SWAP:
        return rules.swap_s
    return rules.remote_s
