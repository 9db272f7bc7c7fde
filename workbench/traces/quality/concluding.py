"""What an ingest writes down at its end: what was counted, published, made and assumed, and what the checks found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from workbench.traces.options import EVERY_LABEL, Source, TraceOptions
from workbench.traces.quality.findings import Finding, as_frame, finding
from workbench.traces.quality.looking import Looked, look_at_requests
from workbench.traces.quality.published import published_findings
from workbench.traces.quality.rowcaps import round_totals
from workbench.traces.quality.tallying import SourceTally
from workbench.traces.readers.formats import Detected
from workbench.traces.spreading import shares_in_words, shifts_of
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
    return counted + _notes(found)


def _notes(found: Sequence[tuple[Source, Detected]]) -> list[Finding]:
    notes = []
    for source, detected in found:
        notes += [finding("about the format", source.path.name, None, note) for note in detected.format.notes]
        if source.options.region_split:
            parts = shares_in_words(source.options.region_split)
            notes.append(finding("regions are made", source.path.name, None, f"the source has none; spread as {parts}"))
        for label, shares in source.options.tier_split.items():
            parts = ", ".join(f"{part.key} {part.share:.1%}" for part in shares)
            which = "every row" if label == EVERY_LABEL else f"'{label}'"
            notes.append(finding("tiers are made", source.path.name, None, f"{which} at random spread as {parts}"))
    return notes


def cut_finding(dropped: int | None, what: str, first: datetime, last: datetime) -> Finding:
    """Say which span was kept because regions are shifted, and how much lay outside of it where that is known."""
    how_many = f"; {dropped:,} {what} outside of it were dropped" if dropped is not None else ""
    detail = (
        f"regions are shifted in time, so only the span that all of them cover is kept: {first} to {last}{how_many}"
    )
    return finding("cut to the common span", "trace", dropped, detail)
