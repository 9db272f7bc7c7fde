"""A workload fitted to any trace of the store: rates, rhythm, growth, noise, lengths and mixes, but none of its rows.

What is kept: the level, rhythm and noise of every region, model and tier; the joint distribution of prompt and output
lengths (and of cached parts) of every model and tier; applications; the shares of clients under other names. What is
not: silences of seconds to minutes between bursts, which client sends when, how lengths change over the day, and that
one series bursts when another does.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from workbench.errors import TraceError
from workbench.traces.store import Reading
from workbench.traces.synthetic.fitted_noise import noise_of
from workbench.traces.synthetic.fitted_rates import counted, grid_of, growth_of, rhythms_of
from workbench.traces.synthetic.fitted_usages import usages_of_requests, usages_of_sums
from workbench.traces.synthetic.workloads import Stream, Usage, Workload
from workbench.units import SECONDS_PER_DAY, seconds_between

LABELS = ("region", "model", "tier")


def fit(store: Reading, trace: str, *, since: datetime | None = None, until: datetime | None = None) -> Workload:
    """Fit a workload to a trace, or to the part of it in [since, until).

    Works on requests and on series of sums; of a series only the means of the lengths are known, so lognormal lengths
    with a coefficient of variation of one are assumed, and the notes of the workload say so. How well a copy agrees is
    told by :func:`workbench.traces.synthetic.agreement.agreement`. Raises TraceError where the trace is not there or
    has no requests in the span.
    """
    info = store.describe(trace)
    native_s = info.header.window_s
    end = info.last_at + timedelta(seconds=native_s) if native_s else info.last_at + timedelta(microseconds=1)
    first, last = max(since or info.first_at, info.first_at), min(until or end, end)
    if first >= last:
        raise TraceError(
            f"trace '{trace}' has nothing between {first} and {last}; it lasts from {info.first_at} to {info.last_at} "
            "UTC."
        )
    grid = grid_of(first, last, native_s=native_s)
    counts = counted(store, trace, grid, since=first, until=last)
    if counts.requests.sum() <= 0:
        raise TraceError(f"trace '{trace}' has no known request between {first} and {last}; there is nothing to fit.")
    growth = growth_of(counts)
    rates = rhythms_of(counts, growth_per_week=growth)
    noise = noise_of(store, trace, since=first, until=last, slot_s=grid.slot_s)
    streams = tuple(
        Stream(
            region=region,
            model=model,
            tier=tier,
            rps=rps,
            rhythm=rhythm,
            noise=noise.get((region, model, tier), ()),
        )
        for (region, model, tier), (rps, rhythm) in rates.items()
    )
    usages, notes = _usages(store, trace, streams, since=first, until=last)
    return Workload(
        source=f"fitted to trace {trace}, {first} to {last} UTC",
        start=first.replace(microsecond=0),
        days=seconds_between(first.replace(microsecond=0), last) / SECONDS_PER_DAY,
        anchor=grid.anchor,
        streams=streams,
        usages=usages,
        growth_per_week=growth,
        notes=notes,
    )


def _usages(
    store: Reading, trace: str, streams: tuple[Stream, ...], *, since: datetime, until: datetime
) -> tuple[tuple[Usage, ...], tuple[str, ...]]:
    native_s = store.describe(trace).header.window_s
    if native_s is None:
        usages = usages_of_requests(store, trace, since=since, until=until)
        met = {(usage.model, usage.tier) for usage in usages}
        rare = sorted({(stream.model, stream.tier) for stream in streams} - met)
        if not rare:
            return usages, ()
    else:
        usages, rare = (), sorted({(stream.model, stream.tier) for stream in streams})
    hourly = store.sum_by_window(trace, window_s=native_s or 3600.0, since=since, until=until).drop_nulls()
    sums = hourly.group_by("model", "tier").agg(pl.col("requests", "input_tokens", "output_tokens").sum())
    wanted = pl.DataFrame(rare, schema=["model", "tier"], orient="row")
    assumed = usages_of_sums(sums.join(wanted, on=["model", "tier"], how="semi"))
    named = ", ".join(f"{model} {tier}" for model, tier in rare)
    return (*usages, *assumed), (
        f"lengths of {named} are lognormal with a coefficient of variation of one about the right means: single "
        "requests are not known, or too rare to be in the sample",
    )
