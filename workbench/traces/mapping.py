"""A mapping from the columns of any file to ours, read from a TOML file and checked as a whole.

    kind = "requests"              # or "series"

    [time]
    column = "created"
    unit = "ms"                    # iso, s, ms, us, ns, or "format:%d/%m/%Y %H:%M" for text in another order
    since = "epoch"                # numbers only: "epoch", "start" (an option) or an instant

    [columns]                      # ours = theirs; of JSON lines also "request.usage.prompt_tokens"
    input_tokens = "prompt_tokens"
    output_tokens = "completion_tokens"
    model = "deployment"

    [constants]                    # what holds for every row
    region = "us_east"

    [labels.model]                 # their label = our key
    "gpt-large" = "llama2_70b"

Every mistake in the file is told at once. The mapping, not the path of its file, is part of a trace's fingerprint.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from workbench.errors import TraceError, nearest, together
from workbench.traces.catalogue import Kind
from workbench.traces.measures import FORMS, LOADS, MEASURES, forms_of

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
ISO = "iso"
FORMAT = "format:"
# an instant whose every part differs, to try a format on
TRIED = datetime(2025, 7, 9, 13, 5, 58)
LABELS = ("model", "region", "tier")
SECTIONS = ("kind", "about", "time", "columns", "constants", "labels")
TIME_KEYS = ("column", "unit", "since")
EPOCH = datetime(1970, 1, 1)
REQUEST_NUMBERS = ("input_tokens", "output_tokens", "cached_tokens")


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """How a file's columns become ours; ``since`` is the instant that numbers count from (None: the start given).

    ``columns`` maps our names to the file's, ``constants`` our names to values, ``labels`` our label columns to
    mappings from the file's labels to our keys.
    """

    kind: Kind
    time_column: str
    unit: str = ISO
    since: datetime | None = None
    columns: Mapping[str, str]
    constants: Mapping[str, str | float] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    about: str = ""

    @property
    def form(self) -> str:
        """How instants are written, in the signs of strptime; empty where the unit is another."""
        return self.unit.removeprefix(FORMAT) if self.unit.startswith(FORMAT) else ""

    @property
    def needs_start(self) -> bool:
        """Tell whether the time is a number after a start that the file does not say."""
        return self.unit in UNITS_S and self.since is None

    @property
    def known(self) -> tuple[str, ...]:
        """Our names that the mapping gives, from columns or as constants."""
        return (*self.columns, *self.constants)


def targets_of(kind: str) -> tuple[str, ...]:
    """Return our names that a mapping of this kind can give."""
    return (*LABELS, "app", "tenant", *REQUEST_NUMBERS) if kind == "requests" else (*LABELS, *FORMS)


def load_mapping(path: Path) -> ColumnMapping:
    """Read a mapping from a TOML file.

    Raises TraceError that lists every unknown, missing or contradictory entry, or says that the file is no TOML.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TraceError(f"mapping {path}: no such file; check the path.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TraceError(f"mapping {path.name} cannot be read as TOML: {error}; correct it there.") from error
    findings = _findings(content)
    if findings:
        raise TraceError(f"mapping {path.name}: " + together(findings))
    time = content["time"]
    since = time.get("since")
    return ColumnMapping(
        kind=content["kind"],
        time_column=time["column"],
        unit=time["unit"],
        since=EPOCH if since == "epoch" else since if isinstance(since, datetime) else None,
        columns=content.get("columns", {}),
        constants=content.get("constants", {}),
        labels=content.get("labels", {}),
        about=content.get("about", ""),
    )


def _findings(content: Mapping[str, Any]) -> list[str]:
    findings = _unknown("section", content, SECTIONS)
    for name in ("time", "columns", "constants", "labels"):
        if not isinstance(content.get(name, {}), dict):
            return [*findings, f"{name} must be a section [{name}] with entries, found {content[name]!r}"]
    findings += _wrong_texts("", {"about": content.get("about", "")})
    if content.get("kind") not in get_args(Kind):
        found = content.get("kind")
        return [*findings, f"kind must be 'requests' or 'series', found {found!r}", *_time_findings(content)]
    findings += _time_findings(content)
    return findings + _target_findings(content) + _label_findings(content)


def _time_findings(content: Mapping[str, Any]) -> list[str]:
    time = content.get("time")
    if not time:
        return ["[time] is missing; it names the column of the time and its unit"]
    findings = _unknown("key in [time]", time, TIME_KEYS)
    if not isinstance(time.get("column"), str):
        findings.append("time.column must name the column of the time")
    unit, since = time.get("unit"), time.get("since")
    is_written = unit == ISO or (isinstance(unit, str) and unit.startswith(FORMAT))
    if not is_written and unit not in UNITS_S:
        wanted = "time.unit must be iso, s, ms, us or ns, or 'format:' with the order of day, month and so on"
        return [*findings, f"{wanted} (format:%d/%m/%Y %H:%M), found {unit!r}"]
    if is_written:
        findings += [] if unit == ISO else _format_findings(str(unit).removeprefix(FORMAT))
        return findings + (["time.since is for numbers; instants as text need none"] if since is not None else [])
    is_instant = isinstance(since, datetime) and since.tzinfo is None
    if since not in ("epoch", "start") and not is_instant:
        findings.append(
            "time.since must say what the numbers count from: 'epoch' (1970), 'start' (an option) or an instant in "
            f"UTC such as 2025-07-09T00:00:00, found {since!r}"
        )
    return findings


def _format_findings(form: str) -> list[str]:
    """Refuse a format that cannot be read or leaves the day open."""
    try:
        read = datetime.strptime(TRIED.strftime(form), form)
    except ValueError as error:
        return [f"time.unit has a format that cannot be read: {error}"]
    if read.date() != TRIED.date():
        return [f"time.unit has a format without day, month or year, found 'format:{form}'"]
    if read.hour and not read.minute:
        return [f"time.unit has a format with hours and no minutes (%M), found 'format:{form}'"]
    return []


def _target_findings(content: Mapping[str, Any]) -> list[str]:
    kind, columns, constants = content["kind"], content.get("columns", {}), content.get("constants", {})
    targets = targets_of(kind)
    findings = _unknown("name in [columns]", columns, targets) + _unknown("name in [constants]", constants, targets)
    findings += _wrong_texts("columns.", columns)
    findings += [f"{name} stands in [columns] and in [constants]; keep one" for name in columns if name in constants]
    for name, value in constants.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if name in (*FORMS, *REQUEST_NUMBERS) and not is_number:
            findings.append(f"constants.{name} must be a number of 0 or more, found {value!r}")
        elif name in (*LABELS, "app", "tenant") and not isinstance(value, str):
            findings.append(f"constants.{name} must be a text, found {value!r}")
    return findings + _missing(kind, {*columns, *constants})


def _missing(kind: str, known: set[str]) -> list[str]:
    if kind == "requests":
        return [f"{name} is missing in [columns]" for name in REQUEST_NUMBERS[:2] if name not in known]
    findings = [] if known & set(LOADS) else [f"no load in [columns]; give one of {', '.join(LOADS)}"]
    for measure in MEASURES:
        stated = [form for form in forms_of(measure) if form in known]
        if len(stated) > 1:
            findings.append(f"{' and '.join(stated)} state the same; keep one")
    return findings


def _label_findings(content: Mapping[str, Any]) -> list[str]:
    labels, columns = content.get("labels", {}), content.get("columns", {})
    allowed = [name for name in targets_of(content["kind"]) if name in (*LABELS, "app", "tenant")]
    findings = _unknown("section in [labels]", labels, allowed)
    for name, keys in labels.items():
        if not isinstance(keys, dict):
            findings.append(f"labels.{name} must be a section [labels.{name}] of label = key")
            continue
        if name in allowed and name not in columns:
            findings.append(f"labels.{name} needs {name} in [columns]")
        findings += _wrong_texts(f"labels.{name}.", keys)
    return findings


def _unknown(what: str, found: Iterable[str], known: Iterable[str]) -> list[str]:
    names = list(known)
    return [f"unknown {what} '{name}': {nearest(name, names)}" for name in found if name not in names]


def _wrong_texts(prefix: str, entries: Mapping[str, Any]) -> list[str]:
    wrong = {name: value for name, value in entries.items() if not isinstance(value, str)}
    return [f"{prefix}{name} must be a text, found {value!r}" for name, value in wrong.items()]
