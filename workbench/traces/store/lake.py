"""A lake: traces in Hive-partitioned Parquet, asked where they lie in the same words as a store, never written.

A trace that the workbench exported brings its catalogue's row, findings, refused rows and gaps; of one that another
program wrote, the header is made from the files. Days outside a span are not opened. On disk DuckDB reads the files;
elsewhere Arrow does.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import StoreError
from workbench.tables import DEMAND, REQUESTS, Table, window_s_of
from workbench.traces.catalogue import CATALOGUE, FINDINGS, GAPS, REJECTED, TraceHeader, TraceInfo
from workbench.traces.store import queries
from workbench.traces.store.database import Database
from workbench.traces.store.lake_layout import BESIDE, ROWS, SIDECAR, URI, LakeFile, read_sidecar
from workbench.traces.store.places import Place
from workbench.traces.store.reading import ALWAYS, LABELS, Reading

OPTIONAL = ("app", "tenant", "cached_tokens")


class Lake(Reading):
    """The traces below one folder or bucket, read in place."""

    def __init__(self, place: Place, database: Database) -> None:
        super().__init__(database)
        self._place = place
        self._rows: dict[int, list[LakeFile]] = {}
        self._beside: dict[int, str] = {}
        self._columns: dict[int, dict[str, str]] = {}
        self._numbered: set[int] = set()
        for trace_id, (name, files) in enumerate(sorted(_by_trace(place.files(), place.folder).items()), start=1):
            self._enter(trace_id, name, files)

    def findings(self, name: str) -> pl.DataFrame:
        """Return what the ingest found about a trace (``FINDINGS``); empty where another program wrote it."""
        return self._read_beside(name, "findings", FINDINGS)

    def rejected(self, name: str) -> pl.DataFrame:
        """Return the refused rows of a trace (``REJECTED``); empty where another program wrote it."""
        return self._read_beside(name, "rejected", REJECTED)

    def gaps(self, name: str) -> pl.DataFrame:
        """Return the unknown stretches of a trace (``GAPS``); empty where another program wrote it."""
        return self._read_beside(name, "gaps", GAPS)

    def _read_beside(self, name: str, what: str, table: Table) -> pl.DataFrame:
        folder = self._beside.get(self._one(name)["id"])
        if folder is None:
            return table.empty()
        found = self._place.frame(f"{folder}{BESIDE[what]}")
        # an older workbench did not write every column that may be empty
        absent = [key for key, column in table.columns.items() if column.nullable and key not in found.columns]
        return table.conform(found.with_columns(pl.lit(None).alias(key) for key in absent))

    def _enter(self, trace_id: int, name: str, files: list[LakeFile]) -> None:
        rows = [file for file in files if file.is_rows]
        sidecar = next((file.path for file in files if file.path.split("/")[-1] == SIDECAR), None)
        folder = f"{self._place.name}/{name}"
        if sidecar is None and any(file.path.endswith(f"/{ROWS}") for file in rows):
            raise StoreError(
                f"the lake {self._place.name} holds trace '{name}' without its {SIDECAR}: the copy is not whole; copy "
                "it again, or export the trace again."
            )
        if not rows:
            return
        self._rows[trace_id] = rows
        info = None if sidecar is None else self._read_sidecar(trace_id, sidecar, files, folder)
        self._columns[trace_id] = self._columns_of(rows[0], folder)
        info = info or self._made_up(trace_id, name)
        self._database.insert("catalogue", _row(trace_id, info))

    def _read_sidecar(self, trace_id: int, sidecar: str, files: list[LakeFile], folder: str) -> TraceInfo:
        above = sidecar.removesuffix(SIDECAR)
        others = [
            dataclasses.replace(file, path=file.path.removeprefix(above)) for file in files if file.path != sidecar
        ]
        info, series = read_sidecar(self._place.text(sidecar), others, folder=folder)
        self._beside[trace_id] = above
        if info.header.kind == "requests":
            self._number(trace_id, pl.DataFrame(series, schema=dict.fromkeys(LABELS, pl.String), orient="row"))
        return info

    def _columns_of(self, file: LakeFile, folder: str) -> dict[str, str]:
        """Return how each of our columns is read, as SQL; the kind of the trace follows from them."""
        schema = self._place.schema(file.path)
        zoned = {field.name for field in schema if getattr(field.type, "tz", None)}
        present = {*schema.names, *file.keys}
        table = REQUESTS if "arrived_at" in present else DEMAND
        missing = [name for name in table.columns if name not in present and name not in OPTIONAL]
        if missing:
            raise StoreError(
                f"the lake {folder} is not in our columns: {', '.join(missing)} missing, found "
                f"{', '.join(sorted(present))}. Rename the columns, or ingest the files with a mapping."
            )
        types = {pl.String(): "VARCHAR", pl.Int64(): "BIGINT", pl.Float64(): "DOUBLE", pl.Datetime("us"): "TIMESTAMP"}
        return {
            name: f"CAST({_value(name, name in zoned, name in present)} AS {types[column.dtype]}) AS {name}"
            for name, column in table.columns.items()
        }

    def _relations(self, row: Mapping[str, Any], since: datetime, until: datetime) -> dict[str, str]:
        trace_id, keys = row["id"], ", ".join(LABELS)
        relation = self._relation(trace_id, since, until)
        if row["kind"] != "requests":
            return {"t": relation, "rows": relation, "labels": ""}
        labels = f"labels_{trace_id}"
        if trace_id not in self._numbered:
            whole = self._relation(trace_id, *ALWAYS)
            self._number(trace_id, self._database.frame(f"SELECT DISTINCT {keys} FROM {whole}"))
        rows = f"(SELECT * EXCLUDE ({keys}) FROM {relation} JOIN {labels} USING ({keys}))"
        return {"t": relation, "rows": rows, "labels": labels}

    def _relation(self, trace_id: int, since: datetime, until: datetime) -> str:
        files = self._rows[trace_id]
        paths = [file.path for file in files if file.may_hold(since, until)] or [files[0].path]
        if self._place.is_local:
            scan = self._place.scan(paths)
        else:
            scan = f"lake_{trace_id}"
            self._database.register(scan, self._place.dataset(paths, sorted(files[0].keys)))
        return f"(SELECT {', '.join(self._columns[trace_id].values())} FROM {scan})"

    def _number(self, trace_id: int, series: pl.DataFrame) -> None:
        self._database.register(f"labels_{trace_id}", series.sort(LABELS).with_row_index("series"))
        self._numbered.add(trace_id)

    def _made_up(self, trace_id: int, name: str) -> TraceInfo:
        """Describe a trace of another program from its files; reads the column of the time once."""
        files, kind = self._rows[trace_id], "requests" if "arrived_at" in self._columns[trace_id] else "series"
        at = "arrived_at" if kind == "requests" else "window_start"
        relation = self._relation(trace_id, *ALWAYS)
        rows, first, last = self._database.row(f"SELECT count(*), min({at}), max({at}) FROM {relation}")
        if not rows:
            raise StoreError(f"the lake {self._place.name} holds trace '{name}' without rows; remove its folder.")
        window_s = None
        if kind == "series":
            window_s = window_s_of(self._database.frame(f"SELECT DISTINCT window_start FROM {relation} ORDER BY ALL"))
        digest = hashlib.blake2b(digest_size=16)
        for file in files:
            digest.update(f"{file.path}\x1f{file.size_bytes}\x1e".encode())
        header = TraceHeader(
            name=name,
            kind="requests" if kind == "requests" else "series",
            format="lake",
            source=f"{len(files):,} Parquet files of another program",
            fingerprint=digest.hexdigest(),
            window_s=window_s,
        )
        return TraceInfo(
            header=header,
            rows_read=rows,
            rows_kept=rows,
            rows=rows,
            rejected=0,
            first_at=first,
            last_at=last,
            version="",
        )


def open_lake(where: Path | str) -> Lake:
    """Open the traces in a folder or at a URI (``s3://bucket/folder``) to be read in place; use it in ``with``.

    A folder of ``trace=NAME`` folders, one of those, or any folder of Parquet files with our columns, which is then one
    trace called after the folder; labels may stand in the names of folders (``model=M``), and days are days in UTC.
    Credentials for a bucket come from the environment, options from the URI (``?region=...&endpoint_override=...``).
    Raises StoreError where it cannot be reached, holds no such files, or holds an export that is not whole.
    """
    place = Place(where)
    database = Database(Path(place.name), is_file=False)
    try:
        with database.transaction():
            database.run(queries.SCHEMA)
        lake = Lake(place, database)
        if lake.traces().is_empty():
            raise StoreError(f"there is no lake at {place.name}: no Parquet file lies there; check the address.")
    except BaseException:
        database.close()
        raise
    return lake


def is_lake(where: Path | str) -> bool:
    """Tell whether a lake is meant rather than a store: a URI, or a folder of Parquet files or ``KEY=VALUE``."""
    if URI.match(str(where)):
        return True
    folder = Path(where)
    return folder.is_dir() and any(item.suffix == ".parquet" or "=" in item.name for item in folder.iterdir())


def _by_trace(files: list[LakeFile], folder: str) -> dict[str, list[LakeFile]]:
    traces: dict[str, list[LakeFile]] = defaultdict(list)
    for file in files:
        if not any(part.startswith(".") for part in file.path.split("/")):
            traces[file.keys.get("trace", folder)].append(file)
    return traces


def _value(name: str, is_zoned: bool, is_present: bool) -> str:
    if not is_present:
        return "NULL"
    return f"timezone('UTC', {name})" if is_zoned else name


def _row(trace_id: int, info: TraceInfo) -> pl.DataFrame:
    values = vars(info.header) | {key: value for key, value in vars(info).items() if key != "header"}
    frame = CATALOGUE.conform(pl.DataFrame([values], schema_overrides={"window_s": pl.Float64}))
    return frame.select(pl.lit(trace_id, dtype=pl.Int32).alias("id"), *CATALOGUE.columns)
