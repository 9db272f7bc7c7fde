"""CSV files as batches of text columns with line numbers; rows with another number of fields are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import TraceError
from workbench.tables import COUNT, TEXT
from workbench.traces.catalogue import REJECTED
from workbench.traces.readers.batches import LINE, RAW_CHARACTERS, ROWS_PER_BATCH, Raw
from workbench.traces.readers.quotes import ClosedQuotes
from workbench.traces.readers.streams import unpacked

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

# the CSV parser reads up to 32 blocks ahead, so the block bounds the memory
CSV_BLOCK_BYTES = 2 << 20
MALFORMED_AT_MOST = 1_000_000


class _Malformed:
    """The rows with another number of fields that the parser met and that were not handed on yet."""

    def __init__(self, stream: ClosedQuotes) -> None:
        self._unclosed = stream.torn
        self.rows: list[tuple[int, str, str]] = []
        self.torn: list[int] = []
        self.has_good = False

    @property
    def is_all(self) -> bool:
        """Tell whether a million rows were malformed and none was not: the parser would hold all that follow."""
        return len(self.rows) >= MALFORMED_AT_MOST and not self.has_good

    def keep(self, row: arrow_csv.InvalidRow) -> str:
        """Note a row with another number of fields and go on with the next."""
        if self.is_all:
            return "error"
        unclosed = self._unclosed.pop(row.number, None)
        if unclosed is not None:
            text = unclosed[: 4 * RAW_CHARACTERS].decode("utf-8", "replace")
            self.rows.append((row.number, "a quotation mark is not closed on its line", text[:RAW_CHARACTERS]))
            return "skip"
        reason = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        self.rows.append((row.number, reason, row.text[:RAW_CHARACTERS]))
        if "\n" in row.text:
            self.torn.append(row.number)
        return "skip"


def csv_batches(path: Path, names: tuple[str, ...], *, delimiter: str = ",") -> Iterator[Raw]:
    """Yield every column as text batch by batch, with the number of the line; ``names`` are those of the header.

    A line with a quotation mark that is not closed is refused alone. Raises TraceError where a line is longer than a
    block, as the memory is bounded by blocks, and where a million rows at the start have another number of fields
    than the header.
    """
    import pyarrow as pa

    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        stream = ClosedQuotes(unpacked(path, file), fields=len(names), delimiter=delimiter, longest=CSV_BLOCK_BYTES)
        malformed = _Malformed(stream)
        try:
            reader = _opened(stream, list(names), delimiter, malformed)
            malformed.has_good = True
            for raw in _numbered(reader, list(names), path, malformed.rows, lambda: min(1.0, file.tell() / size)):
                if malformed.torn:
                    raise _torn(path, f"line {malformed.torn[0]:,}")
                yield raw
        except pa.ArrowInvalid as error:
            if "Could not skip initial" in str(error):
                return  # a header without a line end is a file without rows
            told = _of_another_width(path, malformed.rows) if malformed.is_all else _explained(path, str(error))
            if told is None:
                raise
            raise told from error


def _opened(stream: Any, names: list[str], delimiter: str, malformed: _Malformed) -> arrow_csv.CSVStreamingReader:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return arrow_csv.open_csv(
        stream,
        # the line number of a malformed row is only known when one thread parses
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=CSV_BLOCK_BYTES, column_names=names, skip_rows=1
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, invalid_row_handler=malformed.keep, ignore_empty_lines=False
        ),
        convert_options=arrow_csv.ConvertOptions(
            # only an empty field is none: a refused row is kept with the NaN or NULL that it had
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _explained(path: Path, error: str) -> TraceError | None:
    """Return what the parser's error means for the file, None where that is not known."""
    if "out of sync" in error:
        return _torn(path, "its line is not known")
    return _too_long(path) if "straddling" in error else None


def _of_another_width(path: Path, rows: list[tuple[int, str, str]]) -> TraceError:
    _, reason, text = rows[0]
    return TraceError(
        f"{path.name}: each of the first {len(rows):,} rows has another number of fields than the header, such as "
        f"{reason} in '{text[:80]}'. Correct the header, or the character between values."
    )


def _torn(path: Path, where: str) -> TraceError:
    return TraceError(
        f"{path.name}: a quotation mark is not closed on its line ({where}), so the lines after it cannot be told "
        "apart; close it there, or write the file without line ends inside of values."
    )


def _too_long(path: Path) -> TraceError:
    return TraceError(
        f"{path.name} has a line longer than {CSV_BLOCK_BYTES / (1 << 20):.3g} MiB; a trace has one row per line. The "
        "file is of another kind, or its line ends were lost; write it with a line end per row."
    )


def _numbered(
    reader: Iterable[pa.RecordBatch],
    names: list[str],
    path: Path,
    bad: list[tuple[int, str, str]],
    done_fraction: Callable[[], float],
) -> Iterator[Raw]:
    line = 2
    pending: list[tuple[int, str, str]] = []
    for frame in _gathered(reader, bad):
        # the parser reads ahead: a malformed row may belong to a later block and stays pending until its line is passed
        pending += bad
        bad.clear()
        skipped = [number for number, _, _ in pending]
        lines = pl.int_range(line, line + frame.height + len(skipped), eager=True)
        lines = lines.filter(~lines.is_in(skipped)).head(frame.height)
        line = int(lines[-1]) + 1 if frame.height else line
        # a malformed row that follows at once is passed too, or a file of nothing else would be held whole
        known = set(skipped)
        while line in known:
            line += 1
        passed = [row for row in pending if row[0] < line]
        pending = [row for row in pending if row[0] >= line]
        yield Raw(
            frame=frame.select(names).with_columns(lines.alias(LINE)),
            malformed=_rejected(path, passed),
            done_fraction=done_fraction(),
        )
    if pending or bad:
        yield Raw(
            frame=pl.DataFrame(schema=dict.fromkeys(names, TEXT) | {LINE: COUNT}),
            malformed=_rejected(path, pending + bad),
            done_fraction=1.0,
        )


def _gathered(reader: Iterable[pa.RecordBatch], bad: list[tuple[int, str, str]]) -> Iterator[pl.DataFrame]:
    """Join the parser's small blocks to batches that are worth a write of their own, malformed rows counted in."""
    parts: list[pl.DataFrame] = []
    for part in reader:
        parts.append(pl.DataFrame(pl.from_arrow(part)))
        if sum(frame.height for frame in parts) + len(bad) >= ROWS_PER_BATCH:
            yield pl.concat(parts)
            parts.clear()
    if parts:
        yield pl.concat(parts)


def _rejected(path: Path, rows: list[tuple[int, str, str]]) -> pl.DataFrame:
    columns = {"line": COUNT, "reason": TEXT, "raw": TEXT}
    return REJECTED.conform(pl.DataFrame(rows, schema=columns, orient="row").with_columns(source=pl.lit(path.name)))
