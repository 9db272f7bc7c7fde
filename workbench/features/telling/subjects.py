"""What the tables of a characterisation are about, in words: their subjects, and what their numbers mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl
from polars import selectors

#: Table -> what it shows, as it is named where it is not there.
SUBJECTS: Mapping[str, str] = {
    "diurnal_profile": "the shape of a day",
    "diurnal_profile_by_region": "the shape of a day by region",
    "weekly_profile": "the shape of a week",
    "periodicity": "how far the days repeat",
    "regional_imbalance": "how uneven the regions are",
    "regional_lags": "how far the regions run behind each other",
    "deferrable_share": "how much may wait",
    "deferrable_over_time": "when it may wait",
    "gap_cv": "the gaps between arrivals",
    "token_quantiles": "percentiles of the lengths",
    "length_distribution": "how long the requests are",
    "length_drift": "whether lengths drift",
    "length_moments": "whether prompts and outputs go together",
    "output_by_prompt": "outputs by the length of the prompt",
    "top_apps": "the largest apps",
    "top_tenants": "the largest tenants",
    "concentration": "how concentrated the senders are",
    "cache_hits": "what a prefix cache held",
}
#: Table -> one plain sentence on the measure that it shows.
MEANINGS: Mapping[str, str] = {
    "known": "The share of time known is the part of the windows of the span of which the source says what arrived.",
    "dispersion": "Dispersion is the variance of the counts per bin over their mean: 1 where requests come at random, "
    "more where they come in bursts.",
    "gap_cv": "The coefficient of variation of the gaps is their standard deviation over their mean: 0 for a clock, 1 "
    "for requests at random, more for bursts and silences.",
    "periodicity": "The score is the share of the ups and downs that the same hours of the other days explain: 1 "
    "repeats exactly, 0 is no better than the mean.",
    "length_moments": "The correlation runs from -1 to 1: 0 says that a prompt's length tells nothing of its output's, "
    "1 that the two always grow together.",
}

#: A model or series that is known for less of the time than this is named: its mean leans to the hours that are known.
KNOWN_FRACTION = 0.9
#: Tables of one row per group, which only repeat the whole where there is one group.
BY_GROUP = ("rates_by_model", "rates_by_region", "rates_by_tier", "top_apps", "top_tenants", "regional_imbalance")
#: Shares -> the column of which there must be two for them not to be 100 % each.
SPLITS: Mapping[str, str] = {"regional_split": "region", "tier_split": "tier"}


def says_more(name: str, frame: pl.DataFrame) -> bool:
    """Tell whether a chart or table says more than its sentence: one group alone, or nothing but zeros, do not."""
    if name in BY_GROUP:
        return frame.height > 1
    if name in SPLITS:
        return frame.get_column(SPLITS[name]).n_unique() > 1
    if name == "known":
        return bool(frame.select(pl.min_horizontal(selectors.float().min())).item() < KNOWN_FRACTION)
    if name == "daily_totals":
        return frame.get_column("requests").drop_nulls().len() > 0
    if name in ("deferrable_share", "deferrable_over_time"):
        return bool((frame.get_column("requests_deferrable_fraction") > 0).any())
    return True


def not_shown(skipped: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return why tables of these names are not there, one sentence for all that share a reason."""
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if name in skipped:
            by_reason.setdefault(skipped[name], []).append(SUBJECTS.get(name, name.replace("_", " ")))
    return [f"Not shown: {'; '.join(subjects)}. {reason}" for reason, subjects in by_reason.items()]
