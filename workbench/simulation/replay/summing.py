"""From the times of single requests to the record that both engines hand on: windows, latency bins, deadlines.

A percentile is that of all arrivals of a window: one without a first token counts as later than every other, and one
without an end as a miss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.simulation import state as shared
from workbench.simulation.latency import BIN_EDGES_S, BIN_HIGH_S, BIN_LOW_S, BIN_RATIO, BINS, UNSERVED_S
from workbench.simulation.loads import Span
from workbench.simulation.replay.state import SHED, Outside, Requests, World
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEVELS = (0.50, 0.95, 0.99)


def sum_up(
    rec: shared.Record, x: shared.Inputs, w: World, out: Outside, q: Requests, *, regions: Ints, oldest_s: Floats,
    saturated: Floats, span: Span,
) -> None:  # fmt: skip
    """Fill the series, bins and percentiles of a record from the requests' latencies.

    ``regions`` holds the region of every pool, ``oldest_s`` the age of the oldest deferrable request by window, and
    ``saturated`` whether a pool was within 5 % of what it can do, by step.
    """
    origins, models, tiers = rec.series.shape[1:4]
    model = np.repeat(np.arange(models), np.diff(np.concatenate([[0], q.last])))
    cell = (q.origin * models + model) * tiers + q.tier
    cells = origins * models * tiers
    window = (q.arrival_s / span.window_s).astype(np.int64)
    place = window * cells + cell
    pool = out.pool_of.astype(np.int64)
    routed = pool >= 0
    delay_s = np.where(routed, x.network_s[q.origin, regions[np.maximum(pool, 0)]], 0.0)
    ttft_s = w.latencies_s[:, 0].astype(np.float64) + delay_s
    e2e_s = w.latencies_s[:, 1].astype(np.float64) + delay_s
    deferrable = x.deferrable[q.tier] == 1
    promise_s = x.promise_s[q.tier]
    series = rec.series.reshape(span.windows, cells, shared.SERIES_COLUMNS)

    def count(column: int, where: NDArray[np.bool_], weights: Floats | None = None, at: Ints = place) -> None:
        picked = None if weights is None else weights[where]
        total = np.bincount(at[where], weights=picked, minlength=span.windows * cells)[: span.windows * cells]
        series[:, :, column] += total.reshape(span.windows, cells)

    everyone = np.ones(cell.size, dtype=bool)
    ended, begun = np.isfinite(e2e_s), np.isfinite(ttft_s)
    end_window = np.where(ended, (q.arrival_s + np.where(ended, e2e_s - delay_s, 0.0)) / span.window_s, 0)
    count(shared.ARRIVED, everyone)
    count(shared.SERVED, ended, at=np.minimum(end_window.astype(np.int64), span.windows - 1) * cells + cell)
    count(shared.SHED, pool == SHED)
    count(shared.ELSEWHERE, routed & (regions[np.maximum(pool, 0)] != q.origin))
    interactive = ~deferrable
    count(shared.TTFT_SUM, interactive, np.where(begun, ttft_s, UNSERVED_S))
    count(shared.KEPT, interactive & begun & (ttft_s <= promise_s))
    output = np.maximum(q.output - 1, 1)
    count(shared.ITL_SUM, ended, np.where(ended & (q.output > 1), (e2e_s - ttft_s) / output, 0.0))
    step = np.minimum((q.arrival_s / span.step_s).astype(np.int64), span.steps - 1)
    count(shared.BAD_SHARE, routed, saturated[step, np.maximum(pool, 0)])
    due_s = q.arrival_s + promise_s
    due = deferrable & (due_s < span.steps * span.step_s)
    due_at = np.where(due, due_s / span.window_s, 0).astype(np.int64) * cells + cell
    count(shared.MISSED, due & ~(ended & (e2e_s <= promise_s)), at=due_at)
    count(shared.KEPT, due & ended & (e2e_s <= promise_s), at=due_at)
    gone = series[:, :, shared.SERVED] + series[:, :, shared.SHED]
    series[:, :, shared.BACKLOG] = np.cumsum(series[:, :, shared.ARRIVED] - gone, axis=0)
    series[:, :, shared.OLDEST] = oldest_s.reshape(span.windows, cells)
    rec.series[:] = series.reshape(rec.series.shape)
    _bin_latencies(rec, np.where(begun, ttft_s, UNSERVED_S), interactive, q.arrival_s, cell, cells, span)


def _bin_latencies(
    rec: shared.Record,
    ttft_s: Floats,
    counted: NDArray[np.bool_],
    arrival_s: Floats,
    cell: Ints,
    cells: int,
    span: Span,
) -> None:
    """Count latencies into the hours' bins and read the windows' percentiles, an hour at a time."""
    shape = rec.hour_bins.shape[1:4]
    order = np.argsort(arrival_s, kind="stable")
    order = order[counted[order]]
    ordered = arrival_s[order]
    place = np.log(np.clip(ttft_s[order], BIN_LOW_S, BIN_HIGH_S * 0.999) / BIN_LOW_S) / np.log(BIN_RATIO)
    bins = np.minimum(place.astype(np.int64), BINS - 1)
    per_hour = max(int(SECONDS_PER_HOUR / span.window_s), 1)
    for hour in range(span.hours):
        low, high = np.searchsorted(ordered, [hour * SECONDS_PER_HOUR, (hour + 1) * SECONDS_PER_HOUR])
        part = slice(low, high)
        within = ((ordered[part] - hour * SECONDS_PER_HOUR) / span.window_s).astype(np.int64)
        flat = (within * cells + cell[order[part]]) * BINS + bins[part]
        counts = np.bincount(flat, minlength=per_hour * cells * BINS).reshape(per_hour, cells, BINS)
        rec.hour_bins[hour] += counts.sum(axis=0).reshape(*shape, BINS)
        first = hour * per_hour
        windows = min(per_hour, span.windows - first)
        for i, level in enumerate(LEVELS):
            rec.percentiles[first : first + windows, ..., i] = _percentiles(counts[:windows], level).reshape(
                windows, *shape
            )


def _percentiles(counts: NDArray[np.int64], level: float) -> Floats:
    """Return the latency not exceeded by a share of each row of bins, log-interpolated inside its bin; NaN if empty."""
    running = counts.cumsum(axis=-1)
    total = running[..., -1]
    wanted = level * total
    place = np.argmax(running >= wanted[..., None], axis=-1)
    here = np.take_along_axis(counts, place[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(running, place[..., None], axis=-1)[..., 0] - here
    share = np.divide(wanted - before, here, out=np.zeros(wanted.shape), where=here > 0)
    return np.where(total > 0, BIN_EDGES_S[place] * BIN_RATIO ** np.clip(share, 0.0, 1.0), np.nan)
