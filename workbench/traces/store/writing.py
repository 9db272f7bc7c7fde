"""The store as it is written: one trace at a time, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import polars as pl

from workbench import __version__
from workbench.errors import TraceError
from workbench.tables import DEMAND, REQUESTS
from workbench.traces.catalogue import FINDINGS, GAPS, REJECTED, TraceHeader
from workbench.traces.store import queries
from workbench.traces.store.database import Database, Parameters
from workbench.traces.store.reading import LABELS, Reading, relations_of

REQUEST_VALUES = tuple(name for name in REQUESTS.columns if name not in ("arrived_at", *LABELS))


class Writing:
    """A trace while it is written: rows and refused rows are added, then findings; nothing shows until it is whole."""

    def __init__(self, database: Database, trace_id: int, header: TraceHeader) -> None:
        self._database = database
        self._id = trace_id
        self._relations = relations_of(header.kind, trace_id)
        self._rows = self._relations["rows" if header.kind == "requests" else "t"]
        self._labels = pl.DataFrame(schema={"series": pl.Int32} | dict.fromkeys(LABELS, pl.String))
        self.header = header
        self.rows_read = 0
        self.rows_kept = 0
        self.version = __version__

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows (``REQUESTS`` or ``DEMAND``, by the kind of the trace)."""
        if self.header.kind == "series":
            self._database.insert(self._rows, DEMAND.conform(frame))
            return
        rows = REQUESTS.conform(frame)
        self._number(rows.select(LABELS).unique())
        numbered = rows.join(self._labels, on=LABELS, how="left")
        self._database.insert(self._rows, numbered.select("arrived_at", "series", *REQUEST_VALUES))

    def _number(self, found: pl.DataFrame) -> None:
        """Give every region, model and tier that is new a number."""
        new = found.join(self._labels, on=LABELS, how="anti").sort(LABELS)
        if new.height:
            numbered = new.with_row_index("series", offset=self._labels.height).cast({"series": pl.Int32})
            self._labels = pl.concat([self._labels, numbered])
            self._database.insert(self._relations["labels"], numbered)

    def reject(self, frame: pl.DataFrame) -> None:
        """Add refused rows (``REJECTED``)."""
        if frame.height:
            self._database.insert("rejected", frame.select(pl.lit(self._id).alias("id"), *REJECTED.columns))

    def keep_between(self, first: datetime, last: datetime) -> int:
        """Drop the requests outside [first, last]; return how many were dropped."""
        where = f"FROM {self._rows} WHERE arrived_at < $first OR arrived_at > $last"
        span = {"first": first, "last": last}
        (dropped,) = self._database.row(f"SELECT count(*) {where}", span)
        if dropped:
            self._database.run(f"DELETE {where}", span)
            left = "DELETE FROM {labels} WHERE series NOT IN (SELECT DISTINCT series FROM {rows})"
            self._database.run(left.format_map(self._relations))
        return int(dropped)

    def span(self) -> tuple[int, datetime | None, datetime | None]:
        """Return the number of rows so far and their first and last instant."""
        at = "arrived_at" if self.header.kind == "requests" else "window_start"
        rows, first, last = self._database.row(f"SELECT count(*), min({at}), max({at}) FROM {self._rows}")
        return int(rows), first, last

    def look(self, query: str, parameters: Parameters | None = None) -> pl.DataFrame:
        """Run one of :mod:`workbench.traces.store.queries` on the rows so far."""
        return self._database.frame(query.format_map(self._relations), parameters)

    def find(self, findings: pl.DataFrame) -> None:
        """Add findings (``FINDINGS``), kept in their order."""
        self._database.insert(
            "findings",
            FINDINGS.conform(findings)
            .with_row_index("position")
            .select(pl.lit(self._id).alias("id"), pl.col("position").cast(pl.Int32), *FINDINGS.columns),
        )

    def mark_gaps(self, gaps: pl.DataFrame) -> None:
        """Add stretches in which nothing is known (``GAPS``); demand is unknown in the windows that they touch."""
        rows = GAPS.conform(gaps)
        self._database.insert("gaps", rows.select(pl.lit(self._id).alias("id"), *GAPS.columns))

    def _enter(self) -> None:
        rows, first, last = self.span()
        (rejected,) = self._database.row("SELECT count(*) FROM rejected WHERE id = $id", {"id": self._id})
        h = self.header
        values = [self._id, h.name, h.kind, h.format, h.source, h.fingerprint, h.window_s]
        values += [self.rows_read, self.rows_kept, rows, rejected, first, last, self.version]
        marks = ", ".join(f"${i}" for i in range(1, len(values) + 1))
        self._database.run(f"INSERT INTO catalogue VALUES ({marks})", values)


class Store(Reading):
    """An open trace store that can be written to; a context manager that closes it."""

    @contextmanager
    def writing(self, header: TraceHeader, *, replace: bool = False) -> Iterator[Writing]:
        """Write one trace whole or not at all; an exception of any kind leaves the store as it was.

        Raises TraceError where another trace has the name and ``replace`` is not set, StoreError where the disk is
        full or the store was opened read-only.
        """
        if not replace and self.has(header.name):
            raise TraceError(
                f"the store already has a trace '{header.name}' with other content; choose another name, or "
                "replace it (replace=True, on the command line --replace)."
            )
        with self._database.transaction():
            if self.has(header.name):
                self._drop(header.name)
            (trace_id,) = self._database.row("SELECT nextval('trace_id')")
            writing = Writing(self._database, int(trace_id), header)
            layout = queries.REQUESTS_LAYOUT if header.kind == "requests" else queries.SERIES_LAYOUT
            self._database.run(layout.format(id=trace_id))
            yield writing
            writing._enter()

    def remove(self, name: str) -> None:
        """Remove a trace with its findings, refused rows and gaps."""
        with self._database.transaction():
            self._drop(name)

    def _drop(self, name: str) -> None:
        row = self._one(name)
        drop = queries.DROP_REQUESTS if row["kind"] == "requests" else queries.DROP_SERIES
        self._database.run(drop.format(id=row["id"]))
        for table in ("findings", "rejected", "gaps", "catalogue"):
            self._database.run(f"DELETE FROM {table} WHERE id = $id", {"id": row["id"]})
