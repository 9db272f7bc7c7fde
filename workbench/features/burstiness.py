"""How bursty a load is, with the daily cycle taken out: gaps between arrivals, counts by scale, peaks by window.

A load whose rate rises and falls over the day is not bursty for that reason. Gaps are therefore compared within an
hour, and counts with a straight line through their hour; from one hour on, with the same hours of other days. A Poisson
process scores 1 in both, whatever its daily cycle. Hours that touch a gap of the trace are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from workbench.features.asking import BY, ask, grouped, request_span_us
from workbench.features.profiles import day_type
from workbench.features.rates import known_sums
from workbench.tables import window_s_of
from workbench.traces.binning import Bins, binned, groups_of
from workbench.traces.gaps import stretches, touched
from workbench.traces.store import Reading, load_queries
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

#: Seconds of the bins that arrivals are counted in: each divides an hour and is a multiple of the first.
SCALES_S = (0.25, 1.0, 3.0, 10.0, 60.0, 600.0)
GAPS_NEEDED = 30
BINS_NEEDED = 3
COUNT_COLUMNS = ("scale_s", "block", "bins", "requests", "requests_peak", "residual_square_sum")
BLOCK_SUMS = dict.fromkeys(
    ("group", "scale_us", "block", "requests", "requests_peak", "square_sum", "moment"), pl.Int64
)


def gaps_by_hour(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = BY,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return the gaps between arrivals of each group, one row per hour (UTC) in which gaps end.

    ``gaps``, ``gap_sum_s`` and ``gap_square_sum_s2``; regions or tiers that are not in ``by`` are one stream. Raises
    TraceError for a series of sums.
    """
    hours = ask(store, trace, load_queries.gaps(grouped(by)), since=since, until=until)
    # the first arrival after a gap ends an interval that nobody saw, often in the next hour
    return _outside_gaps(hours, store, trace, pl.col("window_start").dt.timestamp("us"), later_us=load_queries.HOUR_US)


def _outside_gaps(
    rows: pl.DataFrame, store: Reading, trace: str, at_us: pl.Expr, *, origin_us: int = 0, later_us: int = 0
) -> pl.DataFrame:
    """Leave out the hours, counted from ``origin_us`` and starting at ``at_us``, that touch a gap of theirs."""
    gaps = store.gaps(trace)
    if gaps.is_empty():
        return rows
    spans = stretches(gaps, store.series(trace))
    moved = spans.with_columns(pl.col("since_us") - origin_us, pl.col("until_us") - origin_us + later_us)
    hours = touched(moved, load_queries.HOUR_US).with_columns(hour_us=pl.col("window_start").dt.timestamp("us"))
    keys = [*(key for key in ("region", "model") if key in rows.columns), "hour_us"]
    return rows.with_columns(hour_us=at_us).join(hours, on=keys, how="anti").drop("hour_us")


def gap_cv(hours: pl.DataFrame) -> pl.DataFrame:
    """Return the coefficient of variation (standard deviation / mean) of the gaps, from :func:`gaps_by_hour`.

    One row per group: ``gap_mean_s``, ``gap_cv`` within the hour (root of the mean squared CV of the hours with 30
    gaps or more, weighted by gaps: 1 for a Poisson process however its rate changes by the hour, 0 for a clock) and
    ``gap_cv_whole`` over all gaps at once, into which the daily cycle counts.
    """
    keys = [name for name in hours.columns if name not in ("window_start", "gaps", "gap_sum_s", "gap_square_sum_s2")]
    number, total, square = pl.col("gaps"), pl.col("gap_sum_s"), pl.col("gap_square_sum_s2")
    enough = (number >= GAPS_NEEDED) & (total > 0)
    squared_cv = ((square - total**2 / number) / (number - 1) / (total / number) ** 2).clip(lower_bound=0.0)
    within = (squared_cv * number).filter(enough).sum() / number.filter(enough).sum()
    mean = total.sum() / number.sum()
    whole = (square.sum() / number.sum() - mean**2).clip(lower_bound=0.0).sqrt() / mean
    return (
        hours.group_by(keys)
        .agg(
            gaps=number.sum(),
            gap_mean_s=mean,
            gap_cv=pl.when(enough.any()).then(within.sqrt()),
            gap_cv_whole=pl.when(total.sum() > 0).then(whole),
        )
        .sort(keys)
    )


def counts_by_scale(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = BY,
    scales_s: Sequence[float] = SCALES_S,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return arrivals counted in bins of several lengths, one row per group, scale and block of an hour.

    Blocks are hours from the first arrival of the span; a bin that the end cuts is left out, and so is a block that
    touches a gap of its group. ``bins``, ``requests``, ``requests_peak`` (the fullest bin) and ``residual_square_sum``
    (squared distances from the straight line through the counts of the block). :func:`dispersion` and
    :func:`peak_to_mean` read it. Raises TraceError for a series, and for scales that do not divide an hour or of which
    the shortest does not divide the others.
    """
    keys = grouped(by)
    origin_us, end_us = request_span_us(store, trace, since=since, until=until)
    scales_us = sorted({round(scale_s * 1e6) for scale_s in scales_s})
    sums = _sums_by_block(store, trace, keys, scales_us, origin_us=origin_us, end_us=end_us)
    grid = _blocks_of_span(sums.select(keys).unique(), scales_us, origin_us=origin_us, end_us=end_us)
    at_us = pl.col("block") * load_queries.HOUR_US
    seen = _outside_gaps(grid, store, trace, at_us, origin_us=origin_us)
    counted = seen.join(sums, on=[*keys, "scale_us", "block"], how="left").with_columns(
        pl.col("requests", "requests_peak", "square_sum", "moment").fill_null(0).cast(pl.Float64)
    )
    bins = pl.col("bins").cast(pl.Float64)
    places_sum, places_square = bins * (bins - 1) / 2, bins * (bins - 1) * (2 * bins - 1) / 6
    residual = _residual(bins, pl.col("requests"), pl.col("square_sum"), pl.col("moment"), places_sum, places_square)
    told = counted.with_columns(residual_square_sum=residual, scale_s=pl.col("scale_us") / 1e6)
    return told.select(*keys, *COUNT_COLUMNS).sort(*keys, "scale_s", "block")


def _sums_by_block(
    store: Reading, trace: str, keys: Sequence[str], scales_us: Sequence[int], *, origin_us: int, end_us: int
) -> pl.DataFrame:
    """Sum arrivals, their squares and moments over the whole bins of each block of an hour that has any."""
    names = groups_of(store, trace, keys).with_row_index("group").cast({"group": pl.Int64})
    since, until = (pl.Series([origin_us, end_us]).cast(pl.Datetime("us"))).to_list()
    stretches_of_bins = binned(
        store, trace, by=keys, scales_us=scales_us, origin_us=origin_us, since=since, until=until
    )
    parts = [
        _block_sums(bins, scale_us, whole=(end_us - origin_us) // scale_us)
        for stretch in stretches_of_bins
        for scale_us, bins in stretch.items()
    ]
    return names.join(pl.concat([pl.DataFrame(schema=BLOCK_SUMS), *parts]), on="group").drop("group")


def _block_sums(bins: Bins, scale_us: int, *, whole: int) -> pl.DataFrame:
    per_block = load_queries.HOUR_US // scale_us
    kept = bins.place < whole
    group, place, n = bins.group[kept], bins.place[kept], bins.n[kept]
    block = place // per_block
    starts = np.flatnonzero((np.diff(block, prepend=-1) != 0) | (np.diff(group, prepend=-1) != 0))
    if not starts.size:
        return pl.DataFrame(schema=BLOCK_SUMS)
    return pl.DataFrame(
        {
            "group": group[starts],
            "scale_us": np.full(starts.size, scale_us),
            "block": block[starts],
            "requests": np.add.reduceat(n, starts),
            "requests_peak": np.maximum.reduceat(n, starts),
            "square_sum": np.add.reduceat(n * n, starts),
            "moment": np.add.reduceat(n * (place % per_block), starts),
        },
        schema=BLOCK_SUMS,
    )


def _blocks_of_span(groups: pl.DataFrame, scales_us: Sequence[int], *, origin_us: int, end_us: int) -> pl.DataFrame:
    """Return every block of every group and scale with its number of whole ``bins``, also where nothing arrives."""
    blocks = pl.int_range((end_us - origin_us) // load_queries.HOUR_US + 1, eager=True)
    length_us = (pl.lit(end_us - origin_us) - pl.col("block") * load_queries.HOUR_US).clip(0, load_queries.HOUR_US)
    scales = pl.DataFrame({"scale_us": scales_us})
    grid = groups.join(scales, how="cross").join(pl.DataFrame({"block": blocks}), how="cross")
    return grid.with_columns(bins=length_us // pl.col("scale_us")).filter(pl.col("bins") > 0)


def counts_of_demand(
    demand: pl.DataFrame, *, by: Sequence[str] = BY, scales_s: Sequence[float] | None = None
) -> pl.DataFrame:
    """Return the table of :func:`counts_by_scale` for a DEMAND, at its own windows and multiples of them.

    Up to ten minutes a block is an hour, as there. At longer scales it is one time of day on all weekdays, or on all
    weekend days, so that what is left beside the straight line is what the daily cycle does not explain. Windows that
    are unknown are left out. Scales that the windows do not divide, or longer than a day, are left out.
    """
    window_s = window_s_of(demand)
    wanted = scales_s or (window_s, *(scale_s for scale_s in (60.0, 600.0, SECONDS_PER_HOUR) if scale_s > window_s))
    usable = [scale_s for scale_s in dict.fromkeys(wanted) if scale_s % window_s == 0 and scale_s <= SECONDS_PER_DAY]
    sums = known_sums(demand, *by)
    parts = [_blocks(sums, by, scale_s, round(scale_s / window_s)) for scale_s in usable]
    return pl.concat(parts or [_blocks(sums.clear(), by, window_s, 1)]).sort(*by, "scale_s", "block")


def _blocks(sums: pl.DataFrame, by: Sequence[str], scale_s: float, parts: int) -> pl.DataFrame:
    every = f"{round(scale_s * 1e6)}us"
    counts = (
        sums.group_by(*by, pl.col("window_start").dt.truncate(every))
        .agg(pl.len().alias("parts"), n=pl.col("requests").sum())
        .filter(pl.col("parts") == parts)
    )
    us = pl.col("window_start").dt.timestamp("us")
    scale_us, hour_us, day_us = round(scale_s * 1e6), load_queries.HOUR_US, 24 * load_queries.HOUR_US
    if scale_s <= SCALES_S[-1]:
        block, place = us // hour_us, us % hour_us // scale_us
    else:
        slots = day_us // scale_us
        is_weekend = (day_type() == "weekend").cast(pl.Int64)
        block, place = us % day_us // scale_us + slots * is_weekend, us // day_us
    x, n = pl.col("place").cast(pl.Float64), pl.col("n")
    # places are counted from the first of the block, which keeps their squares small
    placed = counts.with_columns(block=block, place=place).with_columns(
        place=pl.col("place") - pl.col("place").min().over(*by, "block")
    )
    bins = pl.len().cast(pl.Float64)
    residual = _residual(bins, n.sum(), (n**2).sum(), (n * x).sum(), x.sum(), (x**2).sum())
    return (
        placed.group_by(*by, "block")
        .agg(bins=pl.len().cast(pl.Int64), requests=n.sum(), requests_peak=n.max(), residual_square_sum=residual)
        .select(*by, pl.lit(scale_s).alias("scale_s"), *COUNT_COLUMNS[1:])
    )


def _residual(
    bins: pl.Expr, total: pl.Expr, square: pl.Expr, moment: pl.Expr, places: pl.Expr, places_square: pl.Expr
) -> pl.Expr:
    """Return the squared distances of counts from their least-squares line over the places of their bins."""
    about_mean = square - total**2 / bins
    width = places_square - places**2 / bins
    slope_part = pl.when(width > 0).then((moment - total * places / bins) ** 2 / width).otherwise(0.0)
    return (about_mean - slope_part).clip(lower_bound=0.0)


def dispersion(counts: pl.DataFrame) -> pl.DataFrame:
    """Return the index of dispersion of counts by scale: variance / mean of the arrivals per bin.

    One row per group and ``scale_s``: ``dispersion`` (1 for a Poisson process, n for batches of n, below 1 for a
    regular flow) and ``requests`` it rests on. The variance is taken about the straight line through each block, with
    two degrees of freedom spent on it, and pooled over the blocks with three bins or more; null where there is none.
    """
    freedom = pl.col("bins") - 2
    enough = pl.col("bins") >= BINS_NEEDED
    mean = (pl.col("requests") / pl.col("bins") * freedom).filter(enough).sum()
    value = pl.when(mean > 0).then(pl.col("residual_square_sum").filter(enough).sum() / mean)
    keys = [*_groups(counts), "scale_s"]
    return counts.group_by(keys).agg(dispersion=value, requests=pl.col("requests").sum()).sort(keys)


def peak_to_mean(counts: pl.DataFrame) -> pl.DataFrame:
    """Return how far the fullest bin lies above the mean, by scale: ``rps_peak``, ``rps_mean`` and their ratio.

    One row per group and ``scale_s``; the mean runs over all whole bins of the span, empty ones included.
    """
    seconds = pl.col("bins").sum() * pl.col("scale_s").first()
    mean = pl.col("requests").sum() / seconds
    peak = pl.col("requests_peak").max() / pl.col("scale_s").first()
    keys = [*_groups(counts), "scale_s"]
    ratio = pl.when(mean > 0).then(peak / mean)
    return counts.group_by(keys).agg(rps_mean=mean, rps_peak=peak, peak_to_mean_ratio=ratio).sort(keys)


def _groups(counts: pl.DataFrame) -> list[str]:
    return [name for name in counts.columns if name not in COUNT_COLUMNS]
