"""The trace store: one DuckDB file with many named traces; the only module that knows DuckDB.

Request traces and demand series lie side by side, each in its own table, with a catalogue, the findings of the ingest
and the refused rows. Everything about one trace is written in one transaction: an ingest that is interrupted in any way
leaves what was there before. A process that writes excludes all others, so a store is opened late, read-only where
possible, and closed early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench import __version__
from workbench.errors import StoreError, TraceError, nearest
from workbench.tables import DEMAND, REQUESTS, SHAPE
from workbench.traces import queries
from workbench.traces.catalogue import CATALOGUE, FINDINGS, REJECTED, TraceHeader, TraceInfo
from workbench.traces.mishaps import explanation

if TYPE_CHECKING:
    import duckdb

# DuckDB must not fetch extensions on its own; the same settings everywhere, as one process cannot mix them
SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
ALWAYS = datetime(1, 1, 1), datetime(9999, 12, 31)
Parameters = Mapping[str, Any]


def open_store(path: Path | str, *, read_only: bool = False) -> Store:
    """Open the trace store in a file, or make a new one there; use it in a ``with`` block, which closes it.

    Raises StoreError where the folder cannot be written, another process has the store open, the file is no trace
    store or was made by a newer workbench, or a read-only store does not exist yet.
    """
    import duckdb

    file = Path(path)
    if read_only and not file.exists():
        raise StoreError(f"there is no trace store at {file} yet; ingest a trace first, or check the path.")
    with _explained(file):
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(file), read_only=read_only, config=dict(SETTINGS))
    try:
        with _explained(file):
            _check_version(connection, file, read_only=read_only)
    except BaseException:
        connection.close()
        raise
    return Store(connection, file)


def _check_version(connection: duckdb.DuckDBPyConnection, file: Path, *, read_only: bool) -> None:
    found = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not found and not read_only:
        connection.execute(f"BEGIN; {queries.SCHEMA} COMMIT;")
        return
    if "store_version" not in found:
        raise StoreError(f"{file} is a DuckDB file but no trace store; choose another path for the store.")
    (version,) = connection.execute("SELECT version FROM store_version").fetchall()[0]
    if version != queries.STORE_VERSION:
        raise StoreError(
            f"the trace store {file} has layout version {version}, this workbench reads version "
            f"{queries.STORE_VERSION}; use the workbench that made it, or ingest into a new file."
        )


class Writing:
    """A trace while it is written: rows and refused rows are added, then findings; nothing shows until it is whole."""

    def __init__(self, store: Store, trace_id: int, header: TraceHeader) -> None:
        self._store = store
        self._id = trace_id
        self._table = f"{header.kind}_{trace_id}"
        self.header = header
        self.rows_read = 0
        self.rows_kept = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows (``REQUESTS`` or ``DEMAND``, by the kind of the trace)."""
        table = REQUESTS if self.header.kind == "requests" else DEMAND
        self._store._insert(self._table, table.conform(frame))

    def reject(self, frame: pl.DataFrame) -> None:
        """Add refused rows (``REJECTED``)."""
        if frame.height:
            self._store._insert("rejected", frame.select(pl.lit(self._id).alias("id"), *REJECTED.columns))

    def keep_between(self, first: datetime, last: datetime) -> int:
        """Drop the requests outside [first, last]; return how many were dropped."""
        where = f"FROM {self._table} WHERE arrived_at < $first OR arrived_at > $last"
        span = {"first": first, "last": last}
        (dropped,) = self._store._row(f"SELECT count(*) {where}", span)
        if dropped:
            self._store._run(f"DELETE {where}", span)
        return int(dropped)

    def span(self) -> tuple[int, datetime | None, datetime | None]:
        """Return the number of rows so far and their first and last instant."""
        at = "arrived_at" if self.header.kind == "requests" else "window_start"
        rows, first, last = self._store._row(f"SELECT count(*), min({at}), max({at}) FROM {self._table}")
        return int(rows), first, last

    def look(self, query: str, parameters: Parameters | None = None) -> pl.DataFrame:
        """Run one of :mod:`workbench.traces.queries` on the rows so far."""
        return self._store._frame(query.format(t=self._table), parameters)

    def find(self, findings: pl.DataFrame) -> None:
        """Add findings (``FINDINGS``), kept in their order."""
        self._store._insert(
            "findings",
            FINDINGS.conform(findings)
            .with_row_index("position")
            .select(pl.lit(self._id).alias("id"), pl.col("position").cast(pl.Int32), *FINDINGS.columns),
        )

    def _enter(self) -> None:
        rows, first, last = self.span()
        (rejected,) = self._store._row("SELECT count(*) FROM rejected WHERE id = $id", {"id": self._id})
        h = self.header
        values = [self._id, h.name, h.kind, h.format, h.source, h.fingerprint, h.window_s]
        values += [self.rows_read, self.rows_kept, rows, rejected, first, last, __version__]
        marks = ", ".join(f"${i}" for i in range(1, len(values) + 1))
        self._store._run(f"INSERT INTO catalogue VALUES ({marks})", values)


class Store:
    """An open trace store; a context manager that closes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: Path) -> None:
        self._connection = connection
        self.path = file

    def __enter__(self) -> Store:
        """Return the open store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the file, so that other processes can open it; closing twice is harmless."""
        with _explained(self.path):
            self._connection.close()

    def traces(self) -> pl.DataFrame:
        """Return the catalogue (``CATALOGUE``), one row per trace, by name."""
        return CATALOGUE.conform(self._frame(f"SELECT {', '.join(CATALOGUE.columns)} FROM catalogue ORDER BY name"))

    def has(self, name: str) -> bool:
        """Tell whether a trace of that name is in the store."""
        return bool(self._row("SELECT count(*) FROM catalogue WHERE name = $name", {"name": name})[0])

    def describe(self, name: str) -> TraceInfo:
        """Return the catalogue's row of one trace. Raises TraceError where there is none of that name."""
        row = self._one(name)
        header = {key: row[key] for key in ("name", "kind", "format", "source", "fingerprint", "window_s")}
        rest = {
            key: row[key] for key in ("rows_read", "rows_kept", "rows", "rejected", "first_at", "last_at", "version")
        }
        return TraceInfo(header=TraceHeader(**header), **rest)

    def series(self, name: str) -> pl.DataFrame:
        """Return the region, model and tier of every series that a trace has, in order."""
        query = f"SELECT DISTINCT region, model, tier FROM {_table(self._one(name))} ORDER BY ALL"
        return self._frame(query)

    def findings(self, name: str) -> pl.DataFrame:
        """Return what the ingest found about a trace (``FINDINGS``)."""
        columns = ", ".join(f'"{column}"' for column in FINDINGS.columns)
        query = f"SELECT {columns} FROM findings WHERE id = $id ORDER BY position"
        return FINDINGS.conform(self._frame(query, {"id": self._one(name)["id"]}))

    def rejected(self, name: str) -> pl.DataFrame:
        """Return the refused rows of a trace with file, line, reason and text (``REJECTED``)."""
        query = "SELECT source, line, reason, raw FROM rejected WHERE id = $id ORDER BY source, line"
        return REJECTED.conform(self._frame(query, {"id": self._one(name)["id"]}))

    @contextmanager
    def writing(self, header: TraceHeader, *, replace: bool = False) -> Iterator[Writing]:
        """Write one trace whole or not at all; an exception of any kind leaves the store as it was.

        Raises TraceError where another trace has the name and ``replace`` is not set, StoreError where the disk is
        full or the store was opened read-only.
        """
        if not replace and self.has(header.name):
            raise TraceError(
                f"the store already has a trace '{header.name}' with other content; choose another name, or replace it."
            )
        with self._transaction():
            if self.has(header.name):
                self._drop(header.name)
            (trace_id,) = self._row("SELECT nextval('trace_id')")
            writing = Writing(self, int(trace_id), header)
            layout = queries.REQUESTS_TABLE if header.kind == "requests" else queries.SERIES_TABLE
            self._run(layout.format(t=f"{header.kind}_{trace_id}"))
            yield writing
            writing._enter()

    def remove(self, name: str) -> None:
        """Remove a trace with its findings and refused rows."""
        with self._transaction():
            self._drop(name)

    def sum_by_window(
        self, name: str, *, window_s: float, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return requests and tokens summed per window, region, model and tier (``DEMAND``), by series and time.

        Requests: only windows with arrivals. Series: windows of a whole number of native ones; null where a part is
        unknown. Raises TraceError where a series cannot be summed to that length.
        """
        row = self._one(name)
        parameters: dict[str, Any] = {"window_us": _window_us(window_s)} | _span(since, until)
        if row["kind"] == "requests":
            return DEMAND.conform(self._frame(queries.SUM_REQUESTS.format(t=_table(row)), parameters))
        native_s = float(row["window_s"])
        parts = window_s / native_s
        if parts < 1 or parts != round(parts):
            raise TraceError(
                f"trace '{name}' is a series of windows of {native_s:g} s and cannot be summed to {window_s:g} s; "
                f"ask for a whole multiple of {native_s:g} s."
            )
        sums = self._frame(queries.SUM_SERIES.format(t=_table(row)), parameters | {"parts": round(parts)})
        return DEMAND.conform(sums.rename({"bucket": "window_start"}))

    def shape_by_hour(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return length moments and dispersion per hour, region, model and tier (``SHAPE``); empty for a series."""
        row = self._one(name)
        if row["kind"] != "requests":
            return SHAPE.empty()
        return SHAPE.conform(self._frame(queries.SHAPE.format(t=_table(row)), _span(since, until)))

    def token_quantiles(
        self, name: str, *, quantiles: tuple[float, ...], since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return quantiles of input_tokens and output_tokens per model and tier; one row per quantile.

        Raises TraceError for a series, which has no single requests.
        """
        parameters = _span(since, until) | {"quantiles": list(quantiles)}
        return self._frame(queries.QUANTILES.format(t=_table(self._requests_only(name))), parameters)

    def requests(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return the requests of a span [since, until) in order of arrival (``REQUESTS``).

        Raises TraceError for a series, which has no single requests.
        """
        query = queries.SCAN_REQUESTS.format(t=_table(self._requests_only(name)))
        return REQUESTS.conform(self._frame(query, _span(since, until)))

    def _requests_only(self, name: str) -> dict[str, Any]:
        row = self._one(name)
        if row["kind"] != "requests":
            raise TraceError(f"trace '{name}' is a series of sums and has no single requests; use its demand instead.")
        return row

    def _one(self, name: str) -> dict[str, Any]:
        rows = self._frame("SELECT * FROM catalogue WHERE name = $name", {"name": name}).to_dicts()
        if not rows:
            names = self.traces().get_column("name").to_list()
            raise TraceError(f"the store {self.path.name} has no trace '{name}': {nearest(name, names)}.")
        return rows[0]

    def _drop(self, name: str) -> None:
        row = self._one(name)
        self._run(f"DROP TABLE {_table(row)}")
        for table in ("findings", "rejected", "catalogue"):
            self._run(f"DELETE FROM {table} WHERE id = $id", {"id": row["id"]})

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            # after a full disk the connection is broken and rolls back when the file is opened again
            with suppress(Exception):
                self._connection.execute("ROLLBACK")
            raise

    def _run(self, query: str, parameters: Parameters | list[Any] | None = None) -> None:
        with _explained(self.path):
            self._connection.execute(query, parameters)

    def _row(self, query: str, parameters: Parameters | None = None) -> tuple[Any, ...]:
        with _explained(self.path):
            return tuple(self._connection.execute(query, parameters).fetchall()[0])

    def _frame(self, query: str, parameters: Parameters | None = None) -> pl.DataFrame:
        with _explained(self.path):
            return pl.DataFrame(pl.from_arrow(self._connection.sql(query, params=parameters).to_arrow_table()))

    def _insert(self, table: str, frame: pl.DataFrame) -> None:
        with _explained(self.path):
            self._connection.register("incoming", frame)
            self._connection.execute(f"INSERT INTO {table} SELECT * FROM incoming")
            self._connection.unregister("incoming")


def _table(row: Mapping[str, Any]) -> str:
    return f"{row['kind']}_{row['id']}"


def _span(since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    return {"since": since or ALWAYS[0], "until": until or ALWAYS[1]}


def _window_us(window_s: float) -> int:
    window_us = round(window_s * 1e6)
    if window_us < 1:
        raise TraceError(f"a window must be longer than zero, got {window_s:g} s.")
    return window_us


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise StoreError(explanation(file, str(error))) from error
    except RuntimeError as error:
        # an interrupt that arrives inside a query comes out as this
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise
