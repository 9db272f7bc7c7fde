"""Read totals off a block: means of pools, what is left, and percentiles of the mixture of its minutes."""

from __future__ import annotations

import math

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation import state
from workbench.simulation.compiling import kernel
from workbench.simulation.lanes.latency import BINS
from workbench.simulation.lanes.layout import WIDTH, Block, Floats
from workbench.simulation.latency import BIN_HIGH_S, BIN_LOW_S, lognormal_of, share_within
from workbench.simulation.loads import Span

HALVINGS = 26  # of the logarithm of the range: within 1e-6 of it


@kernel
def attained(bins: Floats, quantity: int, limit_s: float) -> float:
    """Return the share of a tier's first tokens within a limit; each bin is a lognormal by three moments."""
    total, kept, tiers = 0.0, 0.0, bins.shape[1] - 3
    for b in range(bins.shape[0]):
        count, all_tiers = bins[b, quantity], 0.0
        if count <= 0.0:
            continue
        for k in range(tiers):
            all_tiers += bins[b, k]
        mean, spread, third = bins[b, tiers] / all_tiers, bins[b, tiers + 1] / all_tiers, bins[b, tiers + 2] / all_tiers
        shift, location, scale = lognormal_of(mean, spread * spread, third)
        total += count
        kept += count * share_within(limit_s, shift, location, scale)
    return kept / total if total > 0.0 else math.nan


@kernel
def percentile(bins: Floats, quantity: int, level: float) -> float:
    """Return the time that a share of a tier's first tokens does not exceed; NaN where none came."""
    low, high = math.log(BIN_LOW_S), math.log(BIN_HIGH_S)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        share = attained(bins, quantity, math.exp(middle))
        if math.isnan(share):
            return math.nan
        if share < level:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


@kernel
def read_latencies(counted: Floats, interactive: state.Ints, promise_s: Floats, means: Floats, levels: Floats,
                   shares: Floats) -> None:  # fmt: skip
    """Write mean, 95th percentile and attainment of every scenario and interactive tier."""
    for i in range(means.shape[0]):
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
            levels[i, k] = percentile(counted[i], j, 0.95)
            shares[i, k] = attained(counted[i], j, promise_s[i, k])


def totals_of(b: Block, x: state.Inputs, span: Span, promise_s: Floats, loads: Floats, count: int) -> dict[str, Floats]:
    """Return the totals of the first ``count`` scenarios of a block; ``promise_s`` and ``loads`` are theirs."""
    tiers = x.deferrable.size
    pools = b.sums.shape[0]
    held, starting, lent, ready, kv, work = b.sums[:, :, :count].transpose(1, 2, 0) / span.steps
    queue = b.queue.reshape(-1, tiers, WIDTH)[:, :, :count].sum(axis=0, dtype=np.float64)
    inside = b.tiers.reshape(pools, tiers, row.TIER_ROWS, WIDTH)[:, :, 0, :count].sum(axis=0, dtype=np.float64)
    steps = np.bincount(np.arange(span.steps) // x.demand_steps, minlength=x.rps.shape[0])
    arrived = (x.rps * steps[:, None, None, None]).sum(axis=(0, 1)) * x.step_s
    interactive = np.flatnonzero(x.deferrable == 0)
    means, levels, shares = (np.full((count, tiers), np.nan) for _ in range(3))
    read_latencies(b.counted.reshape(WIDTH, BINS, -1), interactive, promise_s, means, levels, shares)
    missed, due = b.deadlines[:, :, :count].transpose(0, 2, 1)
    kept = np.divide(due - missed, due, out=np.full_like(due, np.nan), where=due > 0)
    return {
        "held": held,
        "starting": starting,
        "lent": lent,
        "ready": ready,
        "kv": kv,
        "work": work,
        "arrived": (loads * arrived).sum(axis=1),
        "backlog": (queue + inside).T,
        "ttft_mean_s": means,
        "ttft_p95_s": levels,
        "attained": np.where(x.deferrable == 1, np.clip(kept, 0.0, 1.0), shares),
        "met_saturation": b.bad[:, :count].T,
    }
