"""JSON lines as batches of declared columns with line numbers; a line that is no such object is refused.

A block of lines is parsed as a whole with the types declared, which is fast; only a block that fails is looked at line
by line. A key that is not declared is not read; one that an object lacks is null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from workbench.tables import COUNT, TEXT
from workbench.traces.catalogue import REJECTED
from workbench.traces.readers.batches import LINE, RAW_CHARACTERS, Raw
from workbench.traces.readers.streams import line_blocks

BOM = b"\xef\xbb\xbf"
Numbered = Sequence[tuple[int, bytes]]
Refusal = tuple[int, str, str]
Item = TypeVar("Item")


def json_batches(path: Path, schema: Mapping[str, pl.DataType]) -> Iterator[Raw]:
    """Yield the keys of ``schema`` as columns, batch by batch, with the number of the line."""
    line = 1
    for block, done_fraction in line_blocks(path):
        lines = _Lines(block.removeprefix(BOM) if line == 1 else block, first=line)
        frame, kept, refused = _parsed(lines, schema)
        yield Raw(
            frame=frame.with_columns(kept),
            malformed=_refusals(path, refused),
            done_fraction=done_fraction,
            text=partial(lines.texts, kept),
        )
        line += lines.count


class _Lines:
    """The lines of a block, parted only when they are asked for."""

    def __init__(self, block: bytes, *, first: int) -> None:
        self.block = block
        self.first = first
        self.count = block.count(b"\n") + (not block.endswith(b"\n"))

    def filled(self) -> list[tuple[int, bytes]]:
        """Return the lines with something in them, with their numbers."""
        lines = enumerate(self.block.split(b"\n"), start=self.first)
        return [(number, text.strip()) for number, text in lines if text.strip()]

    def texts(self, numbers: pl.Series) -> list[bytes]:
        """Return the lines of these numbers as found."""
        lines = self.block.split(b"\n")
        return [lines[number - self.first].rstrip(b"\r") for number in numbers]


def json_items(
    path: Path, items_of: Callable[[dict[str, Any]], Iterable[Item]], *, what: str
) -> Iterator[tuple[list[tuple[int, Item]], pl.DataFrame, float]]:
    """Yield what ``items_of`` finds in the object of each line, with the line; the refused lines; the share read.

    For objects that nest too deep for columns; slower than :func:`json_batches`. A line in which ``items_of`` meets
    another shape (TypeError, KeyError, AttributeError) is refused as no ``what``.
    """
    line = 1
    for block, done_fraction in line_blocks(path):
        items: list[tuple[int, Item]] = []
        refused = []
        lines = _Lines(block.removeprefix(BOM) if line == 1 else block, first=line)
        for number, text in lines.filled():
            value, error = _object(text)
            if value is None:
                refused.append(_refusal(number, text, error))
                continue
            try:
                items += [(number, item) for item in items_of(value)]
            except (TypeError, KeyError, AttributeError) as shape:
                found = text[:RAW_CHARACTERS].decode("utf-8", "replace")
                refused.append((number, f"no {what} of a known shape: {shape!r}"[:80], found))
        yield items, _refusals(path, refused), done_fraction
        line += lines.count


def _refusals(path: Path, rows: Sequence[Refusal]) -> pl.DataFrame:
    columns = {"line": COUNT, "reason": TEXT, "raw": TEXT}
    frame = pl.DataFrame([*rows], schema=columns, orient="row").with_columns(source=pl.lit(path.name))
    return REJECTED.conform(frame)


def _refusal(line: int, text: bytes, error: Exception | None) -> Refusal:
    # without the place in the line, so that equal mistakes count together
    what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "msg", str(error))
    return line, f"no JSON object: {what}", text[:RAW_CHARACTERS].decode("utf-8", "replace")


def _mistyped(line: int, text: bytes) -> Refusal:
    return line, "a value is of another type than expected", text[:RAW_CHARACTERS].decode("utf-8", "replace")


def _is_of(value: object, dtype: object) -> bool:
    """Tell whether the parser takes a value for this type: any for text, whole numbers for a list of counts."""
    if isinstance(dtype, pl.Struct):
        return value is None or (
            isinstance(value, dict) and all(_is_of(value.get(part.name), part.dtype) for part in dtype.fields)
        )
    if not isinstance(dtype, pl.List):
        return True
    return value is None or (
        isinstance(value, list)
        and all(part is None or (type(part) is int and -(2**63) <= part < 2**63) for part in value)
    )


def _parsed(lines: _Lines, schema: Mapping[str, pl.DataType]) -> tuple[pl.DataFrame, pl.Series, list[Refusal]]:
    frame = _block(lines.block, lines.count, schema)
    if frame is not None:
        return frame, pl.int_range(lines.first, lines.first + lines.count, eager=True).alias(LINE), []
    refused = []
    good = []
    for number, text in lines.filled():
        value, error = _object(text)
        if value is None:
            refused.append(_refusal(number, text, error))
        elif all(_is_of(value.get(key), dtype) for key, dtype in schema.items()):
            good.append((number, text))
        else:
            refused.append(_mistyped(number, text))
    frame, kept, mistyped = _halved(good, schema)
    return frame, pl.Series(LINE, [number for number, _ in kept], dtype=COUNT), refused + mistyped


def _block(block: bytes, count: int, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    try:
        frame = pl.read_ndjson(block, schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == count else None


def _object(text: bytes) -> tuple[dict[str, Any] | None, Exception | None]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, error
    return (value, None) if isinstance(value, dict) else (None, ValueError(f"found {type(value).__name__}"))


def _halved(lines: Numbered, schema: Mapping[str, pl.DataType]) -> tuple[pl.DataFrame, Numbered, list[Refusal]]:
    """Part lines that are objects into those that the parser takes and the few others, by ever smaller parts."""
    block = b"\n".join(text for _, text in lines)
    frame = _block(block, len(lines), schema) if lines else pl.DataFrame(schema=schema)
    if frame is not None:
        return frame, lines, []
    if len(lines) == 1:
        return pl.DataFrame(schema=schema), [], [_mistyped(*lines[0])]
    middle = len(lines) // 2
    (first, kept, refused), (second, more, others) = (_halved(lines[:middle], schema), _halved(lines[middle:], schema))
    return pl.concat([first, second]), [*kept, *more], refused + others
