"""The demand of a trace as forecasters want it: even windows, whole ones only, of the series that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from workbench import features
from workbench.errors import TraceError, nearest
from workbench.studies.preparing import only
from workbench.traces.store import Reading

REQUEST_WINDOW_S = 900.0
MOST_OUTSIDE = 0.1  # of the first and the last window, before it counts as cut by the trace's edge


def history_of(
    store: Reading,
    trace: str,
    *,
    window_s: float | None = None,
    regions: Sequence[str] = (),
    models: Sequence[str] = (),
    tiers: Sequence[str] = (),
    scale: float = 1.0,
) -> pl.DataFrame:
    """Return the DEMAND of a trace in windows of ``window_s`` (default: those of a series, quarters of an hour else).

    A first or last window that the trace covers by less than nine tenths is left out: it would look like a fall of the
    load. Empty ``regions``, ``models`` and ``tiers`` mean all. Raises TraceError where one of them is not in the trace.
    """
    info = store.describe(trace)
    native_s = info.header.window_s or 0.0
    step_s = window_s or native_s or REQUEST_WINDOW_S
    demand = features.demand(store, trace, window_s=step_s, scale=scale)
    window = timedelta(seconds=step_s)
    most = MOST_OUTSIDE * window
    last_at = info.last_at + timedelta(seconds=native_s)
    start = pl.col("window_start")
    demand = demand.filter((start + most >= info.first_at) & (start + window - most <= last_at))

    def refusal(column: str, missing: str, found: Sequence[str]) -> TraceError:
        """Return the error for a name that the trace lacks."""
        where = f"trace '{trace}' has no {column} '{missing}' in its whole windows of {step_s:g} s"
        return TraceError(f"{where}; {nearest(missing, found)}.")

    return only(demand, {"region": regions, "model": models, "tier": tiers}, refusal)
