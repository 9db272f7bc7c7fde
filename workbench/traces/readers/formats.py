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
        mapped.refuse_unknown_columns(path, mapping, head)
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
    """Say what a file does not hold and the options do not give."""
    missing = [
        " or ".join(answers)
        for lacking in detected.lacks
        for answers in [ANSWERS.get(lacking, (lacking,))]
        if not any(getattr(options, answer) for answer in answers)
    ]
    return [f"{detected.path.name} ({detected.format.key}) needs {', '.join(missing)}"] if missing else []


def unheeded(detected: Detected, options: TraceOptions) -> list[str]:
    """Say what the options give although the file holds it, or although its format makes no use of it."""
    findings = []
    if options.region_split and "region" not in detected.lacks:
        findings.append(f"{detected.path.name} has regions of its own; leave region_split out")
    return findings + [
        f"{detected.path.name} ({detected.format.key}) makes no use of {name}; {_instead(detected, name)}"
        for name in HEEDED_BY_SOME
        if getattr(options, name) is not None and name not in detected.format.takes
    ]


def _instead(detected: Detected, option: str) -> str:
    """Say what to do about an option without use: another format of the same columns may heed it."""
    heeding = [
        known.key
        for known in FORMATS
        if option in known.takes and known.columns == detected.format.columns and known.parts(detected.path)
    ]
    other = f", or read it as {heeding[0]}, which does (on the command line --format {heeding[0]})" if heeding else ""
    return f"leave it out{other}"


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
    raise TraceError(
        f"{path.name}: no known format has its columns. {_nearest(columns)} Found {_short(columns)}. Map its columns "
        "to ours with a mapping file (on the command line --mapping; data/mappings has examples), or rename them. "
        f"Known: {', '.join(known.key for known in FORMATS)}."
    )


def _nearest(columns: tuple[str, ...]) -> str:
    """Say which format shares most of its columns, letters large or small, and what is missing to be of it."""
    lower = tuple(name.lower() for name in columns)
    shared = {known: _shared_fraction(known, lower) for known in FORMATS}
    best = max(FORMATS, key=lambda known: shared[known])
    if not shared[best]:
        return "None has one of them."
    missing = best.missing(columns)
    if not missing:
        return f"It has those of {best.key} but is written in another way ({best.label})."
    return f"The nearest is {best.key} ({best.label}): it lacks {', '.join(missing)}."


def _shared_fraction(known: Format, lower: tuple[str, ...]) -> float:
    groups = [(name,) for name in known.columns] + list(known.alternatives)
    return sum(any(name.lower() in lower for name in group) for group in groups) / len(groups)


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
