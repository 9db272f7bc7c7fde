"""Looking again at a trace that lies in the store: is it still what the ingest wrote down about it?

What only a file shows (order, offsets, checksums) cannot be looked at again. Where regions or tiers were made from a
source, its own labels are gone and the edges were cut, so findings are then compared by model and not by number.
"""

from __future__ import annotations

import polars as pl

from workbench.traces.catalogue import TraceInfo
from workbench.traces.quality.findings import Finding, as_frame
from workbench.traces.quality.looking import look_at_requests, look_at_series
from workbench.traces.spreading import shifts_in_words, shifts_of, unspread
from workbench.traces.store.reading import Reading

AT = {"requests": "arrived_at", "series": "window_start"}
ALWAYS_COMPARED = (
    "suspected row cap",
    "hole",
    "gap",
    "never known",
    "stray time stamps",
    "stops",
    "starts late",
    "suspected cut",
    "absurd length",
    "constant length",
    "zero tokens",
    "repeated rows",
)
# what needs whole days or rows as they came; made regions lose hours at both ends
COMPARED_WHOLE = (
    "spans differ",
    "level shift",
    "dominant tenant",
    "coarse time stamps",
    "clock set forward",
    "silent stretch",
)


def look_again(store: Reading, name: str) -> tuple[str, ...]:
    """Look at the stored rows of a trace and say in one sentence each what differs from the catalogue and the findings.

    Raises TraceError where the store has no such trace.
    """
    info = store.describe(name)
    before = store.findings(name)
    return (*_counts(store, info), *_changes(before, as_frame(_look(store, info, before))))


def _counts(store: Reading, info: TraceInfo) -> list[str]:
    at, kind = AT[info.header.kind], info.header.kind
    rows, first, last = store.look(
        info.header.name,
        f"SELECT count(*) AS n, min({at}) AS low, max({at}) AS high FROM {'{rows}' if kind == 'requests' else '{t}'}",
    ).row(0)
    said = {
        "rows": (info.rows, rows),
        "first instant": (info.first_at, first),
        "last instant": (info.last_at, last),
        "rejected rows": (info.rejected, store.rejected(info.header.name).height),
    }
    return [
        f"the catalogue says {what} {_value(wanted)}, the store holds {_value(found)}: remove the trace and ingest it "
        "again"
        for what, (wanted, found) in said.items()
        if wanted != found
    ]


def _value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def _look(store: Reading, info: TraceInfo, before: pl.DataFrame) -> list[Finding]:
    name = info.header.name
    shifts = shifts_of(part for text in _said(before, "regions are made") for part in shifts_in_words(text))
    if info.header.kind == "requests":
        return look_at_requests(
            lambda query, parameters: store.look(name, query, parameters),
            span_s=(info.last_at - info.first_at).total_seconds(),
            shifts=shifts,
            made_tiers=bool(_said(before, "tiers are made")),
            is_made=info.header.is_made,
        ).findings
    assert info.header.window_s is not None
    rows = store.look(name, "SELECT * FROM {t} ORDER BY ALL")
    return look_at_series(unspread(rows, shifts), window_s=info.header.window_s).findings


def _said(findings: pl.DataFrame, what: str) -> list[str]:
    details = findings.filter(pl.col("finding") == what).get_column("detail").to_list()
    return [text.partition("spread as ")[2] for text in details]


def _changes(before: pl.DataFrame, now: pl.DataFrame) -> list[str]:
    made = before.filter(pl.col("finding").is_in(["regions are made", "tiers are made"])).height > 0
    kinds = ALWAYS_COMPARED if made else (*ALWAYS_COMPARED, *COMPARED_WHOLE)
    was, is_now = (_known(frame, kinds, by_model=made) for frame in (before, now))
    gone = [f"the ingest found '{_told(*key)}', the stored rows do not show it" for key in was if key not in is_now]
    new = [f"the stored rows show '{_told(*key)}', the ingest did not find it" for key in is_now if key not in was]
    return gone + new


def _known(findings: pl.DataFrame, kinds: tuple[str, ...], *, by_model: bool) -> dict[tuple[str, str, str], None]:
    known = findings.filter(pl.col("finding").is_in(kinds)).select("finding", "where", "count")
    if by_model:
        known = known.with_columns(where=pl.col("where").str.split(" ").list.first(), count=pl.lit(None))
    return dict.fromkeys((what, where, "" if count is None else f"{count}") for what, where, count in known.rows())


def _told(what: str, where: str, count: str) -> str:
    return f"{what}, {where}" + (f", {int(count):,}" if count.isdecimal() else "")
