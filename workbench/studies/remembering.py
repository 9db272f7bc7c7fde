"""Frames that are read from a trace once and kept: what they depend on names them, the code that made them included.

Summing twenty million requests by the minute takes longer than simulating a week of them, and studies of the same trace
ask for the same sums again and again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
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
    file = folder / f"{kind}-{_digest(facts)}.parquet"
    if file.exists():
        return table.conform(pl.read_parquet(file))
    frame = make()
    folder.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    frame.write_parquet(draft, compression="zstd")
    draft.rename(file)
    return frame


def _digest(facts: Mapping[str, Any]) -> str:
    made = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=8)
    for package in (traces, features):
        for source in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            made.update(source.read_bytes())
    return made.hexdigest()
