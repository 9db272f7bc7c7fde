"""How long requests are: quantiles, histograms on a log scale, drift, and what a prompt tells about its output.

Lengths span five decades, so bins are eighths of an octave (9 % wide) and distances are told in octaves: one octave
longer is twice as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from workbench.features.asking import BY, ask, grouped
from workbench.traces.store import Reading, load_queries
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SURE = 1.358  # two samples of one law lie further apart in 5 % of cases (Kolmogorov and Smirnov, two-sided)
BIN_COLUMNS = ("window_start", "measure", "tokens_low", "tokens_high", "requests")


def token_quantiles(
    store: Reading,
    trace: str,
    *,
    quantiles: tuple[float, ...] = QUANTILES,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return exact quantiles of prompt and output lengths per model and tier; one row per quantile.

    Raises TraceError for a trace that is a series of sums.
    """
    return store.token_quantiles(trace, quantiles=quantiles, since=since, until=until)


def length_histogram(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = BY,
    window_s: float = SECONDS_PER_DAY,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return how many requests have which length, per window, group and ``measure`` (input_tokens, output_tokens).

    One row per bin that is not empty: ``tokens_low`` <= length < ``tokens_high``, ``requests``. Raises TraceError for
    a series.
    """
    query = load_queries.length_bins(grouped(by))
    rows = ask(store, trace, query, since=since, until=until, window_us=round(window_s * 1e6))
    octave = pl.col("bin") / load_queries.BINS_PER_OCTAVE
    edges = {"tokens_low": 2.0**octave, "tokens_high": 2.0 ** (octave + 1 / load_queries.BINS_PER_OCTAVE)}
    return rows.with_columns(**edges).select("window_start", *by, *BIN_COLUMNS[1:])


def length_distribution(histogram: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the share of requests below each length over all windows of a :func:`length_histogram`.

    One row per value of ``by``, measure and bin: ``tokens_low``, ``tokens_high``, ``requests``, ``fraction`` of the
    requests in the bin and ``below_fraction``, the share shorter than ``tokens_high``.
    """
    keys = [*by, "measure"]
    bins = histogram.group_by(*keys, "tokens_low", "tokens_high").agg(pl.col("requests").sum())
    share = pl.col("requests") / pl.col("requests").sum().over(keys)
    ordered = bins.sort(*keys, "tokens_low").with_columns(fraction=share)
    return ordered.with_columns(below_fraction=pl.col("fraction").cum_sum().over(keys))


def length_drift(histogram: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return how far the lengths of each window differ from those of the first one, from a :func:`length_histogram`.

    One row per value of ``by``, measure and window: ``requests``, ``tokens_p50`` and ``tokens_p95`` (within 9 %,
    interpolated in the bin), ``ks_fraction``, the largest distance between the two cumulative distributions (0 the
    same, 1 apart), ``ks_chance_fraction``, what chance alone exceeds in one case of twenty at these numbers of
    requests, and ``shift_octaves``, the area between the two curves over log2 of the length (Wasserstein distance: 1
    when every request is twice as long).
    """
    keys = [*by, "measure"]
    bins = histogram.group_by(*keys, "window_start", "tokens_low", "tokens_high").agg(pl.col("requests").sum())
    known = bins.select(*keys, "tokens_low", "tokens_high").unique()
    windows = bins.select(*keys, "window_start").unique()
    grid = windows.join(known, on=keys).join(bins, on=[*keys, "window_start", "tokens_low", "tokens_high"], how="left")
    each = [*keys, "window_start"]
    ordered = grid.with_columns(pl.col("requests").fill_null(0)).sort(*each, "tokens_low")
    below = pl.col("requests").cum_sum().over(each) / pl.col("requests").sum().over(each)
    curves = ordered.with_columns(below=below, total=pl.col("requests").sum().over(each))
    first = curves.filter(pl.col("window_start") == pl.col("window_start").min().over(keys))
    first = first.select(*keys, "tokens_low", first_below="below", first_total="total")
    paired = curves.join(first, on=[*keys, "tokens_low"]).sort(*each, "tokens_low")
    return paired.group_by(each, maintain_order=True).agg(_distances()).sort(each)


def _distances() -> list[pl.Expr]:
    n, m = pl.col("total").first(), pl.col("first_total").first()
    distance = pl.col("below") - pl.col("first_below")
    before, after = distance.shift(1, fill_value=0.0).abs(), distance.abs()
    crosses = distance.shift(1, fill_value=0.0) * distance < 0
    # inside a bin the distance runs straight, through zero where it changes sign; between two bins it stays
    inside = pl.when(crosses).then((before**2 + after**2) / (2 * (before + after))).otherwise((before + after) / 2)
    low, high = pl.col("tokens_low").log(2), pl.col("tokens_high").log(2)
    between = before * (low - high.shift(1)).fill_null(0.0)
    return [
        n.alias("requests"),
        _interpolated(0.5).alias("tokens_p50"),
        _interpolated(0.95).alias("tokens_p95"),
        after.max().alias("ks_fraction"),
        (SURE * ((n + m) / (n.cast(pl.Float64) * m)).sqrt()).clip(upper_bound=1.0).alias("ks_chance_fraction"),
        (inside * (high - low) + between).sum().alias("shift_octaves"),
    ]


def _interpolated(level: float) -> pl.Expr:
    reached = (pl.col("below") >= level - 1e-12) & (pl.col("requests") > 0)
    low, high = (pl.col(name).filter(reached).first().log(2) for name in ("tokens_low", "tokens_high"))
    at, inside = pl.col("below").filter(reached).first(), pl.col("requests").filter(reached).first()
    part = 1.0 - (at - level) * pl.col("total").first() / inside
    return 2.0 ** (low + (high - low) * part.clip(0.0, 1.0))


def length_moments(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = BY,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return means and spread of the lengths and how prompt and output go together, one row per group.

    ``requests``; ``input_tokens_mean``, ``_cv`` and ``_max``, the same for output; ``correlation`` of the two lengths
    and ``log_correlation`` of their logarithms, which a few giants cannot decide; null where one of them never varies.
    Raises TraceError for a series.
    """
    sums = ask(store, trace, load_queries.length_moments(grouped(by)), since=since, until=until)
    return sums.select(
        *by,
        pl.col("n").cast(pl.Int64).alias("requests"),
        input_tokens_mean=_mean("p"),
        input_tokens_cv=_variance("p").sqrt() / _mean("p"),
        input_tokens_max="input_tokens_max",
        output_tokens_mean=_mean("o"),
        output_tokens_cv=_variance("o").sqrt() / _mean("o"),
        output_tokens_max="output_tokens_max",
        correlation=_correlation("p", "o"),
        log_correlation=_correlation("lp", "lo"),
    )


def _mean(name: str) -> pl.Expr:
    return pl.col(name) / pl.col("n")


def _variance(name: str) -> pl.Expr:
    return (_mean(name * 2) - _mean(name) ** 2).clip(lower_bound=0.0)


def _correlation(first: str, second: str) -> pl.Expr:
    varies = (_variance(first) > 1e-12 * _mean(first * 2)) & (_variance(second) > 1e-12 * _mean(second * 2))
    shared = _mean(first + second) - _mean(first) * _mean(second)
    return pl.when(varies).then((shared / (_variance(first) * _variance(second)).sqrt()).clip(-1.0, 1.0))


def output_by_prompt(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = ("model",),
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return how long outputs are for prompts of one octave (``input_tokens_low`` <= prompt < twice that).

    One row per group and octave: ``requests``, ``output_tokens_mean``, ``output_tokens_p50``, ``output_tokens_p90``.
    Raises TraceError for a series.
    """
    rows = ask(store, trace, load_queries.output_by_prompt(grouped(by)), since=since, until=until)
    return rows.with_columns(input_tokens_low=(2.0 ** pl.col("octave")).cast(pl.Int64)).select(
        *by, "input_tokens_low", "requests", "output_tokens_mean", "output_tokens_p50", "output_tokens_p90"
    )


def cache_hits(
    store: Reading,
    trace: str,
    *,
    by: Sequence[str] = ("model",),
    window_s: float = SECONDS_PER_HOUR,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return the share of prompt tokens that a prefix cache held, per window and group.

    ``cached_fraction`` of the tokens of requests whose cached part is known (null where none is), ``known_fraction``
    of the requests for which it is, ``input_tokens`` it rests on. Raises TraceError for a series.
    """
    query = load_queries.cached(grouped(by))
    rows = ask(store, trace, query, since=since, until=until, window_us=round(window_s * 1e6))
    known = pl.col("input_tokens_known")
    return rows.select(
        "window_start",
        *by,
        cached_fraction=pl.when(known > 0).then(pl.col("cached_tokens") / known),
        known_fraction=pl.col("requests_known") / pl.col("requests"),
        input_tokens=known,
    )
