"""Everything there is to say about a load, in one call: tables by the name of the question each answers.

What a trace cannot answer is left out with the reason, so that a reader is never shown an empty chart in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from workbench.domain import Tier
from workbench.errors import CatalogError
from workbench.features.burstiness import (
    counts_by_scale,
    counts_of_demand,
    dispersion,
    gap_cv,
    gaps_by_hour,
    peak_to_mean,
)
from workbench.features.demand import demand as demand_of
from workbench.features.lengths import (
    cache_hits,
    length_distribution,
    length_drift,
    length_histogram,
    length_moments,
    output_by_prompt,
    token_quantiles,
)
from workbench.features.mixes import deferrable_over_time, deferrable_share, regional_split, tier_split
from workbench.features.periodicity import periodicity_score
from workbench.features.profiles import diurnal_profile, weekly_profile
from workbench.features.rates import daily_totals, known_by_series, rates_by, whole_windows, window_for
from workbench.features.regions import regional_imbalance, regional_lags
from workbench.features.senders import concentration, top_senders
from workbench.tables import window_s_of
from workbench.traces.store import Reading
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE, seconds_between, span_in_words

#: What only single requests can answer.
OF_REQUESTS = (
    "gap_cv",
    "token_quantiles",
    "length_distribution",
    "length_drift",
    "length_moments",
    "output_by_prompt",
    "top_apps",
    "top_tenants",
    "concentration",
    "cache_hits",
)
Tables = dict[str, pl.DataFrame]
Reasons = dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Characterisation:
    """A load described: its DEMAND in whole windows, ``tables`` by name, and why those of ``skipped`` are not there."""

    trace: str
    demand: pl.DataFrame
    tables: Mapping[str, pl.DataFrame]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        """Tell whether all tables of these names are there."""
        return all(name in self.tables for name in names)

    @property
    def window_s(self) -> float:
        """Length of the windows of ``demand`` and of every table over time."""
        return window_s_of(self.demand)


def characterise(
    store: Reading,
    trace: str,
    *,
    tiers: Mapping[str, Tier] | None = None,
    window_s: float | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Characterisation:
    """Describe a trace: rates, profiles, periodicity, regions, burstiness, lengths, mix, senders and cache hits.

    Only aggregates leave the store. ``window_s`` is the window of rates and of everything over time; None takes an
    hour, or less for a short trace (:func:`~workbench.features.rates.window_for`). ``tiers`` are the facts that say
    which load may wait. A series answers what sums can answer. Each table is described at the function that makes it;
    burstiness is by model and tier, lengths over time by model. Rates and shapes leave out a first and last window that
    the span of a request trace cuts. Raises TraceError where the trace is not there or has
    nothing in the span.
    """
    info = store.describe(trace)
    first, last = max(since or info.first_at, info.first_at), min(until or info.last_at, info.last_at)
    span_s = max(0.0, seconds_between(first, last))
    native_s = info.header.window_s
    chosen = window_s or window_for(span_s, native_s=native_s)
    load = demand_of(store, trace, window_s=chosen, since=since, until=until)
    if info.header.kind != "requests":
        fine = (
            load if native_s in (None, chosen) else demand_of(store, trace, window_s=native_s, since=since, until=until)
        )
        described = characterise_demand(load, fine=fine, tiers=tiers, trace=trace)
        why = f"Trace {trace} is a series of sums and holds no single requests."
        return Characterisation(
            trace=trace,
            demand=load,
            tables=described.tables,
            skipped={**described.skipped, **dict.fromkeys(OF_REQUESTS, why)},
        )
    whole = whole_windows(load, since=first, until=last)
    described = characterise_demand(load, fine=whole, tiers=tiers, trace=trace)
    tables, skipped = _of_requests(store, trace, load, span_s, since, until)
    tables["daily_totals"] = daily_totals(load)
    return Characterisation(
        trace=trace, demand=whole, tables={**described.tables, **tables}, skipped={**described.skipped, **skipped}
    )


def characterise_demand(
    demand: pl.DataFrame,
    *,
    fine: pl.DataFrame | None = None,
    tiers: Mapping[str, Tier] | None = None,
    trace: str = "demand",
) -> Characterisation:
    """Describe a DEMAND: what sums per window can tell, as :func:`characterise` does for a series.

    ``fine`` is the same load in shorter windows, without it the demand's own are used: rates, shapes and shares are
    taken from its windows, as one unknown minute would make a whole hour unknown. What is known of one measure or
    series is told whatever is unknown of another.
    """
    close = demand if fine is None else fine
    counts = counts_of_demand(close)
    tables = {
        "rates": rates_by(close),
        "known": known_by_series(close),
        "rates_by_model": rates_by(close, "model"),
        "rates_by_region": rates_by(close, "region"),
        "rates_by_tier": rates_by(close, "tier"),
        "daily_totals": daily_totals(close),
        "regional_split": regional_split(close, "model"),
        "tier_split": tier_split(close, "model"),
        "dispersion": dispersion(counts),
        "peak_to_mean": peak_to_mean(counts),
    }
    skipped: Reasons = {}
    for found, reasons in (
        _in_time(close),
        _between_regions(demand, close),
        _waiting(close, tiers, window_s_of(demand)),
    ):
        tables |= found
        skipped |= reasons
    return Characterisation(trace=trace, demand=demand, tables=tables, skipped=skipped)


def _in_time(demand: pl.DataFrame) -> tuple[Tables, Reasons]:
    window_s = window_s_of(demand)
    span_s = (demand.get_column("window_start").n_unique()) * window_s
    made: dict[str, tuple[float, str, Callable[[], pl.DataFrame]]] = {
        "diurnal_profile": (0.99, "a day", lambda: diurnal_profile(demand, "tier")),
        "diurnal_profile_by_region": (0.99, "a day", lambda: diurnal_profile(demand, "region")),
        "weekly_profile": (6.5, "a week", lambda: weekly_profile(demand, "tier")),
        "periodicity": (1.5, "two days", lambda: periodicity_score(demand, "model", "tier")),
    }
    if window_s > SECONDS_PER_HOUR:
        return {}, dict.fromkeys(made, f"It takes windows of an hour or less, and these are {span_in_words(window_s)}.")
    tables = {name: make() for name, (days, _, make) in made.items() if span_s >= days * SECONDS_PER_DAY}
    skipped = {
        name: f"It takes {length} of load, and this span has {span_s / SECONDS_PER_HOUR:,.1f} hours."
        for name, (_, length, _) in made.items()
        if name not in tables
    }
    return tables, skipped


def _between_regions(demand: pl.DataFrame, close: pl.DataFrame) -> tuple[Tables, Reasons]:
    names = ("regional_imbalance", "regional_lags")
    regions = demand.get_column("region").unique().to_list()
    if len(regions) < 2:
        return {}, dict.fromkeys(names, f"All load comes from one region, {regions[0] if regions else 'none'}.")
    return {"regional_imbalance": regional_imbalance(close, "model"), "regional_lags": regional_lags(demand)}, {}


def _waiting(close: pl.DataFrame, tiers: Mapping[str, Tier] | None, window_s: float) -> tuple[Tables, Reasons]:
    names = ("deferrable_share", "deferrable_over_time")
    if tiers is None:
        return {}, dict.fromkeys(names, "Which tier may wait was not given.")
    try:
        by_model = deferrable_share(close, "model", tiers=tiers)
    except CatalogError as error:
        return {}, dict.fromkeys(names, f"{error}"[:1].upper() + f"{error}"[1:])
    return {names[0]: by_model, names[1]: deferrable_over_time(close, window_s=window_s, tiers=tiers)}, {}


def _of_requests(
    store: Reading, trace: str, demand: pl.DataFrame, span_s: float, since: datetime | None, until: datetime | None
) -> tuple[Tables, Reasons]:
    drift_s = next((s for s in (SECONDS_PER_DAY, SECONDS_PER_HOUR) if span_s >= 2 * s), 10 * SECONDS_PER_MINUTE)
    hours = counts_of_demand(demand, scales_s=(SECONDS_PER_HOUR,))
    counts = pl.concat([counts_by_scale(store, trace, since=since, until=until), hours])
    histogram = length_histogram(store, trace, window_s=drift_s, since=since, until=until)
    tables = {
        "dispersion": dispersion(counts),
        "peak_to_mean": peak_to_mean(counts),
        "gap_cv": gap_cv(gaps_by_hour(store, trace, since=since, until=until)),
        "token_quantiles": token_quantiles(store, trace, since=since, until=until),
        "length_distribution": length_distribution(histogram, "model"),
        "length_drift": length_drift(histogram, "model"),
        "length_moments": length_moments(store, trace, since=since, until=until),
        "output_by_prompt": output_by_prompt(store, trace, since=since, until=until),
    }
    named, skipped = _senders(store, trace, since, until)
    hits = cache_hits(store, trace, window_s=window_s_of(demand), since=since, until=until)
    if hits.get_column("known_fraction").max() == 0.0:
        skipped["cache_hits"] = "No request says how much of its prompt a cache held."
        return tables | named, skipped
    return tables | named | {"cache_hits": hits}, skipped


def _senders(store: Reading, trace: str, since: datetime | None, until: datetime | None) -> tuple[Tables, Reasons]:
    tables: Tables = {}
    spreads = []
    for of, name in (("app", "top_apps"), ("tenant", "top_tenants")):
        spread = concentration(store, trace, of=of, since=since, until=until)  # type: ignore[arg-type]
        if spread.height:
            spreads.append(spread)
            tables[name] = top_senders(store, trace, of=of, since=since, until=until)  # type: ignore[arg-type]
    missing = {"top_apps": "app", "top_tenants": "tenant"}
    skipped = {name: f"No request names its {of}." for name, of in missing.items() if name not in tables}
    if spreads:
        return tables | {"concentration": pl.concat(spreads)}, skipped
    return tables, skipped | {"concentration": "No request names its app or tenant."}
