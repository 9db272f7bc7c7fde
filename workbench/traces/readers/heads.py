"""What a file is, by its first bytes: how it is packed, its layout, and the names of its columns.

The name of a file is not trusted where its bytes say more: a packed file is unpacked whatever it is called, an
archive, a web page saved in place of a file or a pointer to a file is named as what it is. The columns of a JSON file
are the keys of its first objects.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from workbench.errors import TraceError
from workbench.traces.readers.streams import LONGEST_LINE_BYTES, first_bytes, packing_of

HEAD_BYTES = 1 << 16
OBJECTS_LOOKED_AT = 100
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# what people have in place of a trace, by first bytes
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (or a spreadsheet)",
    b"\xfd7zXZ": "an xz file",
    b"BZh": "a bzip2 file",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"ARROW1": "an Arrow IPC file",
    b"SQLite format 3": "an SQLite database",
    b"ORC": "an ORC file",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"\x80\x04": "a Python pickle",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"<": "a web page or XML",
}
MAGIC_AT = {8: {b"DUCK": "a DuckDB database"}, 257: {b"ustar": "a tar archive"}}

Layout = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is known of a file before it is read; ``columns`` are names of columns or keys of objects."""

    layout: Layout
    columns: tuple[str, ...]
    packing: str | None = None
    delimiter: str = ","

    @property
    def words(self) -> str:
        """The layout as people say it, such as ``CSV split at semicolons, gzip``."""
        layout = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}[self.layout]
        split = f" split at {DELIMITERS[self.delimiter]}" if self.delimiter in DELIMITERS else ""
        return f"{layout}{split}" + (f", {self.packing}" if self.packing else "")


def head_of(path: Path) -> Head:
    """Say what a file is.

    Raises TraceError where it is missing, a folder, empty, of a kind that is no trace, or has no usable first line.
    """
    _refuse_no_file(path)
    try:
        return _head_of(path)
    except (OSError, EOFError, ValueError, csv.Error, pl.exceptions.PolarsError) as error:
        raise unreadable(path, error) from error


def is_named_parquet(path: Path) -> bool:
    """Tell whether the end of the file's name says Parquet."""
    return path.suffix.lower() in {".parquet", ".pq"}


def unreadable(path: Path, error: Exception) -> TraceError:
    """Return the one error of a file that is damaged or of another kind than it looks."""
    found = " ".join(str(error).split())[:300].rstrip(".")
    return TraceError(
        f"{path.name} cannot be read as {'Parquet' if is_named_parquet(path) else 'UTF-8 text'}: {found}. "
        "The file may be cut off, in another encoding or of another kind than its name says; fetch it again or "
        "convert it."
    )


def _refuse_no_file(path: Path) -> None:
    if not path.exists():
        raise TraceError(f"{path}: no such file; check the path.")
    if path.is_dir():
        raise TraceError(f"{path} is a folder; name the file or files to ingest.")
    if not path.is_file():
        raise TraceError(f"{path} is neither a file nor a folder (a pipe or a device); name a file.")
    if not path.stat().st_size:
        raise TraceError(f"{path} is empty; expected a CSV with a header line, JSON lines, or a Parquet file.")


def _head_of(path: Path) -> Head:
    packing = packing_of(path)
    first = first_bytes(path, HEAD_BYTES)
    if first.startswith(b"PAR1"):
        if packing:
            raise TraceError(f"{path.name} is a Parquet file inside {packing}; unpack it and name the unpacked file.")
        return Head(layout="parquet", columns=tuple(pl.read_parquet_schema(path)))
    _refuse_foreign(path, first)
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise TraceError(f"{path} is empty; expected a CSV with a header line, JSON lines, or a Parquet file.")
    if text.startswith(b"["):
        raise TraceError(
            f"{path.name} is one JSON array; expected one JSON object per line. Convert it, with jq for example: "
            f"jq -c '.[]' {path.name} > {path.name}l"
        )
    if text.startswith(b"{"):
        return Head(layout="jsonl", columns=_keys(path), packing=packing)
    columns, delimiter = _header(path, first)
    return Head(layout="csv", columns=columns, packing=packing, delimiter=delimiter)


def _refuse_foreign(path: Path, first: bytes) -> None:
    looks = next((what for magic, what in FOREIGN.items() if first.lstrip().startswith(magic)), None)
    for offset, magics in MAGIC_AT.items():
        looks = looks or next((what for magic, what in magics.items() if first[offset:].startswith(magic)), None)
    if looks is None and b"\0" in first:
        looks = "a binary file of a kind that is not known"
    if looks is None and is_named_parquet(path):
        looks = "no Parquet, although its name says so"
    if looks:
        wanted = "a CSV with a header line, JSON lines (both plain, gzip or zstd) or a Parquet file"
        raise TraceError(
            f"{path.name} cannot be read as a trace: by its first bytes it is {looks}; expected {wanted}. "
            "Unpack or convert it, or fetch it again."
        )


def _header(path: Path, first: bytes) -> tuple[tuple[str, ...], str]:
    line, end, _ = first.partition(b"\n")
    if not end and len(first) >= HEAD_BYTES:
        raise TraceError(
            f"{path.name} has no line end in its first {HEAD_BYTES >> 10} KiB, so it is no CSV with a header line; "
            "name another file, or restore its line ends."
        )
    header = line.decode("utf-8-sig").rstrip("\r")
    if "\r" in header or not header.strip():
        found = "an empty first line" if not header.strip() else "lone carriage returns for line ends"
        raise TraceError(f"{path.name} has {found}; expected a header line with names. Write it again with line ends.")
    counted = {mark: header.count(mark) for mark in DELIMITERS}
    delimiter = "," if "," in header or not any(counted.values()) else max(counted, key=lambda mark: counted[mark])
    columns = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter)))
    repeated = [name for name, times in Counter(columns).items() if times > 1]
    if repeated:
        raise TraceError(
            f"{path.name}: the header names {', '.join(repr(name) for name in repeated)} more than once, so it is not "
            "known which column is meant; rename the other one."
        )
    return columns, delimiter


def first_objects(path: Path) -> list[dict[str, Any]]:
    """Return the first objects of a JSON lines file, those of its first block or the first line where it is longer.

    Raises TraceError where no line there is an object.
    """
    first = first_bytes(path, HEAD_BYTES)
    if b"\n" not in first and len(first) == HEAD_BYTES:
        first = first_bytes(path, LONGEST_LINE_BYTES)
    is_cut = len(first) in (HEAD_BYTES, LONGEST_LINE_BYTES)
    lines = first.removeprefix(b"\xef\xbb\xbf").splitlines()
    objects, wrong = [], ""
    for line in (lines[:-1] if is_cut else lines)[:OBJECTS_LOOKED_AT]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            wrong = wrong or str(error)
            continue
        if isinstance(value, dict):
            objects.append(value)
    if not objects:
        raise TraceError(
            f"{path.name} starts like JSON, but none of its first lines is a JSON object ({wrong or 'line too long'}); "
            f"expected one object per line. Convert it, with jq for example: jq -c . {path.name}"
        )
    return objects


def _keys(path: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for value in first_objects(path) for key in value))
