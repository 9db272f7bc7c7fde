"""How much arrives: mean and peak rates by model, region and tier, and over time.

A window in which one of a group's series is unknown is unknown for the group: it is left out of means and peaks, and
stays a gap over time.
"""

from __future__ import annotations

import polars as pl

from workbench.features.demand import MEASURES
from workbench.tables import window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

#: Rate -> the column of DEMAND that it is made of.
RATES = {"rps": "requests", "input_tps": "input_tokens", "output_tps": "output_tokens"}
#: Windows that a person can read off an axis, longest first.
WINDOWS_S = (SECONDS_PER_HOUR, 10 * SECONDS_PER_MINUTE, SECONDS_PER_MINUTE, 10.0, 1.0)
FEWEST_WINDOWS = 48


def window_for(span_s: float, *, native_s: float | None = None) -> float:
    """Return the window to look at a trace of that length with: an hour, or shorter where that gives under 48 points.

    A series cannot be cut finer than its native windows, so the answer is a whole multiple of ``native_s``.

    >>> window_for(7 * 86_400.0), window_for(3_500.0), window_for(3_600.0, native_s=300.0)
    (3600.0, 60.0, 300.0)
    """
    fine = next((window_s for window_s in WINDOWS_S if span_s / window_s >= FEWEST_WINDOWS), WINDOWS_S[-1])
    return fine if native_s is None else max(1.0, fine // native_s) * native_s


def known_sums(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return a DEMAND summed per window and value of ``by``; windows in which one series is unknown are left out."""
    return _sums(demand, by).drop_nulls(MEASURES)


def known_rows(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the rows of a DEMAND of those windows in which every series of their group (``by``) is known.

    Shares are taken over these: a region or tier that is unknown for a while would otherwise seem to send less.
    """
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in MEASURES)
    return demand.filter(known.all().over("window_start", *(name for name in by if name != "window_start")))


def rates_by(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return mean and peak rates per second over the known windows, one row per value of ``by`` (none: the whole).

    Columns ``rps_mean``, ``rps_peak``, ``input_tps_mean``, ``input_tps_peak``, ``output_tps_mean``,
    ``output_tps_peak``, ``peak_to_mean_ratio`` of the requests, and ``known_fraction`` of the windows; a peak is the
    mean over one window of the demand.
    """
    window_s = window_s_of(demand)
    sums = known_sums(demand, *by)
    windows = demand.get_column("window_start").n_unique()
    statistics = [
        expression
        for rate, measure in RATES.items()
        for expression in (
            (pl.col(measure).mean() / window_s).alias(f"{rate}_mean"),
            (pl.col(measure).max() / window_s).alias(f"{rate}_peak"),
        )
    ]
    statistics.append((pl.len() / windows).alias("known_fraction"))
    grouped = sums.group_by(by, maintain_order=True).agg(statistics).sort(by) if by else sums.select(statistics)
    ratio = pl.when(pl.col("rps_mean") > 0).then(pl.col("rps_peak") / pl.col("rps_mean"))
    return grouped.with_columns(peak_to_mean_ratio=ratio).select(pl.exclude("known_fraction"), "known_fraction")


def rates_over_time(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return ``rps``, ``input_tps`` and ``output_tps`` per window and value of ``by``; null where unknown."""
    window_s = window_s_of(demand)
    rates = {rate: pl.col(measure) / window_s for rate, measure in RATES.items()}
    return _sums(demand, by).select("window_start", *by, **rates)


def daily_totals(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return requests and tokens per UTC day and value of ``by``.

    ``known_fraction`` is the part of the day in which everything is known (the first and last day of a trace are
    often cut); the sums hold those windows and are not scaled up.
    """
    share = window_s_of(demand) / (24 * SECONDS_PER_HOUR)
    day = pl.col("window_start").dt.truncate("1d").alias("day")
    sums = known_sums(demand, *by).group_by(*by, day)
    return sums.agg(pl.col(MEASURES).sum(), known_fraction=pl.len() * share).sort(*by, "day")


def _sums(demand: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    summed = demand.group_by("window_start", *by).agg(
        pl.when(pl.col(name).is_null().any()).then(None).otherwise(pl.col(name).sum()).alias(name) for name in MEASURES
    )
    return summed.sort(*by, "window_start")
