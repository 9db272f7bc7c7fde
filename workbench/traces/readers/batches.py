"""What a reader hands on: batches of rows, the rows it refuses with the reason, and the contract of a format.

A reader never holds a whole file of requests, so files larger than memory pass. A row that cannot be used is not
dropped: it leaves as a rejected row with its line, the reason and the text as found. Each format module turns the raw
columns into ours and names the checks a row must pass; the first check that fails is the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from workbench.tables import COUNT, TEXT
from workbench.traces.catalogue import REJECTED, Kind
from workbench.traces.options import TraceOptions
from workbench.traces.readers.zones import offsets_in

ROWS_PER_BATCH = 250_000
# a refused row is kept as found, up to this many characters
RAW_CHARACTERS = 1000
LINE = "line"


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some rows of one source: those that can be used, those refused (``REJECTED``), how far the file is read.

    ``offsets`` counts the offsets from UTC that stood in the time stamps; "" counts stamps without one.
    """

    good: pl.DataFrame
    rejected: pl.DataFrame
    done_fraction: float = 0.0
    offsets: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_read(self) -> int:
        """Rows of the source in this batch."""
        return self.good.height + self.rejected.height


@dataclass(frozen=True, kw_only=True, eq=False)
class Raw:
    """Raw columns of some rows with their line, and the rows whose very shape is wrong.

    ``text`` gives each row as found, where it is more than its columns with commas between them; it is only asked for
    where a row is refused.
    """

    frame: pl.DataFrame
    malformed: pl.DataFrame
    done_fraction: float
    text: Callable[[], Sequence[bytes]] | None = None


def own_file(path: Path) -> tuple[Path, ...]:
    """Return the file itself as the only part of a source; a folder has none."""
    return (path,) if path.is_file() else ()


def no_names(_path: Path) -> tuple[str, ...]:
    """Return no further names: the columns are all there is to know."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format that can be read: how it is recognised, what it lacks, and how it is read.

    ``columns`` must all be present for a file to be taken as this format, and of every group of ``alternatives`` at
    least one. ``lacks`` says for the columns found which options a person must give. ``read`` yields frames with the
    columns of REQUESTS, or of DEMAND, with the source's own labels. ``notes`` are facts about every trace of this
    format, repeated in its findings. ``parts`` names all files that are read for a path (none: a folder that is no
    source of this format); ``inner_names`` are names inside of columns, given to ``lacks`` with the columns; ``takes``
    are the options that only some formats heed.
    """

    key: str
    label: str
    kind: Kind
    columns: tuple[str, ...]
    lacks: Callable[[tuple[str, ...]], tuple[str, ...]]
    read: Callable[[Path, TraceOptions], Iterator[Batch]]
    notes: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    parts: Callable[[Path], tuple[Path, ...]] = own_file
    inner_names: Callable[[Path], tuple[str, ...]] = no_names
    takes: tuple[str, ...] = ()

    def missing(self, columns: tuple[str, ...]) -> list[str]:
        """Say which columns a file lacks to be of this format; none means that it is."""
        groups = [" or ".join(group) for group in self.alternatives if not set(group) & set(columns)]
        return [name for name in self.columns if name not in columns] + groups

    @property
    def needs(self) -> str:
        """What a file must have to be of this format, in words."""
        return ", ".join([*self.columns, *(" or ".join(group) for group in self.alternatives)])


def judged(raw: Raw, read: pl.DataFrame, checks: Mapping[str, pl.Expr], *, path: Path) -> Batch:
    """Part the rows of ``read`` (as long as the raw frame) into good and refused by the first check that fails.

    ``checks`` maps a reason to an expression over ``read`` that is true where the row must be refused.
    """
    reason = pl.coalesce(*(pl.when(test).then(pl.lit(why)) for why, test in checks.items()), pl.lit(None, dtype=TEXT))
    reasons = read.select(reason.alias("reason")).to_series()
    offsets = offsets_in(raw.frame.iter_columns())
    if reasons.null_count() == reasons.len():
        return Batch(good=read, rejected=raw.malformed, done_fraction=raw.done_fraction, offsets=offsets)
    wrong = reasons.is_not_null()
    refused = raw.frame.filter(wrong).select(
        source=pl.lit(path.name),
        line=pl.col(LINE).cast(COUNT),
        reason=pl.lit(reasons.filter(wrong)),
        raw=_as_found(raw, wrong).str.slice(0, RAW_CHARACTERS),
    )
    return Batch(
        good=read.filter(~wrong),
        rejected=pl.concat([raw.malformed, REJECTED.conform(refused)]),
        done_fraction=raw.done_fraction,
        offsets=offsets,
    )


def _as_found(raw: Raw, wrong: pl.Series) -> pl.Expr:
    if raw.text is not None:
        found = raw.text()
        texts = [found[index][: 4 * RAW_CHARACTERS].decode("utf-8", "replace") for index in wrong.arg_true()]
        return pl.lit(pl.Series(texts, dtype=TEXT))
    fields = [pl.col(name).cast(TEXT).fill_null("") for name in raw.frame.columns if name != LINE]
    return pl.concat_str(fields, separator=",")
