"""One open DuckDB connection: queries as frames, rows in, one transaction; the only module that imports DuckDB.

Everything that DuckDB or the disk can say is turned into one paragraph that tells what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.errors import StoreError
from workbench.traces.store.mishaps import explanation

if TYPE_CHECKING:
    import duckdb

# DuckDB must not fetch extensions on its own; the same settings everywhere, as one process cannot mix them
SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
Parameters = Mapping[str, Any]


class Database:
    """An open DuckDB database in ``path``, with its errors explained."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        import duckdb

        self.path = path
        with explained(path):
            self._connection: duckdb.DuckDBPyConnection = duckdb.connect(
                str(path), read_only=read_only, config=dict(SETTINGS)
            )

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

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Add the rows of a frame to a table, column by column in order."""
        with explained(self.path):
            self._connection.register("incoming", frame)
            self._connection.execute(f"INSERT INTO {table} SELECT * FROM incoming")
            self._connection.unregister("incoming")

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
