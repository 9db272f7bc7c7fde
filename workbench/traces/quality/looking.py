"""The whole report: every check in a visible tuple, run over requests in the store or over a series in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from workbench.tables import NUMBER
from workbench.traces.measures import MEASURES
from workbench.traces.quality.changes import endings, shifts
from workbench.traces.quality.coverage import different_spans, never_known
from workbench.traces.quality.findings import Finding
from workbench.traces.quality.labels import dominant_tenants
from workbench.traces.quality.lengths import cuts, empty_sums, odd_lengths
from workbench.traces.quality.levels import Load, Look, load_of_series, window_for
from workbench.traces.quality.repeats import repeats
from workbench.traces.quality.rowcaps import choppy_series, equal_counts
from workbench.traces.quality.silences import clock_findings, gaps_of, hole_findings, silent_findings
from workbench.traces.quality.stamps import resolution, span, strays
from workbench.traces.quality.unknown_windows import unknown_windows
from workbench.traces.store import quality_queries

Check = Callable[[Look], list[Finding]]
# a query of the store with its parameters on the rows of one trace, such as ``Writing.look``
AskRows = Callable[[str, Mapping[str, Any]], pl.DataFrame]

REMEMBERED_ROWS = 10_000

CHECKS: tuple[Check, ...] = (
    span,
    resolution,
    strays,
    clock_findings,
    equal_counts,
    choppy_series,
    hole_findings,
    different_spans,
    never_known,
    unknown_windows,
    silent_findings,
    endings,
    shifts,
    cuts,
    odd_lengths,
    empty_sums,
    repeats,
    dominant_tenants,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """What the checks found, and the holes among it as gaps to mark (``GAPS``)."""

    findings: list[Finding]
    gaps: pl.DataFrame


def look_at_requests(
    ask_rows: AskRows,
    *,
    span_s: float,
    shifts: Mapping[str, timedelta] | None = None,
    made_tiers: bool = False,
    is_made: bool = False,
) -> Looked:
    """Look at the requests of one trace in the store, without bringing them into memory.

    ``span_s`` is the time between the first and the last of them; ``shifts`` says by how much each region that the
    workbench made was shifted, as the rows are looked at in the time of their source. ``is_made`` says that the whole
    trace was generated: nothing of it is missing, so it has no holes.
    """
    made = dict(shifts or {})
    answers: dict[str, pl.DataFrame] = {}

    def ask(query: quality_queries.Query) -> pl.DataFrame:
        """Ask each question once, as far as its answer is small enough to be kept."""
        key = repr(query)
        if key in answers:
            return answers[key]
        answer = ask_rows(*query)
        if answer.height <= REMEMBERED_ROWS:
            answers[key] = answer
        return answer

    window_s = window_for(span_s)
    counts = ask(quality_queries.per_window(made, window_s=window_s))
    load = Load(frame=counts, window_s=window_s, measure="requests", is_complete=True)
    return _looked(Look(load=load, ask=ask, shifts=made, made_tiers=made_tiers, is_made=is_made))


def look_at_series(frame: pl.DataFrame, *, window_s: float, shifts: Mapping[str, timedelta] | None = None) -> Looked:
    """Look at the windows of a series (``DEMAND``) as its source has them, before regions are made.

    ``shifts`` are those that will be made of it, so that its holes are marked where its rows will lie.
    """
    typed = frame.with_columns(pl.col(MEASURES).cast(NUMBER))
    return _looked(Look(load=load_of_series(typed, window_s=window_s), shifts=dict(shifts or {})))


def _looked(look: Look) -> Looked:
    return Looked(findings=[row for check in CHECKS for row in check(look)], gaps=gaps_of(look))
