"""Silences: stretches without traffic, and which of them are holes in the record rather than quiet times.

A night is quiet because the level sinks before it and rises after it. A hole is a stretch that begins and ends at full
level: what came just before and just after says how much should have come inside. Holes are handed on as gaps, so that
demand is unknown there instead of zero. A stretch that comes back at the same hour on many days is a habit, and one of
very many is the manner of a sender that sends in bursts; neither is called a hole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from workbench.traces.catalogue import GAPS
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Levels, Look, runs
from workbench.traces.quality.rowcaps import choppy_models
from workbench.traces.store import quality_queries

SILENT_AT_LEAST_S = 60.0
SILENT_TIMES_MEAN_GAP = 50.0
SILENT_ASKED = 500
SILENT_LISTED = 5

MISSED_AT_LEAST = 100.0
NEIGHBOUR_S = 600.0
HOLE_FRACTION = 0.05
NEIGHBOUR_WINDOWS = 6
STEADY_FRACTION = 0.2
HOLE_AT_LEAST_S = 300.0
HOLES_AT_MOST_PER_DAY = 3.0
HABIT_FRACTION = 0.5
HOLES_LISTED = 20
CLOCK_TOLERANCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A stretch [since, until) of one model in which nothing, or next to nothing, came although it should have."""

    model: str
    since: datetime
    until: datetime
    missed: float

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.until - self.since).total_seconds()


def holes(look: Look) -> list[Hole]:
    """Return the holes of a trace, by model and time; of overlapping ones the one found by single arrivals."""
    if look.is_made:
        return []
    choppy = choppy_models(look)
    exact = [hole for hole in _between_arrivals(look) if hole.model not in choppy]
    coarse = [
        hole
        for hole in _between_windows(look)
        if hole.model not in choppy and not any(_overlap(hole, known) for known in exact)
    ]
    return sorted(_not_usual(exact + coarse, look.load.days), key=lambda hole: (hole.model, hole.since))


def hole_findings(look: Look) -> list[Finding]:
    """Tell every hole: how long, from when, what was to be expected, and whether all models stop together."""
    found = holes(look)
    models = {key[0] for key in look.load.by("model")}
    told = []
    for hole in sorted(found, key=lambda hole: -hole.missed)[:HOLES_LISTED]:
        together = {other.model for other in found if _overlap(hole, other)}
        alone = len(models) > 1 and together == models
        detail = (
            f"no arrival, or next to none, for {hole.seconds:,.0f} s from {hole.since} to {hole.until}; the level "
            f"before and after lets expect about {hole.missed:,.0f} {look.load.measure}"
            + (": all models stop at once, so probably the record and not the load" if alone else "")
        )
        told.append(finding("hole", hole.model, 1, detail))
    rest = len(found) - len(told)
    return [*told, finding("hole", "trace", rest, f"{rest:,} further holes, with less missing")] if rest > 0 else told


def silent_findings(look: Look) -> list[Finding]:
    """Tell per model how many stretches without an arrival are no holes, and the longest of them."""
    silent = _silent(look)
    if silent.is_empty():
        return []
    known = holes(look)
    by_model: dict[str, list[dict[str, Any]]] = {}
    for row in silent.to_dicts():
        if not any(_covers(hole, row) for hole in known):
            by_model.setdefault(row["model"], []).append(row)
    more = "or more " if silent.height == SILENT_ASKED else ""
    found = []
    for model, rows in sorted(by_model.items()):
        longest = ", ".join(
            f"{row['gap_s']:,.0f} s from {row['since']:%Y-%m-%d %H:%M:%S}" for row in rows[:SILENT_LISTED]
        )
        times = "once" if len(rows) == 1 else f"{len(rows):,} {more}times, the longest"
        detail = f"no arrival {times} for {longest}; the mean gap is {rows[0]['mean_s']:.3g} s"
        found.append(finding("silent stretch", model, len(rows), detail))
    return found


def clock_findings(look: Look) -> list[Finding]:
    """Suspect a clock that was put forward where all models are silent for an hour in the night to a Sunday."""
    models = len(look.load.by("model"))
    jumps: Counter[datetime] = Counter()
    for row in _silent(look).to_dicts():
        since: datetime = row["since"]
        if since.isoweekday() in (6, 7) and abs(row["gap_s"] - 3600.0) <= CLOCK_TOLERANCE_S:
            jumps[since.replace(minute=0, second=0, microsecond=0)] += 1
    return [
        finding("clock set forward", "trace", 1, f"every model is silent for one hour from about {at} UTC, a {at:%A}")
        for at, count in jumps.items()
        if count == models and (at.isoweekday() == 7 or at.hour >= 22)
    ]


def gaps_of(look: Look) -> pl.DataFrame:
    """Return the holes as gaps to mark (``GAPS``), in the time of the rows.

    A hole concerns all regions of its model; where regions were made by shifting, each has it at its own time.
    """
    found = holes(look)
    rows = [
        {"region": region, "model": hole.model, "since": hole.since + shift, "until": hole.until + shift}
        for hole in found
        for region, shift in _later(look, hole.model).items()
    ]
    return GAPS.conform(pl.DataFrame(rows, schema=GAPS.schema).with_columns(reason=pl.lit("hole in the source")))


def _later(look: Look, model: str) -> dict[str | None, timedelta]:
    """Return by how much the rows of each region lie later than their source; None stands for all regions."""
    if not look.shifts:
        return {None: timedelta(0)}
    # beside the made regions another file of the trace may have brought its own; those of a series are not made yet
    mine = look.load.frame.filter(pl.col("model") == model, look.ask is not None).get_column("region").unique()
    return dict.fromkeys(mine, timedelta(0)) | dict(look.shifts)


def _silent(look: Look) -> pl.DataFrame:
    if look.ask is None:
        return pl.DataFrame(schema={"model": pl.String})
    query = quality_queries.silent(
        look.shifts, at_least_s=SILENT_AT_LEAST_S, times_mean=SILENT_TIMES_MEAN_GAP, at_most=SILENT_ASKED
    )
    return look.ask(query)


def _between_arrivals(look: Look) -> list[Hole]:
    """Return the silences of requests that begin and end at a level at which a hundred arrivals should have come."""
    levels = look.load.by("model")
    found = []
    for row in _silent(look).to_dicts():
        level = levels[(row["model"],)]
        start = (row["since"] - look.load.first).total_seconds()
        end = (row["until"] - look.load.first).total_seconds()
        missed = min(_rate(look, level, start, before=True), _rate(look, level, end, before=False)) * row["gap_s"]
        if missed >= MISSED_AT_LEAST:
            found.append(Hole(model=row["model"], since=row["since"], until=row["until"], missed=missed))
    return found


def _rate(look: Look, level: Levels, at_s: float, *, before: bool) -> float:
    """Return the arrivals per second in the ten minutes before or after an instant, whole windows only."""
    window_s = look.load.window_s
    count = max(1, round(NEIGHBOUR_S / window_s))
    edge = int(at_s // window_s) if before else int(at_s // window_s) + 1
    part = level[max(0, edge - count) : edge] if before else level[edge : edge + count]
    # a stretch at the very edge of the trace has no whole window beside it and is no hole
    return float(np.median(part)) / window_s if part.size else 0.0


def _between_windows(look: Look) -> list[Hole]:
    """Return stretches of windows at next to nothing between steady neighbours at full level."""
    load = look.load
    requests = load.by("model", measure="requests")
    found = []
    for key, level in load.by("model").items():
        for start, end in _stretches(level, load.window_s):
            missed = _missed(level, start, end)
            in_requests = missed if load.measure == "requests" else _missed(requests.get(key, level), start, end)
            if missed > 0 and in_requests >= MISSED_AT_LEAST and (end - start) * load.window_s >= HOLE_AT_LEAST_S:
                found.append(Hole(model=key[0], since=load.at(start), until=load.at(end), missed=missed))
    return found


def _stretches(level: Levels, window_s: float) -> list[tuple[int, int]]:
    """Return the runs of windows that lie far below the median of the day around them."""
    around = max(3, round(86_400 / window_s) | 1)
    known = pl.Series(level, nan_to_null=True)
    usual = known.rolling_median(around, min_samples=1, center=True).to_numpy()
    with np.errstate(invalid="ignore"):
        return runs(np.nan_to_num(level, nan=np.inf) < HOLE_FRACTION * usual)


def _missed(level: Levels, start: int, end: int) -> float:
    """Return what a stretch should have held by its neighbours, or 0 where these are not steady or not far above it.

    One window on each side is left out, as the stretch may begin or end inside it.
    """
    before = level[max(0, start - 1 - NEIGHBOUR_WINDOWS) : max(0, start - 1)]
    after = level[end + 1 : end + 1 + NEIGHBOUR_WINDOWS]
    expected = np.inf
    for side in (before, after):
        known = side[~np.isnan(side)]
        if known.size < NEIGHBOUR_WINDOWS // 2 or known.min() < STEADY_FRACTION * np.median(known):
            return 0.0
        expected = min(expected, float(np.median(known)))
    inside = float(np.mean(level[start:end]))
    return expected * (end - start) if inside <= HOLE_FRACTION * expected else 0.0


def _not_usual(found: list[Hole], days: float) -> list[Hole]:
    """Leave out models that are silent all the time, and stretches that come at the same hour on half of the days."""
    per_model = Counter(hole.model for hole in found)
    dates = {(hole.model, hole.since.hour): set[object]() for hole in found}
    for hole in found:
        dates[hole.model, hole.since.hour].add(hole.since.date())
    habits = {key for key, seen in dates.items() if len(seen) > 1 and len(seen) >= HABIT_FRACTION * days}
    return [
        hole
        for hole in found
        if per_model[hole.model] <= HOLES_AT_MOST_PER_DAY * max(1.0, days)
        and (hole.model, hole.since.hour) not in habits
    ]


def _covers(hole: Hole, row: dict[str, Any]) -> bool:
    return bool(hole.model == row["model"] and hole.since < row["until"] and row["since"] < hole.until)


def _overlap(one: Hole, other: Hole) -> bool:
    return one.since < other.until and other.since < one.until
