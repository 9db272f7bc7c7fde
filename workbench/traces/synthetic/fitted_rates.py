"""From counts per window to rhythm, level and growth of every series, with thin series leaning on thicker ones.

A rhythm is taken per hour of the week where the trace has a week, else as observed in slots of an hour, ten minutes or
one. A slot with few requests says little: it is drawn towards the rhythm of all models of its region and tier, and that
towards a flat line, as if each had brought ``PRIOR_REQUESTS`` more requests (the mean of a gamma prior). Time of which
nothing is known is no time without requests: it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.traces.store import Reading
from workbench.traces.synthetic.rhythms import WEEK_S, Rhythm, growth_at, rhythm_of_means
from workbench.traces.synthetic.workloads import MONDAY
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, seconds_between

Floats = npt.NDArray[np.float64]
Labels = tuple[str, str, str]

SLOTS_S = (3600.0, 600.0, 60.0)
SLOTS_NEEDED = 6
PRIOR_REQUESTS = 8.0
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The slots of a trace: their length, the first edge, how many there are, and how many make one period."""

    slot_s: float
    first: datetime
    slots: int
    anchor: datetime
    period_slots: int

    @property
    def phase(self) -> npt.NDArray[np.int64]:
        """The place of every slot in the period."""
        offset = round(seconds_between(self.anchor, self.first) / self.slot_s)
        return (offset + np.arange(self.slots)) % self.period_slots

    @property
    def period_s(self) -> float:
        """The length after which a rhythm repeats."""
        return self.period_slots * self.slot_s


def grid_of(first_at: datetime, until: datetime, *, native_s: float | None) -> Grid:
    """Choose slots for [first_at, until): the longest of ``SLOTS_S`` of which there are enough, a week as period.

    ``native_s`` is the window of a series, of which a slot holds a whole number (else it is the slot itself).
    """
    span_s = seconds_between(first_at, until)
    fitting = [slot for slot in SLOTS_S if native_s is None or (slot >= native_s and slot % native_s == 0)]
    enough = [slot for slot in fitting if span_s >= SLOTS_NEEDED * slot]
    slot_s = enough[0] if enough else fitting[-1] if fitting else float(native_s or SLOTS_S[-1])
    step = timedelta(seconds=slot_s)
    first = MONDAY + (first_at - MONDAY) // step * step
    slots = -(-(until - first) // step)
    day_slots = round(SECONDS_PER_DAY / slot_s)
    if span_s >= WEEK_S - slot_s and slot_s <= SECONDS_PER_HOUR:
        return Grid(slot_s=slot_s, first=first, slots=slots, anchor=MONDAY, period_slots=7 * day_slots)
    if span_s >= SECONDS_PER_DAY - slot_s and slot_s <= SECONDS_PER_HOUR:
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        days = max(1, int((span_s + slot_s) // SECONDS_PER_DAY))
        return Grid(slot_s=slot_s, first=first, slots=slots, anchor=midnight, period_slots=days * day_slots)
    return Grid(slot_s=slot_s, first=first, slots=slots, anchor=first, period_slots=slots)


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """Requests and known seconds of every series (row) and slot (column), with tokens where windows carry them."""

    grid: Grid
    labels: tuple[Labels, ...]
    requests: Floats
    known_s: Floats
    input_tokens: Floats
    output_tokens: Floats


def counted(store: Reading, trace: str, grid: Grid, *, since: datetime, until: datetime) -> Counted:
    """Count the requests of [since, until) per slot; gaps of the trace and unknown windows are no known time."""
    info = store.describe(trace)
    native_s = info.header.window_s
    sums = store.sum_by_window(trace, window_s=native_s or grid.slot_s, since=since, until=until)
    labels = tuple(sums.select("region", "model", "tier").unique().sort("region", "model", "tier").rows())
    shape = (len(labels), grid.slots)
    filled = {name: np.zeros(shape) for name in ("requests", "input_tokens", "output_tokens")}
    known = np.zeros(shape)
    row_of = {label: row for row, label in enumerate(labels)}
    slot_us = round(grid.slot_s * 1e6)
    if native_s is None:
        known += _covered_s(grid, since, until)
        known -= _gap_s(store, trace, grid, labels, since=since, until=until)
    for part in sums.drop_nulls().partition_by("region", "model", "tier"):
        row = row_of[part.select("region", "model", "tier").row(0)]
        first = pl.lit(grid.first, dtype=pl.Datetime("us"))
        slot = part.select((pl.col("window_start") - first).dt.total_microseconds() // slot_us).to_series().to_numpy()
        for name, values in filled.items():
            np.add.at(values[row], slot, part[name].to_numpy())
        if native_s is not None:
            np.add.at(known[row], slot, native_s)
    return Counted(grid=grid, labels=labels, known_s=np.maximum(known, 0.0), **filled)


def _covered_s(grid: Grid, since: datetime, until: datetime) -> Floats:
    low, high = seconds_between(grid.first, since), seconds_between(grid.first, until)
    edges = np.arange(grid.slots + 1) * grid.slot_s
    return np.asarray(np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None))


def _gap_s(
    store: Reading, trace: str, grid: Grid, labels: tuple[Labels, ...], *, since: datetime, until: datetime
) -> Floats:
    lost = np.zeros((len(labels), grid.slots))
    for gap in store.gaps(trace).to_dicts():
        first, last = max(gap["since"], since), min(gap["until"], until)
        if first < last:
            mine = [
                row
                for row, (region, model, _) in enumerate(labels)
                if gap["region"] in (None, region) and gap["model"] in (None, model)
            ]
            lost[mine] += _covered_s(grid, first, last)
    return lost


def growth_of(counts: Counted) -> float:
    """Return the growth per week over the whole weeks of a trace (a line through the logarithms); 0 below two weeks."""
    week_slots = round(WEEK_S / counts.grid.slot_s)
    weeks = counts.grid.slots // week_slots
    if weeks < 2:
        return 0.0
    whole = counts.requests.sum(axis=0)[: weeks * week_slots].reshape(weeks, week_slots).sum(axis=1)
    known = counts.known_s.max(axis=0)[: weeks * week_slots].reshape(weeks, week_slots).sum(axis=1)
    if np.any(whole <= 0) or np.any(known <= 0):
        return 0.0
    slope = np.polyfit(np.arange(weeks), np.log(whole / known), 1)[0]
    return float(np.exp(slope) - 1.0)


def rhythms_of(counts: Counted, *, growth_per_week: float) -> Mapping[Labels, tuple[float, Rhythm]]:
    """Return the requests per second at the start of the trace and the rhythm of every series."""
    grid = counts.grid
    grown = growth_at(np.arange(0.5, grid.slots).astype(np.float64) * grid.slot_s, growth_per_week)
    seen = _by_phase(counts.requests, grid)
    exposed = _by_phase(counts.known_s * grown, grid)
    groups = {(region, tier) for region, _, tier in counts.labels}
    prior = {}
    for group in groups:
        mine = [row for row, (region, _, tier) in enumerate(counts.labels) if (region, tier) == group]
        pooled_seen, pooled_exposed = seen[mine].sum(axis=0), exposed[mine].mean(axis=0)
        prior[group] = _drawn_towards(pooled_seen, pooled_exposed, np.ones(grid.period_slots))
    found = {}
    for row, (region, model, tier) in enumerate(counts.labels):
        rate = _drawn_towards(seen[row], exposed[row], prior[region, tier])
        level = seen[row].sum() / max(exposed[row].sum(), 1e-9)
        # slots that were never seen, or seen in part, weigh as much as the others in a whole period
        scale = _level_ratio(rate, exposed[row])
        found[region, model, tier] = float(level * scale), rhythm_of_means(rate, period_s=grid.period_s)
    return found


def _by_phase(values: Floats, grid: Grid) -> Floats:
    folded = np.zeros((values.shape[0], grid.period_slots))
    for row, into in zip(values, folded, strict=True):
        np.add.at(into, grid.phase, row)
    return folded


def _drawn_towards(seen: Floats, exposed: Floats, prior: Floats) -> Floats:
    """Relative rate per phase: the mean of a gamma posterior; its prior is ``PRIOR_REQUESTS`` requests per slot."""
    level = seen.sum() / max(float(np.sum(exposed * prior)), 1e-9)
    if level <= 0:
        return prior
    expected = np.maximum(level * prior, 1e-300)
    return np.asarray((seen + PRIOR_REQUESTS) / (exposed * level + PRIOR_REQUESTS * level / expected))


def _level_ratio(rate: Floats, exposed: Floats) -> float:
    """Return the mean of a rate over the period divided by its mean over the time that was seen."""
    while_seen = float(np.sum(rate * exposed)) / max(float(exposed.sum()), 1e-9)
    return float(rate.mean()) / while_seen if while_seen > 0 else 1.0
