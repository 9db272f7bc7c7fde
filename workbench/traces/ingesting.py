"""One command from files to a named trace: recognise, ask for what is missing, read, spread, look, store.

Nothing is written until it is known what every file is and that no option is missing; everything is written in one
transaction. The same files with the same options under the same name are recognised and not read again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from workbench.catalog import Catalog
from workbench.errors import TraceError
from workbench.results import QualityReport
from workbench.tables import DEMAND, REQUESTS
from workbench.traces import quality
from workbench.traces.catalogue import TraceHeader
from workbench.traces.fingerprint import fingerprint_of
from workbench.traces.options import Share, Source, TraceOptions
from workbench.traces.quality import (
    Finding,
    SourceTally,
    conclude,
    cut_finding,
    finding,
    look_at_written,
    source_findings,
)
from workbench.traces.readers.formats import detect
from workbench.traces.sources import Found, Progress, refuse_incomplete, refuse_twice, rows_of, shares_of
from workbench.traces.spreading import common_span, shifts_of, span_of, spread_requests, spread_series
from workbench.traces.store import Reading, Store, Writing
from workbench.traces.windows import one_window_s, refuse_overlap, window_s_in
from workbench.units import seed_for

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def ingest(
    sources: Path | str | Source | Sequence[Path | str | Source],
    *,
    store: Store,
    name: str,
    format: str = "auto",
    options: TraceOptions | None = None,
    replace: bool = False,
    progress: Progress | None = None,
    catalog: Catalog | None = None,
) -> QualityReport:
    """Read files into one named trace of the store and say what was found.

    Plain paths are read with ``format`` and ``options``; a :class:`Source` brings its own. Several files become one
    trace; those without a model column can be told apart by file name (``model={"code": "a", "conv": "b"}``).
    ``progress`` is called with file name, fraction of the file and rows read. Keys that ``catalog`` (None: the packaged
    one) does not know are told. The same content under the same name is a no-op (``was_there``). Raises TraceError
    where a file is missing, named twice, unknown, empty or has no usable row, where options are missing (all of them at
    once), or where the name is taken by other content and ``replace`` is not set.
    """
    _refuse_name(name)
    whole = _listed(sources, format, options or TraceOptions())
    refuse_twice(whole)
    found = [(source, detect(source.path, format=source.format, options=source.options)) for source in whole]
    refuse_incomplete(found)
    header = TraceHeader(
        name=name,
        kind=found[0][1].format.kind,
        format=", ".join(dict.fromkeys(detected.format.key for _, detected in found)),
        source=", ".join(source.path.name for source in whole),
        fingerprint=fingerprint_of(found),
    )
    if _is_there(store, header):
        return report(store, name, was_there=True)
    if header.kind == "requests":
        _ingest_requests(store, header, found, replace, progress, catalog)
    else:
        _ingest_series(store, header, found, replace, progress, catalog)
    return report(store, name)


def _listed(
    sources: Path | str | Source | Sequence[Path | str | Source], format: str, options: TraceOptions
) -> list[Source]:
    listed = [sources] if isinstance(sources, (str, Path, Source)) else sources
    return [
        item if isinstance(item, Source) else Source(path=Path(item), options=options, format=format) for item in listed
    ]


def ingest_frame(
    frame: pl.DataFrame,
    *,
    store: Store,
    name: str,
    source: str,
    format: str = "frame",
    replace: bool = False,
    catalog: Catalog | None = None,
) -> QualityReport:
    """Store a frame (``REQUESTS`` or ``DEMAND``), such as a synthetic week, as a trace; ``source`` says what it is.

    Raises TraceError as :func:`ingest` does, TableError where the frame is neither.
    """
    _refuse_name(name)
    is_requests = "arrived_at" in frame.columns
    rows = REQUESTS.conform(frame) if is_requests else DEMAND.conform(frame)
    if rows.is_empty():
        raise TraceError(f"{source} has no rows; there is nothing to store as '{name}'.")
    window_s = None if is_requests else window_s_in(rows, source)
    digest = hashlib.blake2b(rows.write_ipc(None, compression="uncompressed").getbuffer(), digest_size=16)
    header = TraceHeader(
        name=name,
        kind="requests" if is_requests else "series",
        format=format,
        source=source,
        fingerprint=digest.hexdigest(),
        window_s=window_s,
    )
    if _is_there(store, header):
        return report(store, name, was_there=True)
    with store.writing(header, replace=replace) as writing:
        writing.rows_read = writing.rows_kept = rows.height
        writing.add(rows)
        looked = quality.look_at_series(rows, window_s=window_s) if window_s else look_at_written(writing, ())
        counted = [finding("rows", source, rows.height, f"{rows.height:,} rows"), *quality.labels(rows, catalog)]
        conclude(writing, counted, looked)
    return report(store, name)


def report(store: Reading, name: str, *, was_there: bool = False) -> QualityReport:
    """Return the quality report of a trace in the store."""
    info = store.describe(name)
    return QualityReport(
        trace=name,
        source=info.header.source,
        format=info.header.format,
        rows_read=info.rows_read,
        rows_kept=info.rows_kept,
        rows_rejected=info.rejected,
        first_at=info.first_at,
        last_at=info.last_at,
        findings=store.findings(name),
        was_there=was_there,
    )


def check(store: Reading, name: str) -> QualityReport:
    """Look at the stored rows of a trace again; the report says in ``differences`` what is not as the ingest found it.

    What only the source's file shows (order, offsets, checksums) stays as it was found. Raises TraceError where there
    is no trace of that name.
    """
    return dataclasses.replace(report(store, name), differences=quality.look_again(store, name))


def _is_there(store: Store, header: TraceHeader) -> bool:
    return store.has(header.name) and store.describe(header.name).header.fingerprint == header.fingerprint


def _refuse_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise TraceError(
            f"'{name}' is no name for a trace; use up to 100 letters, digits, dots, dashes and underscores; the "
            "first must be a letter or digit."
        )


def _ingest_requests(
    store: Store,
    header: TraceHeader,
    found: Found,
    replace: bool,
    progress: Progress | None,
    catalog: Catalog | None,
) -> None:
    with store.writing(header, replace=replace) as writing:
        tallies = []
        for source, detected in found:
            random = np.random.default_rng(seed_for(source.options.seed, "spread", source.path.name))
            tally = SourceTally(source.path.name)
            for kept, rejected in rows_of(source, detected, tally=tally, progress=progress):
                writing.add(spread_requests(kept, source.options, random))
                writing.reject(rejected)
            tallies.append(tally)
        writing.rows_read = sum(tally.read for tally in tallies)
        writing.rows_kept = sum(tally.kept for tally in tallies)
        labels = quality.labels(writing.look("SELECT region, model, tier FROM {labels}"), catalog)
        counted = source_findings(found, tallies) + _cut(writing, tallies, shares_of(found)) + labels
        conclude(writing, counted, look_at_written(writing, [source.options for source, _ in found]))


def _cut(writing: Writing, tallies: list[SourceTally], shares: tuple[Share, ...]) -> list[Finding]:
    if len({part.shift_h for part in shares}) < 2:
        return []
    first = min(tally.first_at for tally in tallies if tally.first_at)
    last = max(tally.last_at for tally in tallies if tally.last_at)
    low, high = common_span(first, last, shares)
    dropped = writing.keep_between(low, high)
    if not writing.span()[0]:
        raise TraceError(
            f"no request lies between {low} and {high}, the only span that all regions cover once they are shifted; "
            "use smaller shifts, or none."
        )
    return [cut_finding(dropped, "requests", low, high)]


def _ingest_series(
    store: Store,
    header: TraceHeader,
    found: Found,
    replace: bool,
    progress: Progress | None,
    catalog: Catalog | None,
) -> None:
    # a series is read whole before the transaction: its windows are only known to be even when all are there
    tallies, rejected, frames = [], [], []
    for source, detected in found:
        tallies.append(SourceTally(source.path.name))
        parts = list(rows_of(source, detected, tally=tallies[-1], progress=progress))
        frames.append(pl.concat([kept for kept, _ in parts]))
        rejected += [refused for _, refused in parts]
    names = [source.path.name for source, _ in found]
    window_s = one_window_s(dict(zip(names, frames, strict=True)))
    spread = _spread(found, frames, window_s)
    refuse_overlap(spread, names)
    looked = _look_at_sources(found, frames, window_s)
    with store.writing(dataclasses.replace(header, window_s=window_s), replace=replace) as writing:
        writing.rows_read = sum(tally.read for tally in tallies)
        writing.rows_kept = sum(tally.kept for tally in tallies)
        writing.add(spread)
        writing.reject(pl.concat(rejected))
        _, first, last = writing.span()
        shifted = len({part.shift_h for part in shares_of(found)}) > 1
        cut = [cut_finding(None, "windows", first, last)] if shifted and first and last else []
        conclude(writing, [*source_findings(found, tallies), *cut, *quality.labels(spread, catalog)], *looked)


def _spread(found: Found, frames: list[pl.DataFrame], window_s: float) -> pl.DataFrame:
    span = span_of(pl.concat(frames))
    spread = [
        spread_series(frame, source.options, window_s=window_s, span=span)
        for (source, _), frame in zip(found, frames, strict=True)
    ]
    return pl.concat(spread).sort("region", "model", "tier", "window_start")


def _look_at_sources(found: Found, frames: list[pl.DataFrame], window_s: float) -> list[quality.Looked]:
    """Look at the windows as the sources have them: as one, except where regions are made of them in different ways."""
    alike: dict[tuple[Share, ...], list[pl.DataFrame]] = {}
    for (source, _), frame in zip(found, frames, strict=True):
        split = source.options.region_split
        # files whose regions are still to be made have none of their own that could tell them apart
        alike.setdefault(split, []).append(frame.with_columns(region=pl.lit("all")) if split else frame)
    return [
        quality.look_at_series(pl.concat(parts), window_s=window_s, shifts=shifts_of(split))
        for split, parts in alike.items()
    ]
