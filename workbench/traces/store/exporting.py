"""Traces out of a store into a lake and back: a trace that returns has the fingerprint and the answers it had.

A trace is written to a hidden folder, its list of files last, and then takes its name: a lake holds a trace whole or
not at all. Only files on disk are written; to a bucket the folder is copied with the storage's own tool, and the list
tells whether everything arrived.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path

from workbench.errors import StoreError
from workbench.traces.catalogue import TraceInfo
from workbench.traces.store.lake_layout import BESIDE, ROWS, SIDECAR, URI, folder_of, sidecar_of
from workbench.traces.store.mishaps import explanation
from workbench.traces.store.reading import Reading
from workbench.traces.store.writing import Store

Progress = Callable[[str, float], None]


def export_trace(
    store: Reading, name: str, folder: Path | str, *, replace: bool = False, progress: Progress | None = None
) -> Path:
    """Write a trace as Hive-partitioned Parquet below a folder and return the folder of the trace.

    One file per model and UTC day, in order of time, zstd; beside them the catalogue's row, the findings, the refused
    rows and the gaps. ``progress`` is called with what is written and the fraction done. Raises StoreError where the
    lake has a trace of that name and ``replace`` is not set, or where the folder cannot be written.
    """
    info = store.describe(name)
    if URI.match(str(folder)):
        raise StoreError(
            f"{folder} is no folder on this machine: export to a folder, then copy it there with the storage's own "
            "tool; what arrived is checked when it is opened."
        )
    target = Path(folder) / folder_of(trace=name)
    hidden = f".{target.name}."
    made, old = target.parent / f"{hidden}{os.getpid()}", target.parent / f"{hidden}old"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if old.exists() and not target.exists():
            old.rename(target)  # an export was killed between its last two steps
        if target.exists() and not replace:
            raise StoreError(f"{target} is there already; export to another folder, or replace it.")
        for left in target.parent.glob(f"{hidden}*"):
            shutil.rmtree(left)
        _write(store, info, made, progress)
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StoreError(explanation(target, str(error))) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _write(store: Reading, info: TraceInfo, folder: Path, progress: Progress | None) -> None:
    name, done = info.header.name, 0
    for model, day, rows in store.days(name).iter_rows():
        where = folder / folder_of(model=model, day=day.isoformat())
        where.mkdir(parents=True)
        since = datetime.combine(day, time())
        store.write_parquet(name, where / ROWS, model=model, since=since, until=since + timedelta(days=1))
        done += rows
        if progress is not None:
            progress(f"{model} {day}", done / info.rows)
    beside = {"findings": store.findings(name), "rejected": store.rejected(name), "gaps": store.gaps(name)}
    for what, frame in beside.items():
        frame.write_parquet(folder / BESIDE[what], compression="zstd")
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    (folder / SIDECAR).write_text(sidecar_of(info, store.series(name).rows(), sizes), encoding="utf-8")


def import_trace(
    lake: Reading,
    name: str,
    *,
    store: Store,
    rename: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> TraceInfo:
    """Copy a trace of a lake, or of another store, into a store under its name or another; return what is there then.

    The same content under the same name is left as it is. Rows are checked as those of any frame are. Raises TraceError
    where the name is taken by other content and ``replace`` is not set, TableError where a row is no request.
    """
    info = lake.describe(name)
    header = dataclasses.replace(info.header, name=rename or name)
    if store.has(header.name) and store.describe(header.name).header == header:
        return store.describe(header.name)
    with store.writing(header, replace=replace) as writing:
        done = 0
        for batch in lake.batches(name):
            writing.add(batch)
            done += batch.height
            if progress is not None:
                progress(name, done / info.rows)
        writing.rows_read, writing.rows_kept, writing.version = info.rows_read, info.rows_kept, info.version
        writing.find(lake.findings(name))
        writing.reject(lake.rejected(name))
        writing.mark_gaps(lake.gaps(name))
        if done != info.rows:
            raise StoreError(f"trace '{name}' should have {info.rows:,} rows, found {done:,}; nothing was imported.")
    return store.describe(header.name)
