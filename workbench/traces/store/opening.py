"""Opening a trace store: one DuckDB file, made when it is new, refused when it is something else or newer.

A lake opens in the same words where it is only to be read. A store of an older layout is brought to this one by the
first that opens it for writing, whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

from workbench.errors import StoreError
from workbench.traces.store import queries
from workbench.traces.store.database import Database, explained
from workbench.traces.store.lake import is_lake, open_lake
from workbench.traces.store.reading import Reading
from workbench.traces.store.upgrading import OLDEST_VERSION, upgrade
from workbench.traces.store.writing import Store


@overload
def open_store(path: Path | str, *, read_only: Literal[False] = False) -> Store: ...
@overload
def open_store(path: Path | str, *, read_only: bool) -> Reading: ...
def open_store(path: Path | str, *, read_only: bool = False) -> Reading:
    """Open the trace store in a file, or make a new one there; use it in a ``with`` block, which closes it.

    Read-only it opens a lake as well: a folder of Parquet files, or a URI such as ``s3://bucket/folder``. Raises
    StoreError where the folder cannot be written, another process has the store open, the file is no trace store or was
    made by a newer workbench, a read-only store does not exist yet, or a lake is to be written to.
    """
    if is_lake(path):
        if read_only:
            return open_lake(path)
        raise StoreError(
            f"{path} is a lake of Parquet files, which is only read; name a store file, and bring the lake's traces "
            "into it with workbench traces import."
        )
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
    if version > queries.STORE_VERSION:
        raise StoreError(
            f"the trace store {database.path} has layout version {version}, this workbench reads version "
            f"{queries.STORE_VERSION}; use the workbench that made it, or ingest into a new file."
        )
    if version == queries.STORE_VERSION:
        return
    if version < OLDEST_VERSION or read_only:
        raise StoreError(
            f"the trace store {database.path} has layout version {version}, this workbench reads version "
            f"{queries.STORE_VERSION}; bring it up to date once with workbench traces upgrade."
        )
    upgrade(database)
