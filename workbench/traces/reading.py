"""How a file becomes batches of rows: CSV (plain, .gz, .zst) as text with line numbers, Parquet by slices.

A reader never holds a whole file of requests, so files larger than memory pass. A row that cannot be used is not
dropped: it leaves as a rejected row with its line, the reason and the text as found. Each format module turns the raw
columns into ours and names the checks a row must pass; the first check that fails is the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import TraceError
from workbench.tables import COUNT, INSTANT, NUMBER, TEXT
from workbench.traces.catalogue import REJECTED, Kind
from workbench.traces.options import TraceOptions

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BATCH = 250_000
# the CSV parser reads up to 32 blocks ahead, so the block bounds the memory
CSV_BLOCK_BYTES = 2 << 20
HEADER_BYTES = 1 << 16
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
LINE = "line"


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some rows of one source: those that can be used, those refused (``REJECTED``), how far the file is read."""

    good: pl.DataFrame
    rejected: pl.DataFrame
    done_fraction: float = 0.0

    @property
    def rows_read(self) -> int:
        """Rows of the source in this batch."""
        return self.good.height + self.rejected.height


@dataclass(frozen=True, kw_only=True, eq=False)
class Raw:
    """Raw columns of some rows with their line, and the rows whose very shape is wrong."""

    frame: pl.DataFrame
    malformed: pl.DataFrame
    done_fraction: float


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format that can be read: how it is recognised, what it lacks, and how it is read.

    ``columns`` must all be present for a file to be taken as this format. ``lacks`` says for the columns found which
    options a person must give. ``read`` yields frames with the columns of REQUESTS, or of DEMAND, with the source's own
    labels. ``notes`` are facts about every trace of this format, repeated in its findings.
    """

    key: str
    label: str
    kind: Kind
    columns: tuple[str, ...]
    lacks: Callable[[tuple[str, ...]], tuple[str, ...]]
    read: Callable[[Path, TraceOptions], Iterator[Batch]]
    notes: tuple[str, ...] = ()


def stem_of(path: Path) -> str:
    """Return the file's name up to the first dot: the label of a source that has no column for one."""
    return path.name.partition(".")[0]


def is_parquet(path: Path) -> bool:
    """Tell whether the file is read as Parquet, by the end of its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV or Parquet file.

    Raises TraceError where the file is missing, a folder, empty or not readable as its name says.
    """
    if not path.exists():
        raise TraceError(f"{path}: no such file; check the path.")
    if path.is_dir():
        raise TraceError(f"{path} is a folder; name the file or files to ingest.")
    try:
        if is_parquet(path):
            return tuple(pl.read_parquet_schema(path))
        with _text_stream(path) as stream:
            header: str = stream.read(HEADER_BYTES).partition(b"\n")[0].decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error
    if not header.strip():
        raise TraceError(f"{path} is empty; expected a CSV with a header line, or a Parquet file.")
    return tuple(name.strip() for name in next(csv.reader([header.rstrip("\r")])))


def raw_batches(path: Path, columns: Iterable[str]) -> Iterator[Raw]:
    """Yield rows batch by batch, with a ``line`` column; CSV has all columns as text, Parquet the named ones as stored.

    Raises TraceError where the file breaks off or is damaged.
    """
    wanted = list(columns)
    try:
        yield from _parquet_batches(path, wanted) if is_parquet(path) else _csv_batches(path)
    except (OSError, EOFError, ValueError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TraceError:
    found = " ".join(str(error).split())[:300]
    return TraceError(
        f"{path.name} cannot be read as {'Parquet' if is_parquet(path) else 'UTF-8 CSV'}: {found}. "
        "The file may be cut off or be of another kind than its name says; fetch it again or rename it."
    )


def _text_stream(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix.lower()))


def _parquet_batches(path: Path, columns: list[str]) -> Iterator[Raw]:
    scan = pl.scan_parquet(path)
    rows = int(scan.select(pl.len()).collect().item())
    present = [name for name in columns if name in scan.collect_schema().names()]
    for offset in range(0, rows, ROWS_PER_BATCH):
        part = scan.select(present).slice(offset, ROWS_PER_BATCH).collect()
        # dictionary types of another writer compare and map as plain text
        part = part.with_columns(pl.col(pl.Categorical, pl.Enum).cast(TEXT))
        yield Raw(
            frame=part.with_row_index(LINE, offset=offset + 1),
            malformed=REJECTED.empty(),
            done_fraction=min(1.0, (offset + part.height) / rows),
        )


def _csv_batches(path: Path) -> Iterator[Raw]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = columns_of(path)
    bad: list[tuple[int, str, str]] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        """Note a row with another number of fields and go on with the next."""
        reason = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        bad.append((row.number, reason, row.text))
        return "skip"

    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        compression = COMPRESSIONS.get(path.suffix.lower())
        source: Any = pa.CompressedInputStream(file, compression) if compression else file
        try:
            reader = arrow_csv.open_csv(
                source,
                # the line number of a malformed row is only known when one thread parses
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=CSV_BLOCK_BYTES, column_names=list(names), skip_rows=1
                ),
                parse_options=arrow_csv.ParseOptions(invalid_row_handler=keep, ignore_empty_lines=False),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={name: pa.string() for name in names}, strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid as error:
            if "Could not skip initial" in str(error):
                return  # a header without a line end is a file without rows
            raise
        yield from _numbered(reader, list(names), path, bad, lambda: min(1.0, file.tell() / size))


def _numbered(
    reader: Iterable[pa.RecordBatch],
    names: list[str],
    path: Path,
    bad: list[tuple[int, str, str]],
    done_fraction: Callable[[], float],
) -> Iterator[Raw]:
    line = 2
    pending: list[tuple[int, str, str]] = []
    for frame in _gathered(reader):
        # the parser reads ahead: a malformed row may belong to a later block and stays pending until its line is passed
        pending += bad
        bad.clear()
        skipped = [number for number, _, _ in pending]
        lines = pl.int_range(line, line + frame.height + len(skipped), eager=True)
        lines = lines.filter(~lines.is_in(skipped)).head(frame.height)
        line = int(lines[-1]) + 1 if frame.height else line
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


def _gathered(reader: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Join the parser's small blocks to batches that are worth a write of their own."""
    parts: list[pl.DataFrame] = []
    for part in reader:
        parts.append(pl.DataFrame(pl.from_arrow(part)))
        if sum(frame.height for frame in parts) >= ROWS_PER_BATCH:
            yield pl.concat(parts)
            parts.clear()
    if parts:
        yield pl.concat(parts)


def _rejected(path: Path, rows: list[tuple[int, str, str]]) -> pl.DataFrame:
    columns = {"line": COUNT, "reason": TEXT, "raw": TEXT}
    return REJECTED.conform(pl.DataFrame(rows, schema=columns, orient="row").with_columns(source=pl.lit(path.name)))


def judged(raw: Raw, read: pl.DataFrame, checks: Mapping[str, pl.Expr], *, path: Path) -> Batch:
    """Part the rows of ``read`` (as long as the raw frame) into good and refused by the first check that fails.

    ``checks`` maps a reason to an expression over ``read`` that is true where the row must be refused.
    """
    reason = pl.coalesce(*(pl.when(test).then(pl.lit(why)) for why, test in checks.items()), pl.lit(None, dtype=TEXT))
    reasons = read.select(reason.alias("reason")).to_series()
    if reasons.null_count() == reasons.len():
        return Batch(good=read, rejected=raw.malformed, done_fraction=raw.done_fraction)
    wrong = reasons.is_not_null()
    fields = [pl.col(name).cast(TEXT).fill_null("") for name in raw.frame.columns if name != LINE]
    refused = raw.frame.filter(wrong).select(
        source=pl.lit(path.name),
        line=pl.col(LINE).cast(COUNT),
        reason=pl.lit(reasons.filter(wrong)),
        raw=pl.concat_str(fields, separator=","),
    )
    return Batch(
        good=read.filter(~wrong),
        rejected=pl.concat([raw.malformed, REJECTED.conform(refused)]),
        done_fraction=raw.done_fraction,
    )


def instants(values: pl.Series) -> pl.Series:
    """Read instants from text (ISO, with T or a space, any digits, with or without an offset) or a time column, as UTC.

    What cannot be read is null.
    """
    if isinstance(values.dtype, pl.Datetime):
        return (
            values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(INSTANT)
            if (values.dtype.time_zone)
            else values.cast(INSTANT)
        )
    text = values.cast(TEXT, strict=False).str.strip_chars().str.replace("T", " ", literal=True)
    plain = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    if plain.null_count() == text.null_count():
        return plain
    zoned = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    if isinstance(zoned.dtype, pl.Datetime) and zoned.dtype.time_zone:
        zoned = zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return plain.zip_with(plain.is_not_null(), zoned)


def counts(values: pl.Series) -> pl.Series:
    """Read whole numbers; what is no whole number is null."""
    if values.dtype.is_integer():
        return values.cast(COUNT)
    if values.dtype == TEXT:
        whole = values.cast(COUNT, strict=False)
        if whole.null_count() == values.null_count():
            return whole
    number = values.cast(NUMBER, strict=False)
    return number.set(number.is_nan() | (number != number.round()), None).cast(COUNT, strict=False)


def numbers(values: pl.Series) -> pl.Series:
    """Read numbers; what is none, or is not finite, is null."""
    number = values.cast(NUMBER, strict=False)
    return number.set(number.is_nan() | number.is_infinite(), None)
