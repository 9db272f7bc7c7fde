"""What a publisher states about a file against what is in it: days, number of rows, checksum.

A file is taken for a published one by its name up to the first dot, so a copy that was packed by hand is recognised;
its checksum is that of the unpacked bytes where only these are published.
"""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

from workbench import catalog
from workbench.catalog import TraceSource
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.tallying import SourceTally
from workbench.traces.readers.streams import packing_of, unpacked

BLOCK_BYTES = 1 << 20
PACKED_NAMES = (".gz", ".zst")


def published_source(path: Path) -> TraceSource | None:
    """Return the public source that a file is named like, if there is one; the same full name comes first."""
    sources = catalog.load().trace_sources.values()
    alike = [source for source in sources if source.is_named_like(path.name)]
    return min(alike, key=lambda source: source.file != path.name, default=None)


def published_findings(path: Path, tally: SourceTally) -> list[Finding]:
    """Compare a file that has the name of a published one with what its publisher says."""
    source = published_source(path)
    if source is None:
        return []
    return [*_checksum(path, source), *_rows(path, tally, source), *_dates(path, tally, source)]


def _checksum(path: Path, source: TraceSource) -> list[Finding]:
    if source.sha256 is None or path.is_dir():
        return []
    unpack = packing_of(path) is not None and not source.file.endswith(PACKED_NAMES)
    found = _sha256(path, unpack=unpack)
    of = "of the unpacked file " if unpack else ""
    if found == source.sha256:
        detail = f"sha256 {of}is {found[:12]}..., as stated for {source.key} ({source.date})"
        return [finding("checksum matches its source", path.name, None, detail)]
    detail = f"sha256 {of}is {found}, that of {source.key} is {source.sha256} ({source.verified_by})"
    return [finding("checksum differs from its source", path.name, None, detail)]


def _rows(path: Path, tally: SourceTally, source: TraceSource) -> list[Finding]:
    if source.rows is None or tally.read == source.rows:
        return []
    detail = f"{tally.read:,} rows, {source.key} has {source.rows:,} ({source.source}, {source.date})"
    return [finding("row count differs from its source", path.name, tally.read - source.rows, detail)]


def _dates(path: Path, tally: SourceTally, source: TraceSource) -> list[Finding]:
    if not (source.stated_from and source.stated_until and tally.first_at and tally.last_at):
        return []
    stated = date.fromisoformat(source.stated_from), date.fromisoformat(source.stated_until)
    if stated[0] <= tally.first_at.date() and tally.last_at.date() <= stated[1]:
        return []
    detail = (
        f"the stamps run from {tally.first_at:%Y-%m-%d %H:%M} to {tally.last_at:%Y-%m-%d %H:%M} UTC, its publisher "
        f"says {_days(*stated)} ({source.source}, {source.date})"
    )
    return [finding("date disagrees with its source", path.name, None, detail)]


def _days(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def _sha256(path: Path, *, unpack: bool) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        stream = unpacked(path, file) if unpack else file
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
