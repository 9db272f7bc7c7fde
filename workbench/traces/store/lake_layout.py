"""How a lake is laid out: folders by trace, model and day, Parquet files in them, and what lies beside the rows.

``trace=NAME/model=M/day=YYYY-MM-DD/rows.parquet`` is what any tool that knows Hive partitions reads. Files whose names
begin with ``_`` are left alone by such tools: ``_trace.json`` holds the catalogue's row and the size of every file, so
that a copy that is not whole is noticed; findings, refused rows and gaps are Parquet. It is written last.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, unquote

from workbench.errors import StoreError
from workbench.traces.catalogue import TraceHeader, TraceInfo

LAYOUT_VERSION = 1
SIDECAR = "_trace.json"
ROWS = "rows.parquet"
BESIDE = {"findings": "_findings.parquet", "rejected": "_rejected.parquet", "gaps": "_gaps.parquet"}
URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?!/)")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class LakeFile:
    """One file of a lake: path below the root, length, and the keys that the names of its folders hold."""

    path: str
    size_bytes: int
    keys: Mapping[str, str]

    @property
    def is_rows(self) -> bool:
        """Tell whether it holds rows; a name that begins with ``_`` or a dot, or lies below one, does not."""
        parts = self.path.split("/")
        return parts[-1].endswith(".parquet") and not any(part.startswith(("_", ".")) for part in parts)

    def may_hold(self, since: datetime, until: datetime) -> bool:
        """Tell whether rows of [since, until) can be in it, by its day; a file without a day can hold any."""
        day = self.keys.get("day", "")
        return not DAY.fullmatch(day) or since.date() <= date.fromisoformat(day) <= until.date()


def keys_of(path: str) -> dict[str, str]:
    """Return the keys that the folders of a path name, as in ``model=a/day=2025-07-09``."""
    pairs = (part.partition("=") for part in path.split("/")[:-1])
    return {key: unquote(value) for key, sign, value in pairs if sign}


def folder_of(**keys: str) -> str:
    """Return the folders that name some keys, in the order given."""
    return "/".join(f"{key}={quote(value, safe='')}" for key, value in keys.items())


def sidecar_of(info: TraceInfo, series: list[tuple[str, str, str]], sizes: Mapping[str, int]) -> str:
    """Return the text of ``_trace.json``."""
    row = dataclasses.asdict(info)
    content = {"layout": LAYOUT_VERSION, "trace": row, "series": series, "size_bytes": dict(sorted(sizes.items()))}
    return json.dumps(content, indent=1, default=str, ensure_ascii=False) + "\n"


def read_sidecar(text: str, files: list[LakeFile], *, folder: str) -> tuple[TraceInfo, list[tuple[str, str, str]]]:
    """Return what ``_trace.json`` says of a trace and its series after checking that every file is there in its length.

    Raises StoreError where the trace is not whole, or was written by a newer workbench.
    """
    try:
        content = json.loads(text)
        layout, listed = int(content["layout"]), dict(content["size_bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder}/{SIDECAR} cannot be read ({error!r}); export the trace again.") from error
    if layout > LAYOUT_VERSION:
        raise StoreError(
            f"the lake {folder} has layout version {layout}, this workbench reads version {LAYOUT_VERSION}; use the "
            "workbench that wrote it."
        )
    _refuse_partial(listed, {file.path: file.size_bytes for file in files}, folder)
    return _info(content["trace"]), [tuple(row) for row in content["series"]]


def _refuse_partial(listed: Mapping[str, int], found: Mapping[str, int], folder: str) -> None:
    faults = {
        "missing": [path for path in listed if path not in found],
        "of another length": [path for path in listed if path in found and found[path] != listed[path]],
        "not listed": [path for path in found if path not in listed],
    }
    said = [f"{len(paths):,} {what} (first {min(paths)})" for what, paths in faults.items() if paths]
    if said:
        raise StoreError(
            f"the lake {folder} is not whole: of {len(listed):,} files {', '.join(said)}; copy it again, or export the "
            "trace again with replace."
        )


def _info(row: dict[str, Any]) -> TraceInfo:
    instants = {key: datetime.fromisoformat(row[key]) for key in ("first_at", "last_at")}
    return TraceInfo(**row | instants | {"header": TraceHeader(**row["header"])})
