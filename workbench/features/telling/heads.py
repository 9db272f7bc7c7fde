"""Heads of tables in words: what a reader of a page or of a terminal sees for a column, with its unit."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

_RATES = {"rps": "requests", "input_tps": "input tokens", "output_tps": "output tokens"}
_MEASURES = ("requests", "input_tokens", "output_tokens")
#: Column of a table -> its head in words and with its unit; a share whose head says % is shown in per cent.
HEADS: Mapping[str, str] = {
    **{f"{rate}_{end}": f"{what}/s, {end}" for rate, what in _RATES.items() for end in ("mean", "peak")},
    **{f"{what}_tokens_{end}": f"{what} tokens, {end}" for what in ("input", "output") for end in ("mean", "max")},
    **{f"{what}_tokens": f"{what} tokens" for what in ("input", "output")},
    **{f"{name}_deferrable_fraction": f"{name.replace('_', ' ')} that may wait, %" for name in _MEASURES},
    **{f"{name}_known_fraction": f"{name.replace('_', ' ')} known, % of the time" for name in _MEASURES},
    **{f"{name}_fraction": f"share of {name.replace('_', ' ')}, %" for name in _MEASURES},
    "input_tokens_cv": "input tokens, standard deviation / mean",
    "output_tokens_cv": "output tokens, standard deviation / mean",
    "peak_to_mean_ratio": "requests, peak / mean",
    "known_fraction": "known, % of the time",
    "together_fraction": "all known at once, % of the time",
    "day": "day (UTC)",
    "day_type": "kind of day",
    "hour": "hour (UTC)",
    "relative_to_mean_ratio": "rate / mean rate",
    "interactive_to_deferrable_ratio": "requests that may not wait / that may",
    "periodicity_fraction": "explained by the other days, %",
    "autocorrelation_24h": "correlation with the next day",
    "hours": "hours known",
    "busiest_to_quietest_ratio": "busiest / quietest",
    "busiest_fraction": "share of the busiest, %",
    "busiest_p05_fraction": "share of the busiest, P5, %",
    "busiest_p95_fraction": "share of the busiest, P95, %",
    "lag_h": "later by, h",
    "reference": "than",
    "correlation": "correlation",
    "correlation_now": "correlation without a lag",
    "scale_s": "bin, s",
    "dispersion": "variance / mean of counts",
    "gap_mean_s": "gap, mean, s",
    "gap_cv": "gap, standard deviation / mean, within an hour",
    "gap_cv_whole": "gap, standard deviation / mean, over all",
    "log_correlation": "correlation of the logarithms",
    "quantile": "share that is shorter",
    "cached_fraction": "found in a cache, %",
    "cumulative_fraction": "this and the larger ones, %",
    "of": "kind",
    "senders": "how many",
    "top_fraction": "requests of the largest, %",
    "effective_senders": "equal ones that were as concentrated",
    "gini_fraction": "Gini (0 all equal, 1 all from one)",
    "unnamed_fraction": "requests that name none, %",
}


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of a characterisation as a person reads it: heads in words with units, shares in per cent."""
    columns = []
    for name, dtype in frame.schema.items():
        head = HEADS.get(name, name.replace("_", " "))
        value = pl.col(name).dt.date() if name == "day" and dtype == pl.Datetime else pl.col(name)
        columns.append((value * 100 if "%" in head else value).alias(head))
    return frame.select(columns)
