"""What the time stamps say about themselves: their span, how fine they are, and what the source's clock did.

Readers turn every stamp into UTC. The offsets that stood in the file, and a clock that goes back by an hour from one
row to the next, are counted while the file is read, as neither can be seen in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.lengths import ABSURD_INPUT_TOKENS, ABSURD_OUTPUT_TOKENS
from workbench.traces.quality.levels import Look
from workbench.traces.store import quality_queries
from workbench.units import span_in_words

HOUR_S = 3600.0
BACK_TOLERANCE_S = 120.0
BACK_AT_MOST = 3
BACKWARD_AT_MOST_FRACTION = 1e-3
# a stamp without an offset is taken as UTC
UTC_OFFSETS = ("", "Z", "+00:00", "+0000", "+00", "-00:00", "UTC")
RESOLUTIONS = {"finer_than_1min": "minutes", "finer_than_1s": "seconds"}
COARSE_ROWS = 100
STRAY_FRACTION = 0.01


class ClockTally:
    """Steps of the clock from one row of a file to the next, in the order of the file."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._steps = 0
        self._backward = 0
        self._hours_back: list[datetime] = []

    def add(self, arrived_at: pl.Series) -> None:
        """Follow the stamps of the next rows."""
        before = pl.Series([self._last], dtype=arrived_at.dtype)
        stamps = pl.concat([before, arrived_at]) if self._last else arrived_at
        step_s = stamps.diff().dt.total_microseconds() / 1e6
        self._steps += stamps.len() - 1
        self._backward += int((step_s < 0).sum())
        back = (step_s + HOUR_S).abs() <= BACK_TOLERANCE_S
        self._hours_back += stamps.filter(back.fill_null(value=False)).head(BACK_AT_MOST + 1).to_list()
        self._last = stamps[-1]

    def findings(self, source: str) -> list[Finding]:
        """Suspect a clock that was set back where hardly any step goes back but one to three go back by an hour."""
        lonely = self._backward <= max(BACK_AT_MOST, BACKWARD_AT_MOST_FRACTION * self._steps)
        if not self._hours_back or len(self._hours_back) > BACK_AT_MOST or not lonely:
            return []
        listed = ", ".join(f"{at}" for at in self._hours_back)
        detail = f"from one row to the next the stamps go back by one hour, to {listed}"
        return [finding("clock set back", source, len(self._hours_back), detail)]


def offsets(source: str, seen: Counter[str] | Mapping[str, int]) -> list[Finding]:
    """Tell the offsets from UTC that stood in a file, and warn where there are several; "" is a stamp without one.

    The count of a warning is that of the rows which do not carry the most frequent offset.
    """
    if not seen:
        return []
    by_offset: Counter[str] = Counter()
    for offset, count in seen.items():
        by_offset["+00:00" if offset in UTC_OFFSETS else offset] += count
    if len(by_offset) == 1:
        (offset,) = by_offset
        detail = "time stamps carry no offset and are taken as UTC" if not any(seen) else _converted(offset)
        return [finding("offsets", source, None, detail)]
    listed = ", ".join(f"{offset or 'none'} ({count:,} rows)" for offset, count in sorted(seen.items()))
    bare = "; those without one are taken as UTC" if "" in seen else ""
    detail = f"the stamps carry several offsets: {listed}{bare}"
    return [finding("offsets are mixed", source, by_offset.total() - max(by_offset.values()), detail)]


def _converted(offset: str) -> str:
    return "time stamps are in UTC" if offset == "+00:00" else f"stamps carry {offset} and were converted to UTC"


def span(look: Look, rows: int | None = None) -> list[Finding]:
    """Tell the span of the trace and the windows in which it was looked at."""
    load = look.load
    length = span_in_words(load.windows * load.window_s)
    count = load.windows if rows is None else rows
    detail = f"{length}, {load.first} to {load.last} UTC in windows of {load.window_s:g} s"
    return [finding("span", "trace", count, detail)]


def strays(look: Look) -> list[Finding]:
    """Suspect time stamps that lie apart from nearly all others by more than half of the whole span."""
    load = look.load
    per_window = load.frame.filter(pl.col(load.measure) > 0).group_by("window_start").agg(pl.col(load.measure).sum())
    ordered = per_window.sort("window_start")
    if ordered.height < 2:
        return []
    step_s = ordered.get_column("window_start").diff().dt.total_seconds()
    place = step_s.arg_max()
    assert place is not None
    if step_s[place] <= (load.last - load.first).total_seconds() / 2:
        return []
    before, after = ordered.head(place), ordered.slice(place)
    early, late = (float(part.get_column(load.measure).sum()) for part in (before, after))
    few, many, side = (before, after, "after") if early <= late else (after, before, "before")
    if min(early, late) > STRAY_FRACTION * (early + late):
        return []
    starts = few.get_column("window_start")
    apart = span_in_words(float(step_s[place]))
    detail = (
        f"{min(early, late):,.0f} of {early + late:,.0f} {load.measure.replace('_', ' ')} lie between {starts[0]} and "
        f"{starts[-1]} UTC, the others {apart} {side} them, from {many['window_start'][0]} on"
    )
    return [finding("stray time stamps", "trace", int(min(early, late)), detail)]


def resolution(look: Look) -> list[Finding]:
    """Note time stamps that are all whole seconds or minutes."""
    if look.ask is None:
        return []
    query = quality_queries.overview(look.shifts, absurd_input=ABSURD_INPUT_TOKENS, absurd_output=ABSURD_OUTPUT_TOKENS)
    found = []
    for row in look.ask(query).to_dicts():
        unit = next((unit for finer, unit in RESOLUTIONS.items() if row[finer] == 0), None)
        if unit and row["rows"] >= COARSE_ROWS:
            found.append(finding("coarse time stamps", row["model"], None, f"all arrivals are whole {unit}"))
    return found
