"""Workloads as JSON files, so that a load can be shared where its trace cannot.

JSON and not TOML, because a fitted workload is mostly long lists of numbers that no person edits; numbers are written
in full, so a workload read back is the same value and makes the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.errors import TraceError
from workbench.traces.synthetic.lengths import LengthLaw
from workbench.traces.synthetic.rhythms import Burst, Noise, Rhythm, Spikes
from workbench.traces.synthetic.workloads import Part, Stream, Usage, Workload

LAYOUT = "workbench workload 1"


def save(workload: Workload, path: Path) -> None:
    """Write a workload to a JSON file; raises TraceError where the file cannot be written."""
    try:
        path.write_text(as_text(workload), encoding="utf-8")
    except OSError as error:
        raise TraceError(
            f"{path}: the workload cannot be written there ({error.strerror}); name another file."
        ) from error


def as_text(workload: Workload) -> str:
    """Return a workload as the text of its file; equal workloads give equal texts."""
    values = {"layout": LAYOUT, **dataclasses.asdict(workload)}
    return json.dumps(values, default=datetime.isoformat, ensure_ascii=False, separators=(",", ":")) + "\n"


def load(path: Path) -> Workload:
    """Read a workload from a file; raises TraceError where it is none, or of another layout."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TraceError(
            f"{path}: no workload can be read from it ({error}); name a file that was saved as one."
        ) from error
    if not isinstance(values, dict) or values.pop("layout", None) != LAYOUT:
        raise TraceError(f"{path} is no workload of this version ('{LAYOUT}'); save it again with this workbench.")
    try:
        return _workload(values)
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{path} is a damaged workload ({error}); save it again.") from error


def _workload(values: dict[str, Any]) -> Workload:
    return Workload(
        **values
        | {
            "start": datetime.fromisoformat(values["start"]),
            "anchor": datetime.fromisoformat(values["anchor"]),
            "streams": tuple(_stream(stream) for stream in values["streams"]),
            "usages": tuple(_usage(usage) for usage in values["usages"]),
            "bursts": tuple(Burst(**burst) for burst in values["bursts"]),
            "notes": tuple(values["notes"]),
        }
    )


def _stream(values: dict[str, Any]) -> Stream:
    rhythm = values["rhythm"]
    return Stream(
        **values
        | {
            "rhythm": Rhythm(period_s=rhythm["period_s"], relative=tuple(rhythm["relative"])),
            "noise": tuple(Noise(**noise) for noise in values["noise"]),
            "spikes": None if values["spikes"] is None else Spikes(**values["spikes"]),
        }
    )


def _usage(values: dict[str, Any]) -> Usage:
    lengths = values["lengths"]
    bands = {name: tuple(tuple(band) for band in lengths[name]) for name in ("output", "cached")}
    return Usage(
        **values
        | {
            "lengths": LengthLaw(**lengths | {"prompt": tuple(lengths["prompt"])} | bands),
            "apps": tuple(Part(**part) for part in values["apps"]),
            "tenants": tuple(Part(**part) for part in values["tenants"]),
        }
    )
