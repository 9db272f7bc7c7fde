"""From the times of single requests to the record that both engines hand on: windows, latency bins, deadlines.

A percentile is that of all arrivals of a window: one without a first token counts as later than every other, and one
without an end as a miss. The mean takes such a request with its age when the run ends, which is a lower bound: how
long it would have waited is not known, and a stand-in would drown what is. The sums are made by model and hour, as the
requests lie, so that they need no memory in proportion to the requests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.simulation import state as shared
from workbench.simulation.latency import BIN_EDGES_S, BIN_HIGH_S, BIN_LOW_S, BIN_RATIO, BINS, UNSERVED_S
from workbench.simulation.loads import Span
from workbench.simulation.replay.state import E2E, SHED, TTFT, Outside, Requests, World
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
LEVELS = (0.50, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The requests of one model that arrive in one hour; latencies as the origin sees them, NaN where none came."""

    model: int
    hour: int
    arrival_s: Floats
    cell: Ints  # origin x tiers + tier
    output: NDArray[np.int32]
    pool: Ints
    region: Ints  # of the pool; -1 where there is none
    origin: NDArray[np.int16]
    ttft_s: Floats
    e2e_s: Floats
    ended_s: Floats  # when the last token left its pool
    promise_s: Floats
    is_deferrable: Flags


def sum_up(
    rec: shared.Record, x: shared.Inputs, w: World, out: Outside, q: Requests, *, regions: Ints, oldest_s: Floats,
    saturated: Floats, span: Span,
) -> None:  # fmt: skip
    """Fill the series, bins and percentiles of a record from the requests' latencies.

    ``regions`` holds the region of every pool, ``oldest_s`` the age of the oldest deferrable request by window, and
    ``saturated`` whether a pool was within 5 % of what it can do, by step.
    """
    first = 0
    for model, last in enumerate(q.last):
        hours = np.arange(span.hours + 1) * SECONDS_PER_HOUR
        edges = first + np.searchsorted(q.arrival_s[first:last], hours)
        edges[-1] = last
        for hour in range(span.hours):
            part = _part(x, w, out, q, regions, slice(edges[hour], edges[hour + 1]), model, hour)
            _count_arrivals(rec, part, span, saturated)
            _count_ends(rec, part, span)
            _count_deadlines(rec, part, span)
            _bin_latencies(rec, part, span)
        first = last
    series = rec.series
    gone = series[..., shared.SERVED] + series[..., shared.SHED]
    series[..., shared.BACKLOG] = np.cumsum(series[..., shared.ARRIVED] - gone, axis=0)
    series[..., shared.OLDEST] = oldest_s


def _part(
    x: shared.Inputs, w: World, out: Outside, q: Requests, regions: Ints, rows: slice, model: int, hour: int
) -> Part:
    origin, tier, arrival_s = q.origin[rows], q.tier[rows], q.arrival_s[rows]
    pool = out.pool_of[rows].astype(np.int64)
    region = np.where(pool >= 0, regions[np.maximum(pool, 0)], -1)
    delay_s = np.where(pool >= 0, x.network_s[origin, region], 0.0)
    return Part(
        model=model,
        hour=hour,
        arrival_s=arrival_s,
        cell=origin.astype(np.int64) * x.deferrable.size + tier,
        output=q.output[rows],
        pool=pool,
        region=region,
        origin=origin,
        ttft_s=w.latencies_s[rows, TTFT] + delay_s,
        e2e_s=w.latencies_s[rows, E2E] + delay_s,
        ended_s=arrival_s + w.latencies_s[rows, E2E],
        promise_s=x.promise_s[tier],
        is_deferrable=x.deferrable[tier] == 1,
    )


def _add(
    rec: shared.Record, part: Part, column: int, window: Ints, where: Flags, weights: Floats | None = None
) -> None:
    """Add requests, or their weights, to a column of the windows."""
    windows, origins, _, tiers, _ = rec.series.shape
    place = (window * (origins * tiers) + part.cell)[where]
    total = np.bincount(place, weights=None if weights is None else weights[where], minlength=windows * origins * tiers)
    rec.series[:, :, part.model, :, column] += total.reshape(windows, origins, tiers)


def _windows(at_s: Floats, where: Flags, span: Span) -> Ints:
    """Return the window of each instant, the last one where it is later; nought where there is none."""
    return np.minimum(np.where(where, at_s, 0.0) / span.window_s, span.windows - 1).astype(np.int64)


def _count_arrivals(rec: shared.Record, part: Part, span: Span, saturated: Floats) -> None:
    everyone, routed = np.ones(part.cell.size, dtype=bool), part.pool >= 0
    window = _windows(part.arrival_s, everyone, span)
    step = np.minimum((part.arrival_s / span.step_s).astype(np.int64), span.steps - 1)
    interactive, begun = ~part.is_deferrable, np.isfinite(part.ttft_s)
    age_s = span.steps * span.step_s - part.arrival_s
    _add(rec, part, shared.ARRIVED, window, everyone)
    _add(rec, part, shared.SHED, window, part.pool == SHED)
    _add(rec, part, shared.ELSEWHERE, window, routed & (part.region != part.origin))
    _add(rec, part, shared.BAD_SHARE, window, routed, saturated[step, np.maximum(part.pool, 0)])
    _add(rec, part, shared.TTFT_SUM, window, interactive, np.where(begun, part.ttft_s, age_s))
    _add(rec, part, shared.KEPT, window, interactive & begun & (part.ttft_s <= part.promise_s))


def _count_ends(rec: shared.Record, part: Part, span: Span) -> None:
    """Count completions where they end, and the gaps between tokens where the request arrived.

    The readout divides by the arrivals, so a window's mean gap over the requests that have one is laid on all of them.
    """
    ended = np.isfinite(part.e2e_s)
    _add(rec, part, shared.SERVED, _windows(part.ended_s, ended, span), ended)
    spaced = ended & (part.output > 1)
    gap_s = np.where(spaced, part.e2e_s - part.ttft_s, 0.0) / np.maximum(part.output - 1, 1)
    windows, origins, _, tiers, _ = rec.series.shape
    place = _windows(part.arrival_s, np.ones(ended.size, dtype=bool), span) * (origins * tiers) + part.cell
    arrived, number, total = (
        np.bincount(place, weights=weights, minlength=windows * origins * tiers).astype(np.float64)
        for weights in (None, spaced.astype(np.float64), gap_s)
    )
    mean_s = np.divide(total, number, out=np.zeros(total.shape), where=number > 0)
    mean_s[(number == 0) & (arrived > 0)] = np.nan
    rec.series[:, :, part.model, :, shared.ITL_SUM] += (mean_s * arrived).reshape(windows, origins, tiers)


def _count_deadlines(rec: shared.Record, part: Part, span: Span) -> None:
    """Count the deferrable requests whose deadline falls into the run, in the window where it falls."""
    due_s = part.arrival_s + part.promise_s
    due = part.is_deferrable & (due_s < span.steps * span.step_s)
    kept = np.isfinite(part.e2e_s) & (part.e2e_s <= part.promise_s)
    window = _windows(due_s, due, span)
    _add(rec, part, shared.MISSED, window, due & ~kept)
    _add(rec, part, shared.KEPT, window, due & kept)


def _bin_latencies(rec: shared.Record, part: Part, span: Span) -> None:
    """Count an hour's first tokens into its bins and read its windows' percentiles."""
    _, origins, _, tiers, _ = rec.series.shape
    cells, per_hour = origins * tiers, max(round(SECONDS_PER_HOUR / span.window_s), 1)
    counted = ~part.is_deferrable
    ttft_s = np.where(np.isfinite(part.ttft_s), part.ttft_s, UNSERVED_S)[counted]
    place = np.log(np.clip(ttft_s, BIN_LOW_S, BIN_HIGH_S * 0.999) / BIN_LOW_S) / np.log(BIN_RATIO)
    bins = np.minimum(place.astype(np.int64), BINS - 1)
    within = ((part.arrival_s[counted] - part.hour * SECONDS_PER_HOUR) / span.window_s).astype(np.int64)
    counts = np.bincount((within * cells + part.cell[counted]) * BINS + bins, minlength=per_hour * cells * BINS)
    counts = counts.reshape(per_hour, origins, tiers, BINS)
    rec.hour_bins[part.hour, :, part.model] += counts.sum(axis=0)
    first = part.hour * per_hour
    windows = min(per_hour, span.windows - first)
    for i, level in enumerate(LEVELS):
        rec.percentiles[first : first + windows, :, part.model, :, i] = percentiles(counts[:windows], level)


def percentiles(counts: NDArray[np.int64], level: float) -> Floats:
    """Return the latency not exceeded by a share of each row of bins, log-interpolated inside its bin; NaN if empty."""
    running = counts.cumsum(axis=-1)
    total = running[..., -1]
    wanted = level * total
    place = np.argmax(running >= wanted[..., None], axis=-1)
    here = np.take_along_axis(counts, place[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(running, place[..., None], axis=-1)[..., 0] - here
    share = np.divide(wanted - before, here, out=np.zeros(wanted.shape), where=here > 0)
    return np.where(total > 0, BIN_EDGES_S[place] * BIN_RATIO ** np.clip(share, 0.0, 1.0), np.nan)
