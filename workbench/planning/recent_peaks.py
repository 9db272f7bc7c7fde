"""What was just asked for, kept in mind: the answer to loads that jump back to a level they had an hour ago.

No forecast knows that a client whose jobs paused will be back at the full hour; its median follows the pause, and a
quantile wide enough for the return is paid all day. What autoscalers do instead is to give up capacity late: they hold
the highest need of the last minutes (Kubernetes calls that the stabilization window of scaling down). Here the same is
part of the requirement, as windows that were seen standing beside those that are foreseen, so that the programme, the
check and the prices need not know of it. A plan window so far ahead that nothing seen lies within the hours before it
is left to the forecast.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from workbench import tables
from workbench.errors import PlanError

TOKENS = {"input_tps": "input_tokens", "output_tps": "output_tokens"}
SERIES = ("region", "model", "tier")


def recently_seen(
    observed: pl.DataFrame | None, foreseen: pl.DataFrame, *, hours: float, as_of: datetime, window_s: float
) -> pl.DataFrame:
    """Return what was seen in so many hours before each plan window.

    ``observed`` is DEMAND in windows of one length; shorter ones than ``window_s`` are gathered into such, counted back
    from ``as_of``. ``foreseen`` names the plan windows (``plan_window``) and series that count. One row per plan
    window, window that was seen, region, model and tier with ``input_tps`` and ``output_tps`` in tokens per second; a
    tier that asked for nothing has 0. Windows with a gap of the source are left out.

    Raises PlanError where ``observed`` is not given, TableError where its window length cannot be read off.
    """
    if observed is None:
        raise PlanError(
            f"the risk policy keeps the last {hours:g} h servable (recent_peak_hours), and what was "
            "seen in them is not given; pass the demand as observed=, or set recent_peak_hours to 0."
        )
    rates = _rates(observed, as_of=as_of, window_s=window_s)
    earliest = pl.col("plan_window") - timedelta(hours=hours)
    windows = rates.select("window_start", "region", "model").unique()
    return (
        foreseen.select("plan_window", *SERIES)
        .unique()
        .join(windows, on=("region", "model"))
        .filter(pl.col("window_start") >= earliest)
        .join(rates, on=("window_start", *SERIES), how="left")
        .with_columns(pl.col(list(TOKENS)).fill_null(0.0))
        .sort("plan_window", "window_start", *SERIES)
    )


def _rates(observed: pl.DataFrame, *, as_of: datetime, window_s: float) -> pl.DataFrame:
    """Return tokens per second by window and series, of the windows that end by ``as_of`` and hold no gap."""
    seen_s = tables.window_s_of(observed)
    length_s = max(seen_s, window_s)
    known = observed.filter(pl.col("window_start") <= as_of - timedelta(seconds=seen_s))
    length_us = round(length_s * 1e6)
    back_us = (pl.col("window_start") - as_of).dt.total_microseconds() // length_us * length_us
    gathered = known.with_columns(window_start=pl.lit(as_of, tables.INSTANT) + pl.duration(microseconds=back_us))
    has_gap = pl.any_horizontal(pl.col(tokens).is_null() for tokens in TOKENS.values())
    gaps = gathered.filter(has_gap).select("window_start", "region", "model").unique()
    return (
        gathered.join(gaps, on=["window_start", "region", "model"], how="anti")
        .group_by("window_start", *SERIES)
        .agg((pl.col(tokens).sum() / length_s).alias(rate) for rate, tokens in TOKENS.items())
    )
