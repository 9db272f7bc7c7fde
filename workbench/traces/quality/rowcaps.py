"""Suspected row caps: exports that end at a round or ever equal number of rows, and the traces such exports leave.

An export with a limit shows itself in two ways. Where single rows are left, no day (or hour) has more than the limit
and several have exactly it. Where only sums are left, the series jumps within minutes between its full level and next
to nothing, as some parts of a day were exported whole and others not at all, or it falls from full load for good. A
person's day does neither. A job that runs off and on does the second too, so both are called suspected.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Levels, Load, Look, blocks

ROWS_AT_LEAST = 1000
EQUAL_AT_LEAST = 3
EQUAL_FRACTION = 0.2
ROUND_DIGITS = 2
# the stretches that an export may have a limit for: name, Polars duration, seconds
UNITS = (("day", "1d", 86_400.0), ("hour", "1h", 3_600.0))

BUSY_QUANTILE = 0.9
BUSY_FRACTION = 0.2
QUIET_FRACTION = 0.01
QUIET_AT_LEAST_FRACTION = 0.2
BLOCK_S = 300.0
FALL_WITHIN_S = 900.0
FALLS_AT_LEAST = 3
BUSY_REQUESTS = 100.0
BLOCK_AT_MOST_S = 3600.0


def is_round(rows: int) -> bool:
    """Tell whether a number of rows has at most two digits that are not closing zeros.

    >>> [rows for rows in (50_000, 12_000, 12_345, 100) if is_round(rows)]
    [50000, 12000]
    """
    return rows >= ROWS_AT_LEAST and len(str(rows).rstrip("0")) <= ROUND_DIGITS


def equal_counts(look: Look) -> list[Finding]:
    """Suspect a limit where the largest count per day or hour comes again and again, per series and in all."""
    load = look.load
    if load.frame.get_column("requests").null_count() == load.frame.height:
        return []
    found = []
    for keys in (("region", "model", "tier"), ("model",), ()):
        for unit, every, length_s in UNITS:
            if load.window_s <= length_s:
                found += _equal(load, keys, unit=unit, every=every, is_finer=load.window_s < length_s)
    # a limit per series is also one per model where it has one series only: say it once
    return list({row["detail"]: row for row in reversed(found)}.values())[::-1]


def _equal(load: Load, keys: tuple[str, ...], *, unit: str, every: str, is_finer: bool) -> list[Finding]:
    counts = (
        load.frame.filter(pl.col("requests") > 0)
        .group_by(*keys, pl.col("window_start").dt.truncate(every).alias("at"))
        .agg(pl.col("requests").sum(), ends=pl.col("window_start").max())
        .with_columns(top=(pl.col("requests").max().over(keys) if keys else pl.col("requests").max()))
    )
    at_top = pl.col("requests") == pl.col("top")
    groups = counts.group_by(keys or pl.lit("trace")).agg(
        pl.col("top").first(), pl.len().alias("all"), at_top.sum().alias("equal"), pl.col("ends").filter(at_top)
    )
    found = []
    for row in groups.drop_nulls("top").sort(pl.exclude("ends")).to_dicts():
        if _is_limit(row["top"], row["equal"], row["all"]) and not _is_metronome(load, keys, row):
            where = " ".join(row[key] for key in keys) or "trace"
            detail = f"{row['equal']:,} of {row['all']:,} {unit}s have exactly {row['top']:,.0f} rows and none has more"
            if is_finer:
                article = "an" if unit == "hour" else "a"
                detail += f"; the last row of such {article} {unit} comes {_ends(row['ends'], every)}"
            found.append(finding("suspected row cap", where, int(row["equal"]), detail))
    return found


def _is_limit(top: float, equal: int, total: int) -> bool:
    if top < ROWS_AT_LEAST or top != round(top) or equal < EQUAL_FRACTION * total:
        return False
    return equal >= EQUAL_AT_LEAST or (equal >= EQUAL_AT_LEAST - 1 and is_round(int(top)))


def _is_metronome(load: Load, keys: tuple[str, ...], row: dict[str, object]) -> bool:
    """Tell whether the rows come so evenly that equal counts are no wonder: as many in every window."""
    mine = load.frame.filter(*(pl.col(key) == row[key] for key in keys), pl.col("requests") > 0)
    per_window = mine.group_by("window_start").agg(pl.col("requests").sum())
    inside = per_window.filter(pl.col("window_start").is_between(load.first, load.last, closed="none"))
    return inside.get_column("requests").round(6).n_unique() <= 1


def _ends(ends: list[object], every: str) -> str:
    times = pl.Series(ends)
    left_s = (times.dt.truncate(every).dt.offset_by(every) - times).dt.total_seconds()
    return f"{float(left_s.median()) / 60:,.0f} min before its end (median)"  # type: ignore[arg-type]


def round_totals(rows_by_source: dict[str, int]) -> list[Finding]:
    """Note files that have a round number of rows in all."""
    return [
        finding("round number of rows", source, rows, f"exactly {rows:,} rows")
        for source, rows in rows_by_source.items()
        if is_round(rows) and rows >= 10 * ROWS_AT_LEAST
    ]


def choppy_series(look: Look) -> list[Finding]:
    """Suspect a limit where a series falls at once from full load to next to nothing and stays there for long.

    Looked at are blocks of five minutes or more, as long as a busy one has a hundred requests. Busy is a fifth of the
    90th percentile or more, quiet less than a hundredth of it, at once is within 15 minutes or three blocks.
    """
    load = look.load
    requests = load.by("model", "tier", measure="requests")
    shown = {key: _fall(load, levels, requests.get(key)) for key, levels in load.by("model", "tier").items()}
    accused = {key: fall for key, fall in shown.items() if fall}
    found = []
    for key, (falls, quiet, unknown, when) in accused.items():
        others = len(shown) - len(accused)
        returns = "it comes back as suddenly" if falls > 1 else "it does not come back"
        detail = (
            f"falls {falls:,} times within minutes from full load to below a hundredth of it, first at {when}; "
            f"{returns}. {quiet:.0%} of its time is so quiet, {unknown:.0%} of its windows are unknown; {others:,} "
            "other series of the source do not do this. An export that stops at a number of rows looks like this; so "
            "does a job that runs off and on"
        )
        found.append(finding("suspected row cap", " ".join(key), falls, detail.replace("1 times", "once")))
    return found


def choppy_models(look: Look) -> set[str]:
    """Return the models that :func:`choppy_series` suspects: their silences say nothing."""
    load = look.load
    requests = load.by("model", "tier", measure="requests")
    return {key[0] for key, levels in load.by("model", "tier").items() if _fall(load, levels, requests.get(key))}


def _fall(load: Load, levels: Levels, requests: Levels | None) -> tuple[int, float, float, datetime] | None:
    """Return how often a series falls at once, its quiet and unknown shares and its first fall, if it is suspect."""
    per_block = _block_windows(load, requests)
    # what comes after the very last arrival is an ending, not a fall: another file of the trace may go on for longer
    alive = np.flatnonzero(np.nan_to_num(levels) > 0)
    if per_block is None or alive.size == 0:
        return None
    level = blocks(levels[: alive[-1] + 1], per_block)
    state = _states(level)
    places = np.flatnonzero(state)
    at_once = np.diff(places) <= max(3, FALL_WITHIN_S / (per_block * load.window_s))
    falls = places[1:][(np.diff(state[places]) == -2) & at_once]
    quiet = float((state == -1).sum() / max(1, (~np.isnan(level)).sum()))
    comes_back = falls.size > 0 and bool((state[falls[0] :] == 1).any())
    # one or two falls from which it comes back are holes
    if falls.size < (FALLS_AT_LEAST if comes_back else 1) or quiet < QUIET_AT_LEAST_FRACTION:
        return None
    return int(falls.size), quiet, float(np.isnan(levels).mean()), load.at(int(falls[0]) * per_block)


def _states(level: Levels) -> npt.NDArray[np.int8]:
    """Return 1 where a level is busy, -1 where it is next to nothing, 0 between and where it is not known."""
    known = level[~np.isnan(level)]
    busy = float(np.quantile(known, BUSY_QUANTILE)) if known.size else np.inf
    compared = np.nan_to_num(level, nan=0.1 * busy)
    state = np.where(compared >= BUSY_FRACTION * busy, 1, np.where(compared < QUIET_FRACTION * busy, -1, 0))
    return np.where(np.isnan(level), 0, state).astype(np.int8)


def _block_windows(load: Load, requests: Levels | None) -> int | None:
    """Return how many windows make a block in which a busy one has a hundred requests; None where none is enough."""
    per_block = max(1, round(BLOCK_S / load.window_s))
    busy = 0.0 if requests is None or np.isnan(requests).all() else float(np.nanquantile(requests, BUSY_QUANTILE))
    while busy * per_block < BUSY_REQUESTS and per_block * load.window_s < BLOCK_AT_MOST_S:
        per_block *= 2
    enough = busy * per_block >= BUSY_REQUESTS and load.windows >= 2 * per_block
    return per_block if enough else None
