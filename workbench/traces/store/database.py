"""One open DuckDB connection: queries as frames, rows in, one transaction; the only module that imports DuckDB.

Everything that DuckDB or the disk can say is turned into one paragraph that tells what to do.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import StoreError
from workbench.traces.store.mishaps import explanation

if TYPE_CHECKING:
    import duckdb

# DuckDB must not fetch extensions on its own; it may hold this much and writes the rest beside the store, so that any
# number of rows passes on a small machine; rows have no order of their own, answers are always sorted
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GiB",
    "preserve_insertion_order": "false",
}
BATCH_ROWS = 250_000
Parameters = Mapping[str, Any]


class Database:
    """An open DuckDB database in ``path`` (in memory where ``is_file`` is not set), with its errors explained."""

    def __init__(self, path: Path, *, read_only: bool = False, is_file: bool = True) -> None:
        import duckdb

        self.path = path
        where = str(path) if is_file else ":memory:"
        # the same settings for all, as one process cannot open one file with two sets of them
        settings = SETTINGS | {"temp_directory": str(_spill_folder(path))}
        with explained(path):
            self._connection: duckdb.DuckDBPyConnection = duckdb.connect(where, read_only=read_only, config=settings)
        if is_file and not read_only:
            _sweep(path)

    def close(self) -> None:
        """Close the file, so that other processes can open it; closing twice is harmless."""
        with explained(self.path):
            self._connection.close()

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        with explained(self.path):
            names = self._connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {name for (name,) in names}

    def run(self, query: str, parameters: Parameters | list[Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        with explained(self.path):
            self._connection.execute(query, parameters)

    def row(self, query: str, parameters: Parameters | None = None) -> tuple[Any, ...]:
        """Return the first row of a query."""
        with explained(self.path):
            return tuple(self._connection.execute(query, parameters).fetchall()[0])

    def frame(self, query: str, parameters: Parameters | None = None) -> pl.DataFrame:
        """Return the rows of a query as a frame."""
        with explained(self.path):
            return pl.DataFrame(pl.from_arrow(self._connection.sql(query, params=parameters).to_arrow_table()))

    def batches(self, query: str, parameters: Parameters | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows of a query as frames, never all of them at once."""
        with explained(self.path):
            for batch in self._connection.sql(query, params=parameters).to_arrow_reader(BATCH_ROWS):
                yield pl.DataFrame(pl.from_arrow(batch))

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Add the rows of a frame to a table, column by column in order."""
        with explained(self.path):
            # a frame that is registered by name stays in memory until the transaction ends, this one does not
            self._connection.from_arrow(frame.to_arrow()).insert_into(table)

    def register(self, name: str, rows: Any) -> None:
        """Let queries read a frame or an Arrow data set under a name, in place of what had that name."""
        with explained(self.path):
            self._connection.register(name, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block as one transaction: all of it is kept, or none of it."""
        self.run("BEGIN")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # after a full disk the connection is broken and rolls back when the file is opened again
            with suppress(Exception):
                self._connection.execute("ROLLBACK")
            raise


def _spill_folder(path: Path) -> Path:
    """Return where this process may put what does not fit in memory: beside the store where one may write there."""
    beside = path.parent if os.access(path.parent, os.W_OK) else Path(tempfile.gettempdir())
    return beside / f"{path.name}.{os.getpid()}.tmp"


def _sweep(path: Path) -> None:
    """Remove what killed processes left beside a store; whoever may write to it is alone."""
    for left in path.parent.glob(f"{escape(path.name)}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what DuckDB or the disk says into a StoreError that tells what to do."""
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
