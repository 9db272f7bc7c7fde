"""A characterisation in words: one sentence or two for each table, built from its numbers.

Nothing is computed that the tables do not hold but extremes and shares of them. What was left out says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from workbench.features.characterise import Characterisation
from workbench.features.telling import in_time, of_requests, whose
from workbench.features.telling.heads import readable
from workbench.features.telling.subjects import MEANINGS, not_shown, says_more

__all__ = ["MEANINGS", "TELLERS", "in_words", "readable", "says_more", "sentences"]

TELLERS: Mapping[str, Callable[[pl.DataFrame], str]] = {
    "rates": in_time.rates,
    "known": in_time.known,
    "rates_by_model": in_time.rates_by("model", "model"),
    "rates_by_region": in_time.rates_by("region", "region"),
    "rates_by_tier": in_time.rates_by("tier", "tier"),
    "daily_totals": in_time.days,
    "diurnal_profile": in_time.diurnal,
    "diurnal_profile_by_region": in_time.diurnal,
    "weekly_profile": in_time.weekly,
    "periodicity": in_time.periodicity,
    "regional_imbalance": whose.imbalance,
    "regional_lags": whose.lags,
    "deferrable_share": whose.waiting,
    "deferrable_over_time": whose.waiting_in_time,
    "gap_cv": of_requests.gaps,
    "dispersion": of_requests.dispersion,
    "peak_to_mean": of_requests.peaks,
    "length_distribution": of_requests.lengths,
    "length_drift": of_requests.drift,
    "length_moments": of_requests.moments,
    "top_apps": whose.senders,
    "top_tenants": whose.senders,
    "concentration": whose.concentration,
    "cache_hits": of_requests.caching,
}


def in_words(load: Characterisation) -> dict[str, str]:
    """Return what each table of a characterisation says, by the table's name; for one that was skipped, why.

    A table that holds nothing to tell, such as scores of loads too short to score, says so; one that would only repeat
    another, or has nothing to add, says an empty text.
    """
    said = {name: tell(load.tables[name]) for name, tell in TELLERS.items() if load.has(name)}
    return {name: not_shown(load.skipped, [name])[0] for name in load.skipped} | said


def sentences(load: Characterisation, *names: str) -> list[str]:
    """Return what tables of these names say, what their measures mean, and at the end what is not shown and why.

    No sentence comes twice, and what is missing for one reason is named together.
    """
    told = []
    for name in names:
        if load.has(name) and name in TELLERS and (said := TELLERS[name](load.tables[name])):
            told += [said, *filter(None, [MEANINGS.get(name)])]
    return list(dict.fromkeys(told)) + not_shown(load.skipped, names)
