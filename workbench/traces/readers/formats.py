"""Every format that can be read, in one visible tuple, and how a file is recognised by its columns.

The first format whose columns are all present wins, so the more particular stand first. Another format is one module
and one entry here. A mapping given with the options describes a format of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import TraceError, nearest
from workbench.traces.options import TraceOptions
from workbench.traces.readers import (
    azure_llm,
    azure_lmm,
    burstgpt,
    mapped,
    mooncake,
    requests,
    sageserve_requests,
    sageserve_week,
    series,
    servegen_10min,
    servegen_clients,
    servegen_requests,
    spans,
)
from workbench.traces.readers.batches import Format
from workbench.traces.readers.heads import head_of

AUTO = "auto"
FORMATS: tuple[Format, ...] = (
    azure_lmm.FORMAT,
    azure_llm.FORMAT,
    burstgpt.FORMAT,
    mooncake.FORMAT,
    sageserve_requests.FORMAT,
    sageserve_week.FORMAT,
    servegen_10min.FORMAT,
    servegen_clients.FORMAT,
    # the same files as the one before: taken where it is named
    servegen_requests.FORMAT,
    requests.FORMAT,
    series.FORMAT,
    spans.FORMAT,
)


# the options that answer what a format can lack, where it is not the one of the same name
ANSWERS = {"region": ("region", "region_split"), "tier": ("tier", "tier_split")}
HEEDED_BY_SOME = tuple(sorted({name for known in FORMATS for name in known.takes}))


@dataclass(frozen=True, kw_only=True)
class Detected:
    """What a file was taken for: the format, the columns found, and the options that must be given for it.

    ``parts`` are all files that are read for the path, ``layout`` is how it is written, in words.
    """

    path: Path
    format: Format
    columns: tuple[str, ...]
    lacks: tuple[str, ...]
    parts: tuple[Path, ...] = ()
    layout: str = ""

    @property
    def words(self) -> str:
        """What the file was taken for, such as ``BurstGPT requests (CSV, gzip)``."""
        return f"{self.format.label} ({self.layout})"


def detect(path: Path, *, format: str = AUTO, options: TraceOptions | None = None) -> Detected:
    """Say what a file (or the folder of a source that is one) is, by its columns, as the format named or as mapped.

    Raises TraceError where the file cannot be read, no format knows its columns, or it lacks columns of the one named
    or of the mapping in the options.
    """
    if path.is_dir():
        return _detect_folder(path, format)
    head = head_of(path)
    mapping = options.mapping if options else None
    if mapping is not None:
        if format not in (AUTO, mapped.KEY):
            raise TraceError(f"{path.name}: a mapping and the format '{format}' exclude each other; leave one out.")
        mapped.refuse_unknown_columns(path, mapping, head.columns)
        chosen = mapped.format_of(mapping)
    else:
        chosen = _by_columns(path, head.columns) if format == AUTO else _by_key(path, head.columns, format)
    return Detected(
        path=path,
        format=chosen,
        columns=head.columns,
        lacks=chosen.lacks((*head.columns, *chosen.inner_names(path))),
        parts=chosen.parts(path),
        layout=head.words,
    )


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
    findings += [
        f"{detected.path.name} ({detected.format.key}) makes no use of {name}; leave it out"
        for name in HEEDED_BY_SOME
        if getattr(options, name) is not None and name not in detected.format.takes
    ]
    return findings


def _detect_folder(path: Path, key: str) -> Detected:
    known = FORMATS if key == AUTO else (_named(key),)
    for candidate in known:
        parts = candidate.parts(path)
        if parts:
            return Detected(
                path=path,
                format=candidate,
                columns=candidate.columns,
                lacks=candidate.lacks(candidate.columns),
                parts=parts,
                layout=f"folder of {len(parts)} files",
            )
    raise TraceError(f"{path} is a folder; name the file or files to ingest. Only a folder of ServeGen is read whole.")


def _by_columns(path: Path, columns: tuple[str, ...]) -> Format:
    for known in FORMATS:
        if not known.missing(columns) and known.parts(path):
            return known
    known_text = "; ".join(f"{known.key} needs {known.needs}" for known in FORMATS)
    raise TraceError(
        f"{path.name}: no known format has its columns. Found {_short(columns)}. Known: {known_text}. "
        "Map its columns to ours with a mapping file, rename them, or name the format to see what it lacks."
    )


def _by_key(path: Path, columns: tuple[str, ...], key: str) -> Format:
    chosen = _named(key)
    missing = chosen.missing(columns)
    if missing:
        raise TraceError(
            f"{path.name} is no {chosen.key} file: column(s) {', '.join(missing)} are missing; found "
            f"{_short(columns)}. Leave the format out to have it recognised."
        )
    if not chosen.parts(path):
        raise TraceError(f"{path.name} is no {chosen.key} file: it is written in another way; leave the format out.")
    return chosen


def _named(key: str) -> Format:
    if key == mapped.KEY:
        raise TraceError(f"the format '{mapped.KEY}' needs a mapping file; give one (on the command line --mapping).")
    chosen = next((known for known in FORMATS if known.key == key), None)
    if chosen is None:
        raise TraceError(f"unknown trace format '{key}': {nearest(key, [known.key for known in FORMATS])}.")
    return chosen


def _short(columns: tuple[str, ...]) -> str:
    listed = ", ".join(name[:40] for name in columns[:20])
    return f"{listed} and {len(columns) - 20} more" if len(columns) > 20 else listed
