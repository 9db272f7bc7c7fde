"""One command from files to a named trace: recognise, ask for what is missing, read, spread, look, store.

Nothing is written until it is known what every file is and that no option is missing; everything is written in one
transaction. The same files with the same options under the same name are recognised and not read again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from workbench.errors import TableError, TraceError, together
from workbench.results import QualityReport
from workbench.tables import DEMAND, REQUESTS, window_s_of
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
from workbench.traces.readers.formats import Detected, detect, unanswered
from workbench.traces.spreading import (
    KEY,
    common_span,
    mapped,
    shifts_of,
    spread_requests,
    spread_series,
    summed,
)
from workbench.traces.store import Reading, Store, Writing
from workbench.units import seed_for

Progress = Callable[[str, float, int], None]
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
) -> QualityReport:
    """Read files into one named trace of the store and say what was found.

    Plain paths are read with ``format`` and ``options``; a :class:`Source` brings its own. Several files become one
    trace; those without a model column can be told apart by file name (``model={"code": "a", "conv": "b"}``).
    ``progress`` is called with file name, fraction of the file and rows read. The same content under the same name is a
    no-op (``was_there``). Raises TraceError where a file is missing, unknown, empty or has no usable row, where options
    are missing (all of them at once), or where the name is taken by other content and ``replace`` is not set.
    """
    listed = [sources] if isinstance(sources, (str, Path, Source)) else list(sources)
    default = options or TraceOptions()
    whole = [
        item if isinstance(item, Source) else Source(path=Path(item), options=default, format=format) for item in listed
    ]
    if not NAME.fullmatch(name):
        raise TraceError(f"'{name}' is no name for a trace; use letters, digits, dot, dash and underscore.")
    found = [(source, detect(source.path, format=source.format, options=source.options)) for source in whole]
    _refuse_incomplete(found)
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
        _ingest_requests(store, header, found, replace, progress)
    else:
        _ingest_series(store, header, found, replace, progress)
    return report(store, name)


def ingest_frame(
    frame: pl.DataFrame, *, store: Store, name: str, source: str, format: str = "frame", replace: bool = False
) -> QualityReport:
    """Store a frame (``REQUESTS`` or ``DEMAND``), such as a synthetic week, as a trace; ``source`` says what it is.

    Raises TraceError as :func:`ingest` does, TableError where the frame is neither.
    """
    is_requests = "arrived_at" in frame.columns
    rows = REQUESTS.conform(frame) if is_requests else DEMAND.conform(frame)
    if rows.is_empty():
        raise TraceError(f"{source} has no rows; there is nothing to store as '{name}'.")
    window_s = None if is_requests else _window_of(rows, source)
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
        counted = [finding("rows", source, rows.height, f"{rows.height:,} rows"), *quality.labels(rows)]
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


def _refuse_incomplete(found: list[tuple[Source, Detected]]) -> None:
    if not found:
        raise TraceError("no file was named; name at least one file to ingest.")
    kinds = {detected.format.kind for _, detected in found}
    if len(kinds) > 1:
        named = ", ".join(f"{source.path.name} ({detected.format.kind})" for source, detected in found)
        raise TraceError(
            f"single requests and series of sums cannot be one trace: {named}; ingest them under two names."
        )
    findings = [text for source, detected in found for text in unanswered(detected, source.options)]
    if findings:
        raise TraceError(
            "what the source does not say must be given as options (on the command line --region, --region-split, "
            "--input-tokens and so on): " + together(findings)
        )


def _ingest_requests(
    store: Store,
    header: TraceHeader,
    found: list[tuple[Source, Detected]],
    replace: bool,
    progress: Progress | None,
) -> None:
    with store.writing(header, replace=replace) as writing:
        tallies = []
        for source, detected in found:
            random = np.random.default_rng(seed_for(source.options.seed, "spread", source.path.name))
            tally = SourceTally(source.path.name)
            for batch in detected.format.read(source.path, source.options):
                kept = mapped(batch.good, source.options)
                tally.add(batch, kept)
                writing.add(spread_requests(kept, source.options, random))
                writing.reject(batch.rejected)
                _tell(progress, tally, batch.done_fraction)
            _refuse_useless(tally, source.options)
            tallies.append(tally)
        writing.rows_read = sum(tally.read for tally in tallies)
        writing.rows_kept = sum(tally.kept for tally in tallies)
        labels = quality.labels(writing.look("SELECT region, model, tier FROM {labels}"))
        counted = source_findings(found, tallies) + _cut(writing, tallies, _shares(found)) + labels
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
    found: list[tuple[Source, Detected]],
    replace: bool,
    progress: Progress | None,
) -> None:
    # a series is read whole before the transaction: its windows are only known to be even when all are there
    tallies, rejected, sources = [], [], []
    for source, detected in found:
        tally = SourceTally(source.path.name)
        parts = []
        for batch in detected.format.read(source.path, source.options):
            parts.append(mapped(batch.good, source.options))
            rejected.append(batch.rejected)
            tally.add(batch, parts[-1])
            _tell(progress, tally, batch.done_fraction)
        _refuse_useless(tally, source.options)
        tallies.append(tally)
        sources.append((source, pl.concat(parts)))
    lengths = {source.path.name: _window_of(frame, source.path.name) for source, frame in sources}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{file} {window_s:g} s" for file, window_s in lengths.items())
        raise TraceError(f"the series of one trace must have one window length, found {listed}; ingest them apart.")
    window_s = next(iter(lengths.values()))
    spread = pl.concat([spread_series(frame, source.options, window_s=window_s) for source, frame in sources])
    looked = [
        quality.look_at_series(frame, window_s=window_s, shifts=shifts_of(source.options.region_split))
        for source, frame in sources
    ]
    with store.writing(dataclasses.replace(header, window_s=window_s), replace=replace) as writing:
        writing.rows_read = sum(tally.read for tally in tallies)
        writing.rows_kept = sum(tally.kept for tally in tallies)
        writing.add(summed(spread))
        writing.reject(pl.concat(rejected))
        _, first, last = writing.span()
        shifted = len({part.shift_h for part in _shares(found)}) > 1
        cut = [cut_finding(None, "windows", first, last)] if shifted and first and last else []
        conclude(writing, [*source_findings(found, tallies), *cut, *quality.labels(spread)], *looked)


def _window_of(frame: pl.DataFrame, source: str) -> float:
    """Return the window length of a series after checking that no window comes twice and all lie on one grid."""
    try:
        window_s = window_s_of(frame)
    except TableError as error:
        raise TraceError(f"{source}: {error}") from error
    repeated = frame.filter(pl.struct(KEY).is_duplicated())
    if repeated.height:
        raise TraceError(
            f"{source}: {repeated.height:,} windows come twice for one region, model and tier, first "
            f"{repeated.row(0)[:4]}; they would be counted twice. Remove one of each, or give them different keys."
        )
    uneven = frame.filter(pl.col("window_start").dt.timestamp("us") % round(window_s * 1e6) != 0)
    if uneven.height:
        raise TraceError(
            f"{source}: {uneven.height:,} windows do not start at a whole multiple of {window_s:g} s, first "
            f"{uneven['window_start'][0]}; give a start on that grid, or windows of one length."
        )
    return window_s


def _refuse_useless(tally: SourceTally, options: TraceOptions) -> None:
    if not tally.read:
        raise TraceError(f"{tally.source} has a header but no rows; nothing was stored.")
    if tally.refused == tally.read:
        raise TraceError(f"{tally.source}: every one of {tally.read:,} rows was refused: {tally.refusals()}.")
    if not tally.kept:
        raise TraceError(
            f"{tally.source}: none of the models to keep ({', '.join(options.keep)}) is in it; "
            f"it has {', '.join(sorted(tally.models))}."
        )


def _shares(found: list[tuple[Source, Detected]]) -> tuple[Share, ...]:
    return tuple(part for source, _ in found for part in source.options.region_split)


def _tell(progress: Progress | None, tally: SourceTally, done_fraction: float) -> None:
    if progress is not None:
        progress(tally.source, done_fraction, tally.read)
