"""Every format that can be read, in one visible tuple, and how a file is recognised by its columns.

The first format whose columns are all present wins, so the more particular stand first. Another format is one module
and one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import TraceError, nearest
from workbench.traces.options import TraceOptions
from workbench.traces.readers import azure_llm, requests, sageserve_week, series, servegen_10min
from workbench.traces.readers.batches import Format
from workbench.traces.readers.files import columns_of

FORMATS: tuple[Format, ...] = (
    azure_llm.FORMAT,
    sageserve_week.FORMAT,
    servegen_10min.FORMAT,
    requests.FORMAT,
    series.FORMAT,
)


# the options that answer what a format can lack, where it is not the one of the same name
ANSWERS = {"region": ("region", "region_split"), "tier": ("tier", "tier_split")}


@dataclass(frozen=True, kw_only=True)
class Detected:
    """What a file was taken for: the format, the columns found, and the options that must be given for it."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    lacks: tuple[str, ...]


def detect(path: Path, *, format: str = "auto") -> Detected:
    """Say what a file is, by its columns or as the format named.

    Raises TraceError where the file cannot be read, no format knows its columns, or it lacks columns of the one named.
    """
    columns = columns_of(path)
    chosen = _by_columns(path, columns) if format == "auto" else _by_key(path, columns, format)
    return Detected(path=path, format=chosen, columns=columns, lacks=chosen.lacks(columns))


def unanswered(detected: Detected, options: TraceOptions) -> list[str]:
    """Say what a file does not hold and the options do not give, or give although the file holds it."""
    missing = [
        " or ".join(answers)
        for lacking in detected.lacks
        for answers in [ANSWERS.get(lacking, (lacking,))]
        if not any(getattr(options, answer) for answer in answers)
    ]
    findings = [f"{detected.path.name} ({detected.format.key}) needs {', '.join(missing)}"] if missing else []
    if options.region_split and "region" not in detected.lacks:
        findings.append(f"{detected.path.name} has regions of its own; leave region_split out")
    return findings


def _by_columns(path: Path, columns: tuple[str, ...]) -> Format:
    for known in FORMATS:
        if set(known.columns) <= set(columns):
            return known
    known_text = "; ".join(f"{known.key} needs {', '.join(known.columns)}" for known in FORMATS)
    raise TraceError(
        f"{path.name}: no known format has its columns. Found {_short(columns)}. Known: {known_text}. "
        "Rename the columns to one of these, or name the format to see what it lacks."
    )


def _by_key(path: Path, columns: tuple[str, ...], key: str) -> Format:
    chosen = next((known for known in FORMATS if known.key == key), None)
    if chosen is None:
        raise TraceError(f"unknown trace format '{key}': {nearest(key, [known.key for known in FORMATS])}.")
    missing = [name for name in chosen.columns if name not in columns]
    if missing:
        raise TraceError(
            f"{path.name} is no {chosen.key} file: column(s) {', '.join(missing)} are missing; found "
            f"{_short(columns)}. Leave the format out to have it recognised."
        )
    return chosen


def _short(columns: tuple[str, ...]) -> str:
    listed = ", ".join(name[:40] for name in columns[:20])
    return f"{listed} and {len(columns) - 20} more" if len(columns) > 20 else listed
