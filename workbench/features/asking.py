"""Asking a request trace where it lies: the span of a question, its groups, and the refusal of what is no request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from workbench.errors import TableError, TraceError, nearest
from workbench.features.demand import SERIES
from workbench.traces.store import Reading

ALWAYS = datetime(1, 1, 1), datetime(9999, 12, 31)
BY = ("model", "tier")


def ask(
    store: Reading,
    trace: str,
    query: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    **parameters: Any,
) -> pl.DataFrame:
    """Run a query of ``load_queries`` on the requests of a trace in [since, until).

    Raises TraceError for a trace that is not there, and for a series of sums, which has no single requests.
    """
    refuse_sums(store, trace)
    span = {"since": since or ALWAYS[0], "until": until or ALWAYS[1]}
    return store.look(trace, query, span | parameters)


def grouped(by: Sequence[str]) -> tuple[str, ...]:
    """Return the keys a question is grouped by; raises TableError where they are not region, model or tier."""
    unknown = [name for name in by if name not in SERIES]
    if unknown or not by:
        found = unknown[0] if unknown else ""
        raise TableError(f"requests are grouped by some of their keys, found '{found}'; {nearest(found, SERIES)}.")
    return tuple(by)


def request_span_us(store: Reading, trace: str, *, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Return the microseconds since 1970 at which a request trace begins and ends inside [since, until).

    Raises TraceError for a series of sums.
    """
    refuse_sums(store, trace)
    info = store.describe(trace)
    first, last = max(since or info.first_at, info.first_at), min(until or info.last_at, info.last_at)
    epoch = datetime(1970, 1, 1)
    return (first - epoch) // timedelta(microseconds=1), (last - epoch) // timedelta(microseconds=1)


def refuse_sums(store: Reading, trace: str) -> None:
    """Raise TraceError for a trace that is not there, and for a series of sums, which has no single requests."""
    if store.describe(trace).header.kind != "requests":
        raise TraceError(f"trace '{trace}' is a series of sums and has no single requests; use its demand instead.")
