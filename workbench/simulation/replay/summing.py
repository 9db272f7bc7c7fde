"""From the times of single requests to the record that both engines hand on: windows, latency bins, deadlines.

A percentile is that of all arrivals of a window: one without a first token counts as later than every other, and one
without an end as a miss. The mean takes such a request with its age when the run ends, which is a lower bound: how
long it would have waited is not known, and a stand-in would drown what is.

Requests are counted when nothing will become of them any more, block by block. Sums of seconds are kept as whole
seconds and whole parts of 2^-32 s, so that no order of adding them up gives another result; the bins of an hour's
windows are held until the last of its interactive requests is counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.simulation import state as shared
from workbench.simulation.compiling import inlined, kernel, place
from workbench.simulation.latency import BIN_EDGES_S, BIN_RATIO, BINS, UNSERVED_S, bin_of
from workbench.simulation.loads import Span
from workbench.simulation.replay.rows import Rows, settled, taken_in
from workbench.simulation.replay.state import E2E, SHED, TTFT, Requests
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
LEVELS = np.array([0.50, 0.95, 0.99])
PARTS = float(1 << 32)
TTFT_WHOLE, TTFT_PARTS, GAP_WHOLE, GAP_PARTS, GAPS = range(5)


class Facts(NamedTuple):
    """What a request is judged by."""

    deferrable: Ints  # K
    promise_s: Floats  # K
    network_s: Floats  # H, R
    regions: Ints  # P: where each pool stands
    saturated: NDArray[np.uint8]  # steps, P
    step_s: float
    window_s: float
    end_s: float


class Sums(NamedTuple):
    """What the counted requests add up to."""

    series: Floats  # windows, H, M, K, columns: whole numbers only
    seconds: Ints  # windows, H, M, K, GAPS + 1: sums of seconds and parts, and how many gaps
    first_bins: Counts  # hours, H, M, K, bins: times to the first token
    whole_bins: Counts  # hours, H, M, K, bins: times to the last token


@inlined
def add_seconds(sums: Ints, column: int, seconds: float) -> None:
    """Add seconds to a sum of whole seconds and the parts behind it, exactly."""
    whole_s = math.floor(seconds)
    sums[column] += int(whole_s)
    sums[column + 1] += int((seconds - whole_s) * PARTS)


@inlined
def window_of(facts: Facts, at_s: float, windows: int) -> int:
    """Return the window of an instant, the last one where it is later."""
    return min(int(at_s / facts.window_s), windows - 1)


@kernel
def count_interactive(
    facts: Facts, sums: Sums, bins: Counts, window: int, h: int, m: int, k: int, arrival_s: float, ttft_s: float
) -> None:
    """Count a first token, as the origin sees it, or that there is none."""
    begun = not math.isnan(ttft_s)
    if begun and ttft_s <= facts.promise_s[k]:
        sums.series[window, h, m, k, shared.KEPT] += 1.0
    add_seconds(sums.seconds[window, h, m, k], TTFT_WHOLE, ttft_s if begun else facts.end_s - arrival_s)
    i = bin_of(ttft_s if begun else UNSERVED_S)
    bins[window % bins.shape[0], h, m, k, i] += 1
    sums.first_bins[int(arrival_s / 3600.0), h, m, k, i] += 1


@kernel
def count_deadline(facts: Facts, sums: Sums, h: int, m: int, k: int, arrival_s: float, e2e_s: float) -> None:
    """Count a deadline that falls into the run in the window where it falls, as kept or missed."""
    due_s = arrival_s + facts.promise_s[k]
    if due_s < facts.end_s:
        is_kept = not math.isnan(e2e_s) and e2e_s <= facts.promise_s[k]
        column = shared.KEPT if is_kept else shared.MISSED
        sums.series[window_of(facts, due_s, sums.series.shape[0]), h, m, k, column] += 1.0


@kernel
def count(
    facts: Facts, sums: Sums, bins: Counts, q: Requests, latencies_s: Floats, pool_of: NDArray[np.int16],
    first: int, last: int, everyone: bool,
) -> None:  # fmt: skip
    """Count the rows [first, last) that are settled, or all of them."""
    windows = sums.series.shape[0]
    for row in range(first, last):
        p, ended_s = pool_of[place(row)], latencies_s[place(row), E2E]
        has_ended = not math.isnan(ended_s)
        if not (everyone or has_ended or p == SHED):
            continue
        h, m, k, arrival_s = q.origin[place(row)], q.model[place(row)], q.tier[place(row)], q.arrival_s[place(row)]
        window = window_of(facts, arrival_s, windows)
        cell = sums.series[window, h, m, k]
        cell[shared.ARRIVED] += 1.0
        delay_s = 0.0
        if p == SHED:
            cell[shared.SHED] += 1.0
        elif p >= 0:
            region = facts.regions[p]
            delay_s = facts.network_s[h, region]
            if region != h:
                cell[shared.ELSEWHERE] += 1.0
            step = min(int(arrival_s / facts.step_s), facts.saturated.shape[0] - 1)
            cell[shared.BAD_SHARE] += facts.saturated[step, p]
        ttft_s = latencies_s[place(row), TTFT] + delay_s
        if has_ended:
            sums.series[window_of(facts, arrival_s + ended_s, windows), h, m, k, shared.SERVED] += 1.0
            if q.output[place(row)] > 1:
                gap_s = (ended_s + delay_s - ttft_s) / (q.output[place(row)] - 1)
                add_seconds(sums.seconds[window, h, m, k], GAP_WHOLE, gap_s)
                sums.seconds[window, h, m, k, GAPS] += 1
        i = bin_of(ended_s + delay_s if has_ended else UNSERVED_S)
        sums.whole_bins[int(arrival_s / 3600.0), h, m, k, i] += 1
        if facts.deferrable[k]:
            count_deadline(facts, sums, h, m, k, arrival_s, ended_s + delay_s)
        else:
            count_interactive(facts, sums, bins, window, h, m, k, arrival_s, ttft_s)


@kernel
def read_percentiles(bins: Counts, levels: Floats, edges_s: Floats, found_s: Floats) -> None:
    """Read latencies off the bins of every window, origin, model and tier that had an arrival.

    One is the latency that a level's share of the arrivals does not exceed, log-interpolated inside its bin.
    """
    for window in range(found_s.shape[0]):
        for h in range(bins.shape[1]):
            for m in range(bins.shape[2]):
                for k in range(bins.shape[3]):
                    cell, total = bins[window, h, m, k], 0
                    for i in range(cell.size):
                        total += cell[i]
                    if total == 0:
                        continue
                    i, before = 0, 0
                    for level in range(levels.size):
                        wanted = levels[level] * total
                        while before + cell[i] < wanted:
                            before += cell[i]
                            i += 1
                        share = (wanted - before) / cell[i]
                        found_s[window, h, m, k, level] = edges_s[i] * BIN_RATIO**share


class Tally:
    """Counts what is settled into a record, block by block."""

    def __init__(self, record: shared.Record, inputs: shared.Inputs, *, regions: Ints, span: Span) -> None:
        self._record, self._span = record, span
        self._bins: dict[int, Counts] = {}  # by hour
        self.saturated = np.zeros((span.steps, regions.size), dtype=np.uint8)
        self.oldest_s = np.zeros((span.windows, *record.series.shape[1:4]))
        self._facts = Facts(
            deferrable=inputs.deferrable,
            promise_s=inputs.promise_s,
            network_s=inputs.network_s,
            regions=np.ascontiguousarray(regions),
            saturated=self.saturated,
            step_s=span.step_s,
            window_s=span.window_s,
            end_s=span.steps * span.step_s,
        )
        seconds = np.zeros((*record.series.shape[:4], GAPS + 1), dtype=np.int64)
        self.first_bins = np.zeros((span.hours, *record.series.shape[1:4], BINS), dtype=np.int32)
        self.whole_bins = np.zeros_like(self.first_bins)
        self._sums = Sums(series=record.series, seconds=seconds, first_bins=self.first_bins, whole_bins=self.whole_bins)

    def add(self, rows: Rows, now_s: float, *, everyone: bool = False) -> None:
        """Count the rows that are settled at an instant, or everyone, as nothing more will happen."""
        edges = np.arange(self._span.hours + 1) * SECONDS_PER_HOUR
        arrival_s = rows.requests.arrival_s
        parts = [(0, rows.inside), *zip(rows.requests.first, rows.requests.position, strict=True)]
        bounds = np.array([first + np.searchsorted(arrival_s[first:last], edges) for first, last in parts])
        bounds[:, -1] = [last for _, last in parts]
        until_s = math.inf if everyone else min(self._first_open_s(rows), now_s)
        for hour in np.flatnonzero((np.diff(bounds, axis=1) > 0).any(axis=0)).tolist():
            for first, last in bounds[:, hour : hour + 2]:
                self._count(rows, hour, int(first), int(last), everyone)
            self._close(min(until_s, (hour + 1) * SECONDS_PER_HOUR))  # later hours may have been begun before
        self._close(until_s)

    def _first_open_s(self, rows: Rows) -> float:
        """Return the first arrival of an interactive request that is not settled yet."""
        is_open = taken_in(rows) & ~settled(rows) & (self._facts.deferrable[rows.requests.tier] == 0)
        return float(rows.requests.arrival_s[is_open].min(initial=math.inf))

    def _count(self, rows: Rows, hour: int, first: int, last: int, everyone: bool) -> None:
        if hour not in self._bins:
            per_hour = max(round(SECONDS_PER_HOUR / self._span.window_s), 1)
            self._bins[hour] = np.zeros((per_hour, *self._record.series.shape[1:4], BINS), dtype=np.int32)
        count(
            self._facts, self._sums, self._bins[hour], rows.requests, rows.world.latencies_s, rows.outside.pool_of,
            first, last, everyone,
        )  # fmt: skip

    def _close(self, until_s: float) -> None:
        """Read the percentiles of every hour that ends before an instant, and forget its bins."""
        for hour in [hour for hour in self._bins if (hour + 1) * SECONDS_PER_HOUR <= until_s]:
            bins = self._bins.pop(hour)
            found_s = self._record.percentiles[hour * len(bins) : (hour + 1) * len(bins)]
            read_percentiles(bins, LEVELS, BIN_EDGES_S, found_s)

    def finish(self) -> None:
        """Fill in what needs all sums: means, what is left inside, and the ages of what waits.

        The readout divides by the arrivals, so a window's mean gap over the requests that have one is laid on all.
        """
        series, seconds = self._record.series, self._sums.seconds
        arrived, gaps = series[..., shared.ARRIVED], seconds[..., GAPS]
        series[..., shared.TTFT_SUM] = seconds_of(seconds, TTFT_WHOLE)
        mean_s = np.divide(seconds_of(seconds, GAP_WHOLE), gaps, out=np.zeros(gaps.shape), where=gaps > 0)
        mean_s[(gaps == 0) & (arrived > 0)] = np.nan
        series[..., shared.ITL_SUM] = mean_s * arrived
        gone = series[..., shared.SERVED] + series[..., shared.SHED]
        series[..., shared.BACKLOG] = np.cumsum(arrived - gone, axis=0)
        series[..., shared.OLDEST] = self.oldest_s


def seconds_of(sums: Ints, column: int) -> Floats:
    """Return sums of seconds from their whole seconds and parts."""
    return np.asarray(sums[..., column] + sums[..., column + 1] / PARTS)
