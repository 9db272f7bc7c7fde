"""Frames that are made once and kept: what they depend on names them, the code that made them included.

Summing twenty million requests by the minute takes longer than simulating a week of them, and studies of the same trace
ask for the same sums again and again. What is foreseen (:mod:`.foreseeing`) is named and written in the same way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from workbench import features, traces
from workbench.tables import Table


def remembered(
    folder: Path, kind: str, facts: Mapping[str, Any], make: Callable[[], pl.DataFrame], *, table: Table
) -> pl.DataFrame:
    """Return a frame of a table, read from ``folder`` where it was made before from the same facts, else made and kept.

    ``facts`` are everything it depends on but the code of traces and features, which is added.
    """
    file = folder / f"{kind}-{digest_of(facts, traces, features)}.parquet"
    if file.exists():
        return table.conform(pl.read_parquet(file))
    frame = make()
    write_whole(frame, file)
    return frame


def write_whole(frame: pl.DataFrame, file: Path) -> None:
    """Write a frame under a temporary name, and rename it when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    frame.write_parquet(draft, compression="zstd")
    draft.rename(file)


def digest_of(facts: Mapping[str, Any], *packages: ModuleType, data: bytes = b"") -> str:
    """Return a name for what depends on facts, the code of packages and data; it is another one if any of them is."""
    made = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=8)
    for package in packages:
        for source in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            made.update(source.read_bytes())
    made.update(data)
    return made.hexdigest()
