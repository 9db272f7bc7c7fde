"""The shape of a day and of a week: the mean request rate of each hour, relative to the mean of all hours."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench.features.rates import known_sums
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
    sums = known_sums(demand, *by).with_columns(**cells, rps=pl.col("requests") / window_s_of(demand))
    mean = pl.col("rps").mean().over(by) if by else pl.col("rps").mean()
    relative = pl.when(mean > 0).then(pl.col("rps") / mean)
    keys = [*by, *cells]
    profile = sums.with_columns(relative=relative).group_by(keys)
    return profile.agg(rps_mean=pl.col("rps").mean(), relative_to_mean_ratio=pl.col("relative").mean()).sort(keys)
