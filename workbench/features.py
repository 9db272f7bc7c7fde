"""From a trace to demand per window, the shapes of requests, and the tables that characterise a load.

Rates, shares and quantiles are plain group-bys; what is decided here is how unknown windows are treated (they stay
unknown, and leave averages alone), that a window without requests is a zero only where requests were recorded one by
one, and that a span cuts windows at its edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl

from workbench.domain import TokenMix
from workbench.errors import TraceError
from workbench.tables import DEMAND, INSTANT, SHAPE, window_s_of
from workbench.traces.store import Store

SERIES = ("region", "model", "tier")
MEASURES = ("requests", "input_tokens", "output_tokens")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
PAIRS_NEEDED = 24
MICROSECOND = timedelta(microseconds=1)


def demand(
    store: Store,
    trace: str,
    *,
    window_s: float,
    since: datetime | None = None,
    until: datetime | None = None,
    scale: float = 1.0,
) -> pl.DataFrame:
    """Sum a trace per window, region, model and tier on a complete grid (``DEMAND``).

    Windows start at whole multiples of ``window_s`` since 1970; the grid covers what [since, until) and the trace have
    in common, and a window at its edge holds only what lies inside. A window of a request trace without requests is
    zero; a window of a series that is absent, unknown in part or cut by the edge is null. ``scale`` multiplies
    everything, for traces that are samples. Raises TraceError where the trace is not there, has nothing in the span, or
    is a series of other windows.
    """
    info = store.describe(trace)
    first = max(since or info.first_at, info.first_at)
    last = min(until - MICROSECOND if until else info.last_at, info.last_at)
    if first > last:
        raise TraceError(
            f"trace '{trace}' has nothing between {since or 'its start'} and {until or 'its end'}; it lasts from "
            f"{info.first_at} to {info.last_at} UTC."
        )
    sums = store.sum_by_window(trace, window_s=window_s, since=since, until=until)
    grid = _windows(first, last, window_s).join(store.series(trace), how="cross")
    whole = grid.join(sums, on=["window_start", *SERIES], how="left")
    if info.header.kind == "requests":
        whole = whole.with_columns(pl.col(MEASURES).fill_null(0.0))
    scaled = whole.with_columns(pl.col(MEASURES) * scale)
    return DEMAND.conform(scaled.sort(*SERIES, "window_start"))


def _windows(first: datetime, last: datetime, window_s: float) -> pl.DataFrame:
    window_us = round(window_s * 1e6)
    low, high = (pl.Series([first, last], dtype=INSTANT).dt.timestamp("us") // window_us).to_list()
    starts = pl.int_range(low, high + 1, eager=True) * window_us
    return pl.DataFrame({"window_start": starts.cast(INSTANT)})


def shape(store: Store, trace: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
    """Return moments of the lengths and dispersion of arrivals per hour and series (``SHAPE``).

    Only hours with requests; empty for a trace that is a series of sums. The index of dispersion is variance / mean of
    the counts in bins of 1 s and 10 s over the part of the hour inside the span (simulation.md section 5).
    """
    return store.shape_by_hour(trace, since=since, until=until)


def token_mixes(
    demand: pl.DataFrame,
    shape: pl.DataFrame | None = None,
    *,
    input_square_ratio: float = 2.0,
    input_cube_ratio: float = 8.0,
    output_square_ratio: float = 2.0,
    cross_ratio: float = 1.0,
    dispersion: float = 1.0,
) -> dict[str, TokenMix]:
    """Describe the requests of each model over a history, all regions and tiers together.

    Means come from ``demand``, ratios and the dispersion at 1 s from ``shape``, weighted by requests. For a model that
    ``shape`` does not cover the ratios given stand: the defaults are those of lognormal lengths with a coefficient of
    variation of one, independent of each other (1 + CV^2 = 2 and (1 + CV^2)^3 = 8), and Poisson arrivals. Models
    without any known request are left out.
    """
    known = demand.drop_nulls(MEASURES).group_by("model", maintain_order=True).agg(pl.col(MEASURES).sum())
    measured = _moments(SHAPE.empty() if shape is None else shape)
    assumed = {
        "input_square_ratio": input_square_ratio,
        "input_cube_ratio": input_cube_ratio,
        "output_square_ratio": output_square_ratio,
        "cross_ratio": cross_ratio,
        "dispersion": dispersion,
    }
    return {
        row["model"]: TokenMix(
            input_tokens=row["input_tokens"] / row["requests"],
            output_tokens=row["output_tokens"] / row["requests"],
            **measured.get(row["model"], assumed),
        )
        for row in known.sort("model").to_dicts()
        if row["requests"] > 0
    }


def _moments(shape: pl.DataFrame) -> dict[str, dict[str, float]]:
    weight = pl.col("requests")
    names = [name for name in SHAPE.columns if name.endswith("_mean")] + ["dispersion_1s"]
    mean = shape.group_by("model").agg((pl.col(name) * weight).sum() / weight.sum() for name in names)
    ratios = mean.select(
        "model",
        input_square_ratio=pl.col("input_tokens_square_mean") / pl.col("input_tokens_mean") ** 2,
        input_cube_ratio=pl.col("input_tokens_cube_mean") / pl.col("input_tokens_mean") ** 3,
        output_square_ratio=pl.col("output_tokens_square_mean") / pl.col("output_tokens_mean") ** 2,
        cross_ratio=pl.col("input_output_mean") / (pl.col("input_tokens_mean") * pl.col("output_tokens_mean")),
        dispersion=pl.col("dispersion_1s"),
    )
    return {row.pop("model"): row for row in ratios.to_dicts()}


def rates_by(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return mean and peak rates per second over the known windows, one row per value of ``by`` (none: the whole).

    Columns ``rps_mean``, ``rps_peak``, ``input_tps_mean``, ... and ``peak_to_mean_ratio`` of the requests. A window in
    which any series of the group is unknown is left out.
    """
    window_s = window_s_of(demand)
    rates = {"rps": "requests", "input_tps": "input_tokens", "output_tps": "output_tokens"}
    sums = _known_sums(demand, *by)
    statistics = [
        expression
        for rate, measure in rates.items()
        for expression in (
            (pl.col(measure).mean() / window_s).alias(f"{rate}_mean"),
            (pl.col(measure).max() / window_s).alias(f"{rate}_peak"),
        )
    ]
    grouped = sums.group_by(by, maintain_order=True).agg(statistics) if by else sums.select(statistics)
    return grouped.with_columns(peak_to_mean_ratio=pl.col("rps_peak") / pl.col("rps_mean"))


def diurnal_profile(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the mean request rate per hour of the UTC day relative to the mean of all hours.

    One row per value of ``by``, day type (weekday, weekend) and hour, with ``rps_mean`` and ``relative_to_mean_ratio``.
    """
    at = pl.col("window_start").dt
    kind = pl.when(at.weekday() >= 6).then(pl.lit("weekend")).otherwise(pl.lit("weekday"))
    return _profile(demand, by, {"day_type": kind, "hour": at.hour()})


def weekly_profile(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the mean request rate per hour of the UTC week relative to the mean of all hours.

    One row per value of ``by``, weekday (1 = Monday) and hour, with ``rps_mean`` and ``relative_to_mean_ratio``.
    """
    at = pl.col("window_start").dt
    return _profile(demand, by, {"weekday": at.weekday(), "hour": at.hour()})


def _profile(demand: pl.DataFrame, by: tuple[str, ...], cells: Mapping[str, pl.Expr]) -> pl.DataFrame:
    sums = _known_sums(demand, *by).with_columns(**cells, rps=pl.col("requests") / window_s_of(demand))
    relative = pl.col("rps") / (pl.col("rps").mean().over(by) if by else pl.col("rps").mean())
    keys = [*by, *cells]
    profile = sums.with_columns(relative=relative).group_by(keys)
    return profile.agg(rps_mean=pl.col("rps").mean(), relative_to_mean_ratio=pl.col("relative").mean()).sort(keys)


def periodicity_score(demand: pl.DataFrame, *by: str, measure: str = "requests") -> pl.DataFrame:
    """Return how far a load repeats every day: autocorrelation of its hourly means at 24 h, clipped to 0-1.

    One row per value of ``by`` (region, model and tier where none is named) with ``periodicity_fraction``: correlation
    of hour t with hour t + 24 h over the hours in which both are known; null with fewer than 24 such pairs or a
    constant load. SageServe reports scores of 0.7-0.95 for fast interactive load and 0-0.29 for batch without saying
    how they are computed (sageserve.md section 3.3), so only the order can be compared.
    """
    keys = list(by or SERIES)
    hourly = _known_sums(demand, *keys).group_by(*keys, pl.col("window_start").dt.truncate("1h"))
    means = hourly.agg(pl.col(measure).mean())
    later = means.select(*keys, pl.col("window_start").dt.offset_by("-24h"), pl.col(measure).alias("later"))
    paired = means.join(later, on=[*keys, "window_start"], how="left")
    both = pl.col(measure).is_not_null() & pl.col("later").is_not_null()
    score = pl.corr(pl.col(measure).filter(both), pl.col("later").filter(both)).fill_nan(None)
    enough = both.sum() >= PAIRS_NEEDED
    fraction = pl.when(enough).then(score.clip(0.0, 1.0)).alias("periodicity_fraction")
    return paired.group_by(keys).agg(fraction).sort(keys)


def regional_split(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return each region's share of requests and tokens, within every value of ``by`` (such as ``"model"``)."""
    return _split(demand, "region", by)


def tier_split(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return each tier's share of requests and tokens, within every value of ``by`` (such as ``"region"``)."""
    return _split(demand, "tier", by)


def _split(demand: pl.DataFrame, of: str, by: tuple[str, ...]) -> pl.DataFrame:
    sums = demand.drop_nulls(MEASURES).group_by(*by, of).agg(pl.col(MEASURES).sum())
    shares = (
        (pl.col(name) / (pl.col(name).sum().over(by) if by else pl.col(name).sum())).alias(f"{name}_fraction")
        for name in MEASURES
    )
    return sums.with_columns(shares).select(*by, of, *(f"{name}_fraction" for name in MEASURES)).sort(*by, of)


def token_quantiles(
    store: Store,
    trace: str,
    *,
    quantiles: tuple[float, ...] = QUANTILES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return quantiles of prompt and output lengths per model and tier; one row per quantile.

    Raises TraceError for a trace that is a series of sums.
    """
    return store.token_quantiles(trace, quantiles=quantiles, since=since, until=until)


def characterise(demand: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the tables that describe a load at a glance, by the name of the question each answers."""
    return {
        "rates_by_model": rates_by(demand, "model"),
        "rates_by_tier": rates_by(demand, "tier"),
        "diurnal_profile": diurnal_profile(demand, "tier"),
        "weekly_profile": weekly_profile(demand, "tier"),
        "periodicity": periodicity_score(demand, "model", "tier"),
        "regional_split": regional_split(demand, "model"),
        "tier_split": tier_split(demand, "model"),
    }


def _known_sums(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Sum the series of each group per window; windows in which one of them is unknown are left out."""
    keys = ["window_start", *by]
    summed = demand.group_by(keys).agg(
        pl.when(pl.col(name).is_null().any()).then(None).otherwise(pl.col(name).sum()).alias(name) for name in MEASURES
    )
    return summed.drop_nulls(MEASURES).sort(*by, "window_start")
