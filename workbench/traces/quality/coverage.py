"""What a trace covers: series of different days in one trace, and measures that a series never states.

A study takes every series at every hour: what one of them lacks is run as unknown. So one whose days are not those of
the others, or that has no tokens at all, is told before a study fails over it or, worse, does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import polars as pl

from workbench.traces.measures import LENGTHS, MEASURES
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Load, Look
from workbench.traces.quality.tallying import SourceTally
from workbench.units import SECONDS_PER_HOUR

# ends apart by less than both are where traffic happens to begin or end
APART_AT_LEAST = timedelta(seconds=SECONDS_PER_HOUR)
APART_FRACTION = 0.05
SERIES_LISTED = 6
ADVICE_LENGTHS = "give {lengths} for it when ingesting again, or keep the other models (keep, --keep)"
ADVICE_REQUESTS = "leave it out when ingesting again: keep the other models (keep, --keep)"

Spans = Mapping[str, tuple[datetime, datetime]]


def different_spans(look: Look) -> list[Finding]:
    """Warn where the models and tiers of a series do not begin or end together, by their known windows.

    Requests are compared file by file (:func:`different_files`): a model without requests was not asked for anything.
    """
    load = look.load
    if load.is_complete:
        return []
    known = load.frame.filter(pl.any_horizontal(pl.col(MEASURES).is_not_null()))
    ends = known.group_by("model", "tier").agg(first=pl.col("window_start").min(), last=pl.col("window_start").max())
    several = ends.get_column("tier").n_unique() > 1
    step = timedelta(seconds=load.window_s)
    return _told(
        {
            f"{model} {tier}" if several else model: (first, last + step)
            for model, tier, first, last in ends.sort("model", "tier").iter_rows()
        }
    )


def different_files(tallies: Iterable[SourceTally]) -> list[Finding]:
    """Warn where files of requests cover different times, those with a model in common taken together."""
    groups: list[tuple[set[str], datetime, datetime]] = []
    for tally in tallies:
        if tally.first_at is None or tally.last_at is None:
            continue
        models, first, last = set(tally.models), tally.first_at, tally.last_at
        for other in [group for group in groups if group[0] & models]:
            groups.remove(other)
            models, first, last = models | other[0], min(first, other[1]), max(last, other[2])
        groups.append((models, first, last))
    return _told({", ".join(sorted(models)): (first, last) for models, first, last in groups})


def _told(spans: Spans) -> list[Finding]:
    if len(spans) < 2:
        return []
    firsts, lasts = zip(*spans.values(), strict=True)
    tolerated = max(APART_AT_LEAST, APART_FRACTION * (max(lasts) - min(firsts)))
    if max(max(firsts) - min(firsts), max(lasts) - min(lasts)) <= tolerated:
        return []
    said = [f"{name} {first:%Y-%m-%d %H:%M} until {last:%Y-%m-%d %H:%M}" for name, (first, last) in spans.items()]
    rest = f" and {len(said) - SERIES_LISTED:,} more" if len(said) > SERIES_LISTED else ""
    common = (
        f"all are there from {max(firsts):%Y-%m-%d %H:%M} until {min(lasts):%Y-%m-%d %H:%M} UTC only"
        if max(firsts) < min(lasts)
        else "at no time are all of them there"
    )
    detail = f"series cover different spans: {', '.join(said[:SERIES_LISTED])}{rest}; {common}"
    return [finding("spans differ", "trace", len(spans), detail)]


def never_known(look: Look) -> list[Finding]:
    """Find models and tiers of a series of which a measure is unknown in every window."""
    load = look.load
    if load.is_complete:
        return []
    return [row for measure in MEASURES for row in _never(load, measure)]


def _never(load: Load, measure: str) -> list[Finding]:
    counts = load.frame.group_by("model", "tier").agg(windows=pl.len(), known=pl.col(measure).count())
    length = LENGTHS.get(measure)
    option = f"{length} (--{measure.replace('_', '-')} LABEL=NUMBER)" if length else ""
    advice = ADVICE_LENGTHS.format(lengths=option) if length else ADVICE_REQUESTS
    return [
        finding(
            "never known",
            f"{model} {tier}",
            windows,
            f"{measure} of {model} is unknown in all {windows:,} windows; no demand can be made of it",
            advice=advice,
        )
        for model, tier, windows, known in counts.sort("model", "tier").iter_rows()
        if not known
    ]
