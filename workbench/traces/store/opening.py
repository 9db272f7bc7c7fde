"""Opening a trace store: one DuckDB file, made when it is new, refused when it is something else or newer."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import StoreError
from workbench.traces.store import queries
from workbench.traces.store.database import Database, explained
from workbench.traces.store.writing import Store


def open_store(path: Path | str, *, read_only: bool = False) -> Store:
    """Open the trace store in a file, or make a new one there; use it in a ``with`` block, which closes it.

    Raises StoreError where the folder cannot be written, another process has the store open, the file is no trace
    store or was made by a newer workbench, or a read-only store does not exist yet.
    """
    file = Path(path)
    if read_only and not file.exists():
        raise StoreError(f"there is no trace store at {file} yet; ingest a trace first, or check the path.")
    if not read_only:
        with explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
    database = Database(file, read_only=read_only)
    try:
        _check_version(database, read_only=read_only)
    except BaseException:
        database.close()
        raise
    return Store(database)


def _check_version(database: Database, *, read_only: bool) -> None:
    found = database.tables()
    if not found and not read_only:
        with database.transaction():
            database.run(queries.SCHEMA)
        return
    if "store_version" not in found:
        raise StoreError(f"{database.path} is a DuckDB file but no trace store; choose another path for the store.")
    (version,) = database.row("SELECT version FROM store_version")
    if version != queries.STORE_VERSION:
        raise StoreError(
            f"the trace store {database.path} has layout version {version}, this workbench reads version "
            f"{queries.STORE_VERSION}; use the workbench that made it, or ingest into a new file."
        )
