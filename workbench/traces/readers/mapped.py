"""Any CSV, Parquet or JSON lines file, read by a mapping from its columns to ours (:mod:`workbench.traces.mapping`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import polars as pl

from workbench.errors import TraceError, nearest
from workbench.tables import TEXT
from workbench.traces.mapping import EPOCH, ISO, LABELS, UNITS_S, ColumnMapping
from workbench.traces.measures import lengths_lacking
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, Raw, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.heads import Head
from workbench.traces.readers.json_paths import paths_in
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.series import Stated, stated_batches
from workbench.traces.readers.values import UNITS_PER_S, counts, epoch_units, instants, instants_written, offsets

KEY = "mapped"
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def format_of(mapping: ColumnMapping) -> Format:
    """Return the format that a mapping describes; it lacks what the mapping neither maps nor sets."""
    columns = tuple(dict.fromkeys((mapping.time_column, *mapping.columns.values())))
    lengths = lengths_lacking(mapping.known) if mapping.kind == "series" else ()
    lacks = (
        *(name for name in LABELS if name not in mapping.known),
        *(("start",) if mapping.needs_start else ()),
        *lengths,
    )
    return Format(
        key=KEY,
        label=f"{mapping.kind} by a mapping of columns",
        kind=mapping.kind,
        columns=columns,
        lacks=lambda _columns: lacks,
        read=partial(_read_requests if mapping.kind == "requests" else _read_series, mapping),
    )


def refuse_unknown_columns(path: Path, mapping: ColumnMapping, head: Head) -> None:
    """Raise TraceError that names every column of the mapping that a file does not have, and those it has.

    The columns of a JSON lines file are its keys and the dotted paths to keys inside of objects.
    """
    inner = paths_in(path) if head.layout == "jsonl" else ()
    columns = tuple(dict.fromkeys((*head.columns, *inner)))
    missing = [name for name in format_of(mapping).columns if name not in columns]
    if missing:
        asked = "; ".join(f"'{name}' ({nearest(name, columns).partition('? ')[0]})" for name in missing)
        raise TraceError(
            f"{path.name} does not have every column that the mapping names: {asked}. "
            f"It has {', '.join(columns)}; correct the mapping."
        )


def _read_requests(mapping: ColumnMapping, path: Path, options: TraceOptions) -> Iterator[Batch]:
    for raw in raw_batches(path, format_of(mapping).columns):
        named, unmapped = _named(raw, mapping)
        frame = requests_frame(
            path,
            named,
            arrived_at=_times(raw, mapping, options),
            input_tokens=counts(named["input_tokens"]),
            output_tokens=counts(named["output_tokens"]),
        )
        yield judged(raw, frame, unmapped | _other_units(raw, mapping, frame["arrived_at"]) | REQUEST_CHECKS, path=path)


def _read_series(mapping: ColumnMapping, path: Path, options: TraceOptions) -> Iterator[Batch]:
    rows = []
    for raw in raw_batches(path, format_of(mapping).columns):
        named, unmapped = _named(raw, mapping)
        starts = _times(raw, mapping, options)
        checks = unmapped | _other_units(raw, mapping, starts)
        rows.append(Stated(raw=raw, named=named, window_start=starts, checks=checks))
    yield from stated_batches(path, rows, options)


def _named(raw: Raw, mapping: ColumnMapping) -> tuple[pl.DataFrame, dict[str, pl.Expr]]:
    """Return the columns by our names with our keys, and which rows have a label without a key, by reason."""
    rows = raw.frame.height
    columns = {ours: raw.frame[theirs].alias(ours) for ours, theirs in mapping.columns.items()}
    columns |= {ours: pl.repeat(value, rows, eager=True).alias(ours) for ours, value in mapping.constants.items()}
    unmapped = {}
    for ours, keys in mapping.labels.items():
        labels = columns[ours].cast(TEXT)
        columns[ours] = labels.replace_strict(dict(keys), default=None, return_dtype=TEXT)
        unmapped[f"{ours} has no key in the mapping"] = pl.lit(columns[ours].is_null() & labels.is_not_null())
    return pl.DataFrame(columns), unmapped


def _times(raw: Raw, mapping: ColumnMapping, options: TraceOptions) -> pl.Series:
    times = raw.frame[mapping.time_column]
    if mapping.unit == ISO:
        return instants(times)
    if mapping.form:
        return instants_written(times, mapping.form)
    since = mapping.since or options.start
    assert since is not None  # asked for before anything is read
    return offsets(times, since=since, unit_s=UNITS_S[mapping.unit])


def _other_units(raw: Raw, mapping: ColumnMapping, read: pl.Series) -> dict[str, pl.Expr]:
    """Return the checks that find numbers which count from 1970 in another way than the mapping says."""
    times = raw.frame[mapping.time_column]
    is_text_wanted = mapping.unit not in UNITS_S
    if isinstance(times.dtype, pl.Datetime) or (is_text_wanted and not read.null_count()):
        return {}
    looks = epoch_units(times)
    if is_text_wanted:
        wrong = looks.set(read.is_not_null(), None)
    elif mapping.since == EPOCH:
        wrong = looks.set(looks == mapping.unit, None)
    else:
        # counted from a start, ten years are no trace; in finer units a few days look like seconds since 1970
        wrong = looks.set(looks != mapping.unit, None)
    return {
        f"the time looks like {UNIT_WORDS[unit]} since 1970; the mapping says {_said(mapping)}: "
        f'set unit = "{unit}" and since = "epoch"': pl.lit(wrong == unit)
        for unit in UNITS_PER_S
        if (wrong == unit).any()
    }


def _said(mapping: ColumnMapping) -> str:
    if mapping.unit not in UNITS_S:
        return f"text ({mapping.unit})"
    since = "1970" if mapping.since == EPOCH else mapping.since or "the start given"
    return f"{UNIT_WORDS[mapping.unit]} since {since}"
