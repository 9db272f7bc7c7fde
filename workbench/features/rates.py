"""How much arrives: mean and peak rates by model, region and tier, and over time.

What is known is told measure by measure and series by series. A mean is that of a series over its own known windows,
and that of a group the sum over its series; over time a window in which one of a group's series is unknown is a gap,
and no peak is taken from it.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from workbench.features.demand import MEASURES, SERIES
from workbench.tables import INSTANT, window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

#: Rate -> the column of DEMAND that it is made of.
RATES = {"rps": "requests", "input_tps": "input_tokens", "output_tps": "output_tokens"}
#: Windows that a person can read off an axis, longest first.
WINDOWS_S = (SECONDS_PER_HOUR, 10 * SECONDS_PER_MINUTE, SECONDS_PER_MINUTE, 10.0, 1.0)
FEWEST_WINDOWS = 48
#: A first or last window is cut where less of it lies inside the span; a trace of fewer windows keeps them all.
WHOLE_FRACTION = 0.95
WINDOWS_TO_CUT = 6
#: The total of a day is told where this part of it is known.
DAY_KNOWN_FRACTION = 0.9


def window_for(span_s: float, *, native_s: float | None = None) -> float:
    """Return the window to look at a trace of that length with: an hour, or shorter where that gives under 48 points.

    A series cannot be cut finer than its native windows, so the answer is a whole multiple of ``native_s``.

    >>> window_for(7 * 86_400.0), window_for(3_500.0), window_for(3_600.0, native_s=300.0)
    (3600.0, 60.0, 300.0)
    """
    fine = next((window_s for window_s in WINDOWS_S if span_s / window_s >= FEWEST_WINDOWS), WINDOWS_S[-1])
    return fine if native_s is None else max(1.0, fine // native_s) * native_s


def ever_known(demand: pl.DataFrame, measure: str) -> pl.DataFrame:
    """Return the rows of the series of a DEMAND of which ``measure`` is known in some window.

    A series that is never known has no say in what is known of the others; the table ``known`` names it.
    """
    return demand.filter(pl.col(measure).is_not_null().any().over(SERIES))


def known_sums(demand: pl.DataFrame, *by: str, measure: str = "requests") -> pl.DataFrame:
    """Return one measure of a DEMAND summed per window and value of ``by``, where it is known of every series.

    A series of which the measure is never known is left out.
    """
    return _sums(demand, by, measure).drop_nulls(measure)


def known_rows(demand: pl.DataFrame, *by: str, measure: str = "requests") -> pl.DataFrame:
    """Return the rows of a DEMAND of those windows in which a measure of every series of their group is known.

    What moves in time is compared over these: a region that is unknown for a while would otherwise seem to send less.
    """
    told = ever_known(demand, measure)
    known = pl.col(measure).is_not_null().all()
    return told.filter(known.over("window_start", *(name for name in by if name != "window_start")))


def means_of_series(demand: pl.DataFrame, *within: str) -> pl.DataFrame:
    """Return the mean of each measure per window of each series over its own known windows; null where there is none.

    ``within`` are columns besides the series that a mean stays inside of, such as a longer window.
    """
    return demand.group_by(*SERIES, *within).agg(pl.col(MEASURES).mean()).sort(*SERIES, *within)


def summed(name: str) -> pl.Expr:
    """Return the sum of a column over what is known of it; null where nothing is."""
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)


def known_by_series(demand: pl.DataFrame) -> pl.DataFrame:
    """Return the share of the windows in which each measure of each series is known (``requests_known_fraction`` ...).

    0 is a measure that is never known of a series.
    """
    windows = demand.get_column("window_start").n_unique()
    shares = [(pl.col(name).count() / windows).alias(f"{name}_known_fraction") for name in MEASURES]
    return demand.group_by(SERIES).agg(shares).sort(SERIES)


def whole_windows(demand: pl.DataFrame, *, since: datetime, until: datetime) -> pl.DataFrame:
    """Return a DEMAND without a first or last window that [since, until) cuts.

    A mean over windows would take a window that is known in part for a quiet one. A window stays of which at least
    ``WHOLE_FRACTION`` lies inside, and all stay where fewer than ``WINDOWS_TO_CUT`` are there.
    """
    if demand.get_column("window_start").n_unique() < WINDOWS_TO_CUT:
        return demand
    start, window_s = pl.col("window_start"), window_s_of(demand)
    end = start + pl.duration(microseconds=round(window_s * 1e6))
    inside = pl.min_horizontal(end, pl.lit(until, dtype=INSTANT)) - pl.max_horizontal(
        start, pl.lit(since, dtype=INSTANT)
    )
    return demand.filter(inside.dt.total_microseconds() >= WHOLE_FRACTION * window_s * 1e6)


def rates_by(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return mean and peak rates per second, one row per value of ``by`` (none: the whole).

    A mean is the sum of the means of the group's series, each over its own known windows: a series that is unknown for
    a while hides nothing of the others. Columns ``rps_mean``, ``rps_peak``, ``input_tps_mean``, ``input_tps_peak``,
    ``output_tps_mean``, ``output_tps_peak``, ``peak_to_mean_ratio`` of the requests, ``together_fraction`` and
    ``known_fraction``. A peak is the mean over one window of the demand, the highest of those in which every series of
    the group is known, which are the ``together_fraction`` of all; ``known_fraction`` is the share of the time in which
    the requests of a series of the group are known, on average. A measure of which nothing is known is null.
    """
    window_s = window_s_of(demand)
    windows = demand.get_column("window_start").n_unique()
    whole = [pl.lit("all").alias("whole")] if not by else []
    keys = list(by) or ["whole"]
    named = demand.with_columns(whole)
    series = means_of_series(demand).with_columns(whole)
    known = known_by_series(demand).with_columns(whole)
    table = series.group_by(keys).agg(summed(name) for name in MEASURES)
    table = table.join(known.group_by(keys).agg(known_fraction=pl.col("requests_known_fraction").mean()), on=keys)
    for rate, measure in RATES.items():
        peak = [(pl.col(measure).max() / window_s).alias(f"{rate}_peak")]
        if measure == "requests":
            peak.append((pl.len() / windows).alias("together_fraction"))
        peaks = known_sums(named, *keys, measure=measure).group_by(keys).agg(peak)
        table = table.join(peaks, on=keys, how="left").with_columns((pl.col(measure) / window_s).alias(f"{rate}_mean"))
    ratio = pl.when(pl.col("rps_mean") > 0).then(pl.col("rps_peak") / pl.col("rps_mean"))
    columns = [f"{rate}_{end}" for rate in RATES for end in ("mean", "peak")]
    told = table.with_columns(peak_to_mean_ratio=ratio, together_fraction=pl.col("together_fraction").fill_null(0.0))
    return told.sort(keys).select(*by, *columns, "peak_to_mean_ratio", "together_fraction", "known_fraction")


def rates_over_time(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return ``rps``, ``input_tps`` and ``output_tps`` per window and value of ``by``; null where unknown.

    A series of which a measure is never known is left out of that measure's rate.
    """
    keys = ["window_start", *by]
    window_s = window_s_of(demand)
    table = demand.select(keys).unique()
    for rate, measure in RATES.items():
        rates = _sums(demand, by, measure).select(*keys, (pl.col(measure) / window_s).alias(rate))
        table = table.join(rates, on=keys, how="left")
    return table.sort(*by, "window_start")


def daily_totals(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return requests and tokens per UTC day and value of ``by``; null for a day of which too little is known.

    ``known_fraction`` is the part of the day's requests that is known: the part of the day in which each series is,
    weighted by the series' mean rates, so that a large one weighs more than a small one. A total needs
    ``DAY_KNOWN_FRACTION`` of its own measure and is not scaled up, so it is at most a tenth too low. The first and last
    day of a trace are often cut.
    """
    day = pl.col("window_start").dt.truncate("1d").alias("day")
    table = demand.select(*by, day).unique()
    for measure in MEASURES:
        table = table.join(_days(ever_known(demand, measure), by, day, measure), on=[*by, "day"], how="left")
    shares = {name: pl.col(f"{name}_share").fill_null(0.0) for name in MEASURES}
    totals = [pl.when(shares[name] >= DAY_KNOWN_FRACTION).then(pl.col(name)).alias(name) for name in MEASURES]
    return table.select(*by, "day", *totals, known_fraction=shares["requests"]).sort(*by, "day")


def _days(demand: pl.DataFrame, by: tuple[str, ...], day: pl.Expr, measure: str) -> pl.DataFrame:
    part = window_s_of(demand) / (24 * SECONDS_PER_HOUR) if demand.height else 0.0
    means = demand.group_by(SERIES).agg(weight=pl.col(measure).mean())
    per_day = demand.group_by(*SERIES, day).agg(pl.col(measure).sum(), share=pl.col(measure).count() * part)
    weight, share = pl.col("weight"), pl.col("share")
    known = pl.when(weight.sum() > 0).then((weight * share).sum() / weight.sum()).otherwise(share.mean())
    weighed = per_day.join(means, on=SERIES)
    return weighed.group_by(*by, "day").agg(pl.col(measure).sum(), known.clip(0.0, 1.0).alias(f"{measure}_share"))


def _sums(demand: pl.DataFrame, by: tuple[str, ...], measure: str) -> pl.DataFrame:
    total = pl.when(pl.col(measure).is_not_null().all()).then(pl.col(measure).sum()).alias(measure)
    return ever_known(demand, measure).group_by("window_start", *by).agg(total).sort(*by, "window_start")
