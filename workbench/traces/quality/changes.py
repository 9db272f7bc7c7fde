"""Changes of level that a forecast must know: series that end or begin inside the trace, and lasting shifts.

The week is kept apart from a shift: both sides of one must hold three working days or more, and every working day
after it must lie beyond every one before it.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Levels, Look, blocks
from workbench.traces.quality.silences import holes

STOPPED_FOR_H = 72
STOPPED_BELOW_FRACTION = 0.02
SHIFT_RATIO = 4 / 3
SHIFT_DAYS = 3
DAY_KNOWN_FRACTION = 0.75
DAY_S = 86_400.0


def endings(look: Look) -> list[Finding]:
    """Find series below a fiftieth of their busiest hour for three days or more before the end, or after the start."""
    load = look.load
    per_hour = max(1, round(3600 / load.window_s))
    hour = timedelta(seconds=per_hour * load.window_s)
    found = []
    for key, levels in load.by("model", "tier").items():
        padded = np.concatenate([levels, np.full(-levels.size % per_hour, np.nan)])
        level = np.nan_to_num(blocks(padded, per_hour))
        alive = np.flatnonzero(level >= STOPPED_BELOW_FRACTION * level.max()) if level.max() > 0 else np.array([])
        if not alive.size:
            # a series of which nothing is known is told as a gap
            if (levels == 0).any():
                detail = "no load in the whole trace: every known window is zero"
                found.append(finding("stops", " ".join(key), 1, detail, level="note"))
            continue
        first, last = load.first + int(alive[0]) * hour, load.first + (int(alive[-1]) + 1) * hour
        after, before = load.last - last, first - load.first
        if _hours(after) >= STOPPED_FOR_H:
            rest = levels[(int(alive[-1]) + 1) * per_hour :]
            left = "almost nothing" if np.nansum(rest) > 0 else "nothing"
            detail = f"{left} after {last}, {_hours(after):,.0f} h before the end of the trace"
            found.append(finding("stops", " ".join(key), 1, detail))
        if _hours(before) >= STOPPED_FOR_H:
            detail = f"almost nothing before {first}, {_hours(before):,.0f} h after the start of the trace"
            found.append(finding("starts late", " ".join(key), 1, detail))
    return found


def shifts(look: Look) -> list[Finding]:
    """Find models whose working days after some midnight all lie beyond those before it, the median by a third.

    Holes are left out: a day with one would look low. Windows longer than a day say nothing about days.
    """
    load = look.load
    if load.window_s > DAY_S:
        return []
    midnight = load.first.replace(hour=0, minute=0, second=0, microsecond=0)
    skipped = round((load.first - midnight).total_seconds() / load.window_s)
    per_day = round(DAY_S / load.window_s)
    found = []
    unknown = holes(look)
    for key, levels in load.by("model").items():
        for hole in unknown:
            if hole.model == key[0]:
                levels[load.place(hole.since) : load.place(hole.until) + 1] = np.nan
        best = _shift(_daily(np.concatenate([np.full(skipped, np.nan), levels]), per_day), midnight.weekday())
        if best:
            day, ratio = best
            side = "above" if ratio > 1 else "below"
            detail = (
                f"every working day from {midnight + timedelta(days=day):%Y-%m-%d} on lies {side} every one before; "
                f"the median has {ratio:.2g} times the median before"
            )
            found.append(finding("level shift", key[0], 1, detail))
    return found


def _daily(levels: Levels, per_day: int) -> Levels:
    """Return the mean level per whole day; NaN for a day of which too little is known to stand for it."""
    count = levels.size // per_day
    known = (~np.isnan(levels[: count * per_day])).reshape(count, per_day).mean(axis=1)
    return np.where(known >= DAY_KNOWN_FRACTION, blocks(levels, per_day), np.nan)


def _shift(level: Levels, weekday: int) -> tuple[int, float] | None:
    """Return the day that parts lower from higher days most clearly, with the ratio of the medians after and before.

    ``weekday`` is that of the first day, 0 being Monday. Working days are held against working days only: a trace that
    begins on a Friday has a low start without any shift.
    """
    working = (np.arange(level.size) + weekday) % 7 < 5
    best, best_apart = None, 1.0
    for day in range(SHIFT_DAYS, level.size - SHIFT_DAYS + 1):
        sides = level[:day][working[:day]], level[day:][working[day:]]
        before, after = (side[~np.isnan(side)] for side in sides)
        if min(before.size, after.size) < SHIFT_DAYS or before.min() <= 0 or after.min() <= 0:
            continue
        apart = max(after.min() / before.max(), before.min() / after.max())
        ratio = float(np.median(after) / np.median(before))
        if apart > best_apart and max(ratio, 1 / ratio) >= SHIFT_RATIO:
            best, best_apart = (day, ratio), apart
    return best


def _hours(length: timedelta) -> float:
    return length.total_seconds() / 3600
