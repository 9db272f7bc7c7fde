"""The shape of a day and of a week: the mean request rate of each hour, relative to the mean of all hours."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench.features.demand import SERIES
from workbench.features.rates import ever_known
from workbench.tables import window_s_of

SATURDAY = 6


def day_type() -> pl.Expr:
    """Return weekday or weekend for the UTC day of ``window_start``."""
    at = pl.col("window_start").dt
    return pl.when(at.weekday() >= SATURDAY).then(pl.lit("weekend")).otherwise(pl.lit("weekday"))


def diurnal_profile(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the mean request rate per hour of the UTC day relative to the mean of all hours.

    One row per value of ``by``, day type (weekday, weekend) and hour, with ``rps_mean`` and ``relative_to_mean_ratio``
    (null for a load that is always zero).
    """
    return _profile(demand, by, {"day_type": day_type(), "hour": pl.col("window_start").dt.hour()})


def weekly_profile(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the mean request rate per hour of the UTC week relative to the mean of all hours.

    One row per value of ``by``, weekday (1 = Monday) and hour, with ``rps_mean`` and ``relative_to_mean_ratio``.
    """
    at = pl.col("window_start").dt
    return _profile(demand, by, {"weekday": at.weekday(), "hour": at.hour()})


def _profile(demand: pl.DataFrame, by: tuple[str, ...], cells: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Average every series per cell over its own known windows, sum the series, and compare with the mean of the cells.

    Cells weigh as many windows as the span has of them, known or not, so that a mean does not lean to the hours that
    are known. A cell in which one series is never known is null.
    """
    window_s = window_s_of(demand)
    placed = ever_known(demand, "requests").with_columns(**cells)
    weights = demand.select("window_start").unique().select(**cells).group_by(*cells).len("windows")
    means = placed.group_by(*SERIES, *cells).agg((pl.col("requests").mean() / window_s).alias("rps"))
    keys = [*by, *cells]
    rate = pl.when(pl.col("rps").null_count() == 0).then(pl.col("rps").sum())
    profile = means.group_by(keys).agg(rps_mean=rate).join(weights, on=list(cells))
    known = pl.col("windows").filter(pl.col("rps_mean").is_not_null())
    mean = (pl.col("rps_mean") * pl.col("windows")).sum() / known.sum()
    mean = mean.over(by) if by else mean
    relative = pl.when(mean > 0).then(pl.col("rps_mean") / mean)
    return profile.with_columns(relative_to_mean_ratio=relative).drop("windows").sort(keys)
