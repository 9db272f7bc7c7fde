"""What an ingest writes down at its end: what was counted, published, made and assumed, and what the checks found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import polars as pl

from workbench.traces.options import EVERY_LABEL, Source, TraceOptions
from workbench.traces.quality.assuming import read_as_asked
from workbench.traces.quality.coverage import different_files
from workbench.traces.quality.findings import Finding, as_frame, finding
from workbench.traces.quality.looking import Looked, look_at_requests
from workbench.traces.quality.published import published_findings
from workbench.traces.quality.rowcaps import round_totals
from workbench.traces.quality.tallying import SourceTally
from workbench.traces.readers.formats import Detected
from workbench.traces.spreading import keys_by_label, shares_in_words, shifts_of
from workbench.traces.store import Writing


def look_at_written(writing: Writing, options: Iterable[TraceOptions]) -> Looked:
    """Look at the requests that an ingest has written, in the time of their source; ``options`` say what was made."""
    listed = list(options)
    _, first, last = writing.span()
    assert first is not None
    assert last is not None
    return look_at_requests(
        writing.look,
        span_s=(last - first).total_seconds(),
        shifts=shifts_of(part for given in listed for part in given.region_split),
        made_tiers=any(given.tier_split for given in listed),
        is_made=writing.header.is_made,
    )


def conclude(writing: Writing, counted: list[Finding], *looked: Looked) -> None:
    """Write down the findings, the worst first, and mark the holes among them as gaps."""
    findings = [row for each in looked for row in each.findings]
    writing.find(as_frame(counted + findings))
    gaps = pl.concat([each.gaps for each in looked])
    if gaps.height:
        writing.mark_gaps(gaps)


def source_findings(found: Sequence[tuple[Source, Detected]], tallies: Sequence[SourceTally]) -> list[Finding]:
    """Return what was counted while reading, what the publisher says otherwise, and what was made or assumed."""
    counted = [row for tally in tallies for row in tally.findings()]
    for (source, _), tally in zip(found, tallies, strict=True):
        counted += published_findings(source.path, tally)
    counted += round_totals({tally.source: tally.read for tally in tallies})
    counted += _without_effect(found, tallies)
    if found[0][1].format.kind == "requests":
        counted += different_files(tallies)
    return counted + _format_notes(found) + _made(found) + read_as_asked(found)


def _without_effect(found: Sequence[tuple[Source, Detected]], tallies: Sequence[SourceTally]) -> list[Finding]:
    """Find names in options that no file read with them has: most are misspelt."""
    alike: dict[str, tuple[TraceOptions, dict[str, set[str]]]] = {}
    for (source, _), tally in zip(found, tallies, strict=True):
        _, labels = alike.setdefault(source.options.canonical(), (source.options, {}))
        for name, seen in tally.labels.items():
            labels[name] = labels.get(name, set()) | seen
    return [
        finding("option without effect", option, None, f"names {', '.join(idle)}; the source has {', '.join(there)}")
        for options, labels in alike.values()
        for option, idle, there in _idle_names(options, labels)
        if idle
    ]


def _idle_names(options: TraceOptions, labels: Mapping[str, set[str]]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield per option the names in it that are no label, and the labels there are."""
    kept = labels["model"] & set(options.keep) if options.keep else labels["model"]
    yield "keep", [name for name in options.keep if name not in labels["model"]], sorted(labels["model"])
    mappings = (("region", options.region), ("model", options.model), ("tier", options.tier))
    for column, keys in mappings:
        seen = kept if column == "model" else labels[column]
        if isinstance(keys, Mapping):
            named = [name for name in keys if name != EVERY_LABEL]
            yield column, [name for name in named if not seen & set(keys_by_label({name: ""}))], sorted(seen)
    tiers = {options.tier} if isinstance(options.tier, str) else labels["tier"]
    if isinstance(options.tier, Mapping):
        keys = keys_by_label(options.tier)
        tiers = {keys.get(label, keys.get(EVERY_LABEL, label)) for label in tiers} | tiers
    yield "tier_split", [name for name in options.tier_split if name not in {*tiers, EVERY_LABEL}], sorted(tiers)


def _format_notes(found: Sequence[tuple[Source, Detected]]) -> list[Finding]:
    """Return what holds for every file of a format, once for all files of the trace."""
    files: dict[str, list[str]] = {}
    for source, detected in found:
        for note in detected.format.notes:
            files.setdefault(note, []).append(source.path.name)
    return [
        finding("about the format", names[0] if len(names) == 1 else "trace", None, note)
        for note, names in files.items()
    ]


def _made(found: Sequence[tuple[Source, Detected]]) -> list[Finding]:
    notes = []
    for source, detected in found:
        if source.options.region_split:
            parts = shares_in_words(source.options.region_split)
            notes.append(finding("regions are made", source.path.name, None, f"the source has none; spread as {parts}"))
        for label, shares in source.options.tier_split.items():
            parts = ", ".join(f"{part.key} {part.share:.1%}" for part in shares)
            which = "every row" if label == EVERY_LABEL else f"'{label}'"
            how = "each request at random" if detected.format.kind == "requests" else "in every window"
            notes.append(finding("tiers are made", source.path.name, None, f"{which} spread as {parts}, {how}"))
    return notes


def cut_finding(dropped: int | None, what: str, first: datetime, last: datetime) -> Finding:
    """Say which span was kept because regions are shifted, and how much lay outside of it where that is known."""
    how_many = f"; {dropped:,} {what} outside of it were dropped" if dropped is not None else ""
    detail = (
        f"regions are shifted in time, so only the span that all of them cover is kept: {first} to {last}{how_many}"
    )
    return finding("cut to the common span", "trace", dropped, detail)
