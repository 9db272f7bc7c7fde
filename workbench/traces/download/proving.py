"""Whether a file is the published one: by checksum where one is known, else by size, rows, and whether it unpacks."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

from workbench.catalog import TraceSource
from workbench.errors import TraceError

BLOCK_BYTES = 1 << 20
HAS_HEADER_LINE = (".csv", ".csv.gz")
LINES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
Progress = Callable[[int, int | None], None]


def prove(path: Path, source: TraceSource, *, progress: Progress | None = None) -> str:
    """Return in words what proves that a file is the published one.

    Raises TraceError that says what was found and what was expected where it is another.
    """
    size = path.stat().st_size
    if source.size_bytes is not None and size != source.size_bytes:
        raise _other(source, "size", f"{size:,} bytes", f"{source.size_bytes:,} bytes")
    if source.sha256 is not None:
        found = sha256_of(path, progress=progress)
        if found != source.sha256:
            raise _other(source, "sha256", found, source.sha256)
        return f"sha256 {found[:12]}... as known ({source.verified_by})"
    rows = _rows_of(path, source)
    if source.rows is not None and rows is not None and rows != source.rows:
        raise _other(source, "number of rows", f"{rows:,}", f"{source.rows:,}")
    proofs = ["size" if source.size_bytes is not None else "", f"{rows:,} rows" if rows and source.rows else ""]
    said = " and ".join(proof for proof in proofs if proof) or ("unpacking" if source.file.endswith(".gz") else "name")
    return f"no checksum is known; checked by {said} only"


def sha256_of(path: Path, *, progress: Progress | None = None) -> str:
    """Return the SHA-256 of a file in hexadecimal; ``progress`` is told how many bytes of how many are read."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(done, size)
    return digest.hexdigest()


def _rows_of(path: Path, source: TraceSource) -> int | None:
    """Count the requests of a text file, reading it (and so unpacking it) to its end; None where rows are not lines."""
    breaks, last = 0, b"\n"
    try:
        with gzip.open(path) if source.file.endswith(".gz") else path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                breaks += block.count(b"\n")
                last = block[-1:]
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(
            f"{source.file} does not unpack ({error}): it is cut off or not what was published."
        ) from error
    if not source.file.endswith(LINES):
        return None
    lines = breaks + (last != b"\n")
    return lines - 1 if source.file.endswith(HAS_HEADER_LINE) else lines


def _other(source: TraceSource, what: str, found: str, expected: str) -> TraceError:
    return TraceError(
        f"{source.file} is not the published file: its {what} is {found}, expected {expected} ({source.verified_by}). "
        "It was broken on the way, or the publisher has changed it."
    )
