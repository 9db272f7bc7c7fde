"""Read totals off a block: means of pools, what is left, and percentiles of the mixture of its minutes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation import state
from workbench.simulation.compiling import kernel
from workbench.simulation.lanes.latency import BINS
from workbench.simulation.lanes.layout import WIDTH, Block, Floats, Site
from workbench.simulation.latency import BIN_HIGH_S, BIN_LOW_S, UNSERVED_S, lognormal_of, share_within
from workbench.simulation.loads import Span

PERCENTILE = 0.95
HALVINGS = 26  # of the logarithm of the range: within 1e-6 of it


@kernel
def shape(bins: Floats, shapes: Floats) -> int:
    """Note place, shift, location and scale of every bin that holds requests, and return how many do.

    Each bin is a lognormal by three moments, the same for all tiers.
    """
    tiers, filled = bins.shape[1] - 3, 0
    for b in range(bins.shape[0]):
        all_tiers = 0.0
        for k in range(tiers):
            all_tiers += bins[b, k]
        if all_tiers > 0.0:
            mean, spread = bins[b, tiers] / all_tiers, bins[b, tiers + 1] / all_tiers
            third = bins[b, tiers + 2] / all_tiers
            shapes[filled, 0] = b
            shapes[filled, 1], shapes[filled, 2], shapes[filled, 3] = lognormal_of(mean, spread * spread, third)
            filled += 1
    return filled


@kernel
def attained(bins: Floats, shapes: Floats, filled: int, quantity: int, limit_s: float) -> float:
    """Return the share of a tier's first tokens within a limit, NaN where none came."""
    total, kept = 0.0, 0.0
    for j in range(filled):
        count = bins[int(shapes[j, 0]), quantity]
        if count > 0.0:
            total += count
            kept += count * share_within(limit_s, shapes[j, 1], shapes[j, 2], shapes[j, 3])
    return kept / total if total > 0.0 else math.nan


@kernel
def percentile(bins: Floats, shapes: Floats, filled: int, quantity: int, level: float) -> float:
    """Return the time that a share of a tier's first tokens does not exceed; NaN where none came."""
    low, high = math.log(BIN_LOW_S), math.log(BIN_HIGH_S)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        share = attained(bins, shapes, filled, quantity, math.exp(middle))
        if math.isnan(share):
            return math.nan
        if share < level:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


@kernel
def read_latencies(counted: Floats, shapes: Floats, interactive: state.Ints, promise_s: Floats, wanted: Floats,
                   means: Floats, levels: Floats, shares: Floats) -> None:  # fmt: skip
    """Write mean, wanted percentile and attainment of every scenario and interactive tier."""
    for i in range(means.shape[0]):
        filled = shape(counted[i], shapes)
        for j in range(interactive.size):
            k, weighted, total = interactive[j], 0.0, 0.0
            for b in range(counted.shape[1]):
                count, all_tiers = counted[i, b, j], 0.0
                if count > 0.0:
                    for other in range(interactive.size):
                        all_tiers += counted[i, b, other]
                    weighted += count * counted[i, b, interactive.size] / all_tiers
                    total += count
            means[i, k] = weighted / total if total > 0.0 else math.nan
            levels[i, k] = percentile(counted[i], shapes, filled, j, wanted[i, k])
            shares[i, k] = attained(counted[i], shapes, filled, j, promise_s[i, k])


class Offered(NamedTuple):
    """What a span brings by model and tier, without a scenario's factor: requests, and of the shed ones what counts."""

    came: Floats
    shed: Floats  # fit in no replica
    shed_ages_s: Floats  # at the end
    shed_due: Floats


def offered_of(x: state.Inputs, span: Span) -> Offered:
    """Return what a span brings, shed as :func:`workbench.simulation.fluid.settling.count_shed` has it."""
    at = np.arange(span.steps) // x.demand_steps
    steps = np.bincount(at, minlength=x.rps.shape[0])
    came = np.einsum("w,whmk->mk", steps, x.rps) * x.step_s
    if x.shed_rps.shape[0] == 0:
        none = np.zeros(x.rps.shape[2:])
        return Offered(came, none, none, none)
    each = x.shed_rps.sum(axis=1)[at] * x.step_s
    is_due = np.arange(1, span.steps + 1)[:, None] + np.minimum(x.promise_s / x.step_s, 1e15).astype(int) <= span.steps
    ages_s = (span.steps - np.arange(span.steps) - 0.5) * x.step_s
    shed_ages_s, shed_due = (each * ages_s[:, None, None]).sum(axis=0), (each * is_due[:, None, :]).sum(axis=0)
    return Offered(came, each.sum(axis=0), shed_ages_s, shed_due)


def ratio(values: Floats, of: Floats) -> Floats:
    """Return values over what they are part of, NaN where that is nothing."""
    return np.divide(values, of, out=np.full_like(values, np.nan), where=of > 0)


def totals_of(
    b: Block, c: Site, x: state.Inputs, offered: Offered, span: Span, promise_s: Floats, loads: Floats, count: int
) -> dict[str, Floats]:  # fmt: skip
    """Return the totals of the first ``count`` scenarios of a block; ``promise_s`` and ``loads`` are theirs."""
    tiers = x.deferrable.size
    pools = b.sums.shape[0]
    ready, starting, draining, lent, kv, work = b.sums[:, :, :count].transpose(1, 2, 0) / span.steps
    queue = b.queue.reshape(-1, tiers, WIDTH)[:, :, :count].sum(axis=0, dtype=np.float64)
    inside = b.tiers.reshape(pools, tiers, row.TIER_ROWS, WIDTH)[:, :, 0, :count].sum(axis=0, dtype=np.float64)
    came, shed, shed_ages_s, shed_due = ((loads * each).sum(axis=1) for each in offered)
    waits, interactive, arrived = x.deferrable == 1, np.flatnonzero(x.deferrable == 0), came + shed
    means, levels, shares = (np.full((count, tiers), np.nan) for _ in range(3))
    wanted = PERCENTILE * np.nan_to_num(ratio(arrived, came), nan=1.0)  # of those that come in, which are the faster
    read_latencies(
        b.counted.reshape(WIDTH, BINS, -1), np.empty((BINS, 4)), interactive, promise_s, wanted, means, levels, shares
    )
    missed, due = b.deadlines[:, :, :count].transpose(0, 2, 1)
    kept = ratio(due - missed, due + shed_due)
    return {
        "held": ready + starting + draining,
        "starting": starting,
        "lent": lent / c.gpus,
        "ready": ready,
        "kv": kv,
        "work": work,
        "arrived": arrived,
        "shed": shed,
        "backlog": (queue + inside).T,
        "ttft_mean_s": np.where(waits, np.nan, ratio(np.nan_to_num(means) * came + shed_ages_s, arrived)),
        "ttft_p95_s": np.where((came <= 0) & (shed > 0) & ~waits, UNSERVED_S, np.minimum(levels, UNSERVED_S)),
        "attained": np.where(waits, np.clip(kept, 0.0, 1.0), np.nan_to_num(shares) * ratio(came, arrived)),
        "met_saturation": b.bad[:, :count].T,
    }
