"""What a reader hands on: batches of rows, the rows it refuses with the reason, and the contract of a format.

A reader never holds a whole file of requests, so files larger than memory pass. A row that cannot be used is not
dropped: it leaves as a rejected row with its line, the reason and the text as found. Each format module turns the raw
columns into ours and names the checks a row must pass; the first check that fails is the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.tables import COUNT, TEXT
from workbench.traces.catalogue import REJECTED, Kind
from workbench.traces.options import TraceOptions

ROWS_PER_BATCH = 250_000
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
