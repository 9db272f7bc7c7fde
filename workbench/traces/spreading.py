"""From the source's labels to our keys: mapping, leaving out, splitting over tiers and over regions shifted in time.

Real multi-day traces with named regions are not published. A trace without regions is spread: each region gets its
share of the same series, some hours later (sageserve.md section 3.3: 43 / 29 / 28 % over three time zones of the US).
Of shifted copies only the span that all of them cover is kept, as outside of it the sum would miss regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.tables import DEMAND, TEXT
from workbench.traces.measures import MEASURES
from workbench.traces.options import EVERY_LABEL, Share, TraceOptions
from workbench.units import SECONDS_PER_HOUR

# endings by which a name in a mapping is known to be that of a file
FILE_NAME = re.compile(r"\.(csv|tsv|txt|jsonl?|ndjson|parquet|pq)(\.(gz|zst))?$", re.IGNORECASE)
KEY = ("window_start", "region", "model", "tier")


def mapped(frame: pl.DataFrame, options: TraceOptions) -> pl.DataFrame:
    """Keep the models asked for and replace the source's labels by our keys; ``*`` is every label not named.

    Raises TraceError where a mapping has no key for a label that is in the source.
    """
    kept = frame.filter(pl.col("model").is_in(options.keep)) if options.keep else frame
    split = tuple(options.tier_split)
    for column, labels in (("region", options.region), ("model", options.model), ("tier", options.tier)):
        kept = _mapped_column(kept, column, labels, left_alone=split if column == "tier" else ())
    return kept


def _mapped_column(
    frame: pl.DataFrame, column: str, labels: str | Mapping[str, str] | None, *, left_alone: tuple[str, ...]
) -> pl.DataFrame:
    if labels is None:
        return frame
    if isinstance(labels, str):
        return frame.with_columns(pl.lit(labels).alias(column))
    present = frame.get_column(column).unique().sort().to_list()
    keys = keys_by_label(labels)
    if EVERY_LABEL in keys:
        rest = keys.pop(EVERY_LABEL)
        keys = {label: keys.get(label, rest) for label in present if label in keys or label not in left_alone}
    missing = [label for label in present if label not in keys and label not in left_alone]
    if missing:
        raise TraceError(
            f"the {column} mapping has no key for {', '.join(missing)}; it names {', '.join(labels)}. "
            f"Add {missing[0]}=KEY, or name the models to keep."
        )
    return frame.with_columns(pl.col(column).replace(keys))


def keys_by_label(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping with the files in it under their label as well, which is the name up to the first dot.

    A label that stands in the mapping itself keeps its key.

    >>> keys_by_label({"code.csv.gz": "a", "v1.5-large": "b", "v1": "c"})
    {'code': 'a', 'code.csv.gz': 'a', 'v1.5-large': 'b', 'v1': 'c'}
    """
    files = {name.partition(".")[0]: key for name, key in labels.items() if FILE_NAME.search(name)}
    return files | dict(labels)


def spread_requests(frame: pl.DataFrame, options: TraceOptions, random: np.random.Generator) -> pl.DataFrame:
    """Give every request a tier and a region at random by the shares, and shift it by its region's hours."""
    spread = frame
    # by the labels of the source: a tier that one split made is not split again by the next
    for label, parts in _named_last(options.tier_split):
        chosen = _drawn(parts, frame.height, random)
        mine = pl.repeat(value=True, n=frame.height, eager=True) if label == EVERY_LABEL else frame["tier"] == label
        spread = spread.with_columns(tier=chosen.zip_with(mine, spread["tier"]))
    if options.region_split:
        region = _drawn(options.region_split, frame.height, random)
        later = {part.key: timedelta(hours=part.shift_h) for part in options.region_split}
        shift = region.replace_strict(later, return_dtype=pl.Duration("us"))
        spread = spread.with_columns(region=region, arrived_at=pl.col("arrived_at") + pl.lit(shift))
    return spread


def _named_last(split: Mapping[str, tuple[Share, ...]]) -> list[tuple[str, tuple[Share, ...]]]:
    """Return the splits in one order, that of every label first, so that those of single labels hold against it."""
    return sorted(split.items(), key=lambda item: (item[0] != EVERY_LABEL, item[0]))


def _drawn(parts: tuple[Share, ...], rows: int, random: np.random.Generator) -> pl.Series:
    edges = np.cumsum([part.share for part in parts])[:-1]
    index = np.searchsorted(edges, random.random(rows), side="right")
    return pl.Series([part.key for part in parts], dtype=TEXT).gather(index)


def spread_series(
    frame: pl.DataFrame,
    options: TraceOptions,
    *,
    window_s: float,
    span: tuple[datetime, datetime] | None = None,
) -> pl.DataFrame:
    """Spread windows over tiers and regions by share, shift them, cut to the common span and sum what falls together.

    ``span`` holds the first and last window of the whole trace, of which the frame may be one file (None: the frame is
    all of it): only the ends of the trace are cut, not those of its files. Gaps stay gaps. Raises TraceError where a
    shift is no whole number of windows or longer than the trace.
    """
    split = _tiers(frame, options)
    if options.region_split:
        split = _regions(split, options.region_split, window_s, span or span_of(frame))
    return summed(split)


def span_of(frame: pl.DataFrame) -> tuple[datetime, datetime]:
    """Return the first and the last window of a series that has rows."""
    low, high = frame["window_start"].min(), frame["window_start"].max()
    assert isinstance(low, datetime)
    assert isinstance(high, datetime)
    return low, high


def summed(frame: pl.DataFrame) -> pl.DataFrame:
    """Sum rows of one window, region, model and tier (``DEMAND``); a sum with an unknown part is unknown."""
    known = [
        pl.when(pl.col(name).is_null().any()).then(None).otherwise(pl.col(name).sum()).alias(name) for name in MEASURES
    ]
    repeated = frame.select(pl.struct(KEY).is_duplicated().any()).item()
    whole = frame.group_by(KEY, maintain_order=True).agg(known) if repeated else frame
    return DEMAND.conform(whole.sort("region", "model", "tier", "window_start"))


def _tiers(frame: pl.DataFrame, options: TraceOptions) -> pl.DataFrame:
    by_label = {label: parts for label, parts in options.tier_split.items() if label != EVERY_LABEL}
    if EVERY_LABEL in options.tier_split:
        by_label = dict.fromkeys(frame["tier"].unique().sort(), options.tier_split[EVERY_LABEL]) | by_label
    parts = [frame.filter(~pl.col("tier").is_in(list(by_label)))]
    for label, shares in by_label.items():
        mine = frame.filter(pl.col("tier") == label)
        parts += [mine.with_columns(_scaled(part), tier=pl.lit(part.key)) for part in shares]
    return pl.concat(parts)


def _regions(
    frame: pl.DataFrame, shares: tuple[Share, ...], window_s: float, span: tuple[datetime, datetime]
) -> pl.DataFrame:
    uneven = [part.key for part in shares if (part.shift_h * SECONDS_PER_HOUR) % window_s]
    if uneven:
        raise TraceError(
            f"the shift of {', '.join(uneven)} is no whole number of the trace's windows of {window_s:g} s; "
            "choose hours that are."
        )
    copies = [
        frame.with_columns(
            _scaled(part), region=pl.lit(part.key), window_start=pl.col("window_start") + timedelta(hours=part.shift_h)
        )
        for part in shares
    ]
    first, last = common_span(*span, shares)
    return pl.concat(copies).filter(pl.col("window_start").is_between(first, last))


def _scaled(part: Share) -> list[pl.Expr]:
    return [pl.col(name) * part.share for name in MEASURES]


def common_span(first: datetime, last: datetime, shares: tuple[Share, ...]) -> tuple[datetime, datetime]:
    """Return the first and last instant that every shifted copy of [first, last] covers.

    Raises TraceError where they share none.
    """
    shifts = [part.shift_h for part in shares]
    common = first + timedelta(hours=max(shifts)), last + timedelta(hours=min(shifts))
    if common[0] > common[1]:
        raise TraceError(
            f"the regions are shifted by up to {max(shifts) - min(shifts):g} h, which is longer than the trace "
            f"({first} to {last}): no instant has all regions. Use smaller shifts, or none."
        )
    return common


def shifts_of(shares: Iterable[Share]) -> dict[str, timedelta]:
    """Return by how much each made region lies later than its source.

    Empty where none is shifted, or where two sources shift one region differently: then no time is the source's.
    """
    later: dict[str, set[timedelta]] = {}
    for part in shares:
        later.setdefault(part.key, set()).add(timedelta(hours=part.shift_h))
    if any(len(shifts) > 1 for shifts in later.values()):
        return {}
    by_region = {key: shift for key, (shift,) in later.items()}
    return by_region if any(by_region.values()) else {}


def shares_in_words(shares: Iterable[Share]) -> str:
    """Write shares as they stand in a finding; :func:`shifts_in_words` reads the shifts back."""
    return ", ".join(f"{part.key} {part.share:.1%} {part.shift_h:+g} h" for part in shares)


def shifts_in_words(text: str) -> tuple[Share, ...]:
    """Read regions and shifts back from :func:`shares_in_words`; the shares are rounded.

    >>> [(part.key, part.shift_h) for part in shifts_in_words("us_east 43.0% +0 h, us_west 57.0% +3 h")]
    [('us_east', 0.0), ('us_west', 3.0)]
    """
    parts = re.finditer(r"(?:^|, )(\S.*?) ([\d.]+)% ([+-][\d.e+-]+) h(?=,|$)", text)
    return tuple(Share(key=part[1], share=float(part[2]) / 100, shift_h=float(part[3])) for part in parts)


def unspread(frame: pl.DataFrame, shifts: Mapping[str, timedelta]) -> pl.DataFrame:
    """Put made regions back to the time of their source, where all of them are there; others stay as they are."""
    if not shifts:
        return frame
    by = pl.col("region").replace_strict(dict(shifts), default=timedelta(0), return_dtype=pl.Duration("us"))
    back = frame.with_columns(pl.col("window_start") - by)
    made = back.filter(pl.col("region").is_in(list(shifts)))
    whole = pl.col("region").n_unique().over("window_start", "model", "tier") == len(shifts)
    return pl.concat([back.filter(~pl.col("region").is_in(list(shifts))), made.filter(whole)])
