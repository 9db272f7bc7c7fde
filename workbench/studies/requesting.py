"""Single requests for the replay: those of the trace, or drawn where only sums are known; once for all strategies.

A trace that is altered (a sample multiplied, another mix, bursts) has some of its requests several times: the first
stands where it came, every other somewhere in the same window of the demand. So what the fluid engine sees as sums is
what the replay plays, and bursts shorter than a window are not repeated as if nothing were chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from workbench import simulation
from workbench.domain import Fleet, Scenario
from workbench.simulation.agreement.drawing import requests_like
from workbench.simulation.loads import Laid, windows_per_mean
from workbench.studies.altering import Alteration
from workbench.studies.drafting import kept_whole
from workbench.studies.preparing import Span
from workbench.tables import DEMAND, INSTANT, REQUESTS
from workbench.traces.store import Reading
from workbench.units import SECONDS_PER_HOUR, after, seed_for

BLOCK_HOURS = 4
SERIES = ("region", "model", "tier")


@dataclass(frozen=True, kw_only=True)
class Filed:
    """Requests that lie in files, block after block in order of time; they can be read again and in other processes."""

    folder: Path

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield the blocks (``REQUESTS``)."""
        for file in sorted(self.folder.glob("*.parquet")):
            yield pl.read_parquet(file)


def file_requests(
    scenario: Scenario,
    store: Reading,
    span: Span,
    *,
    demand: pl.DataFrame,
    alteration: Alteration,
    fleet: Fleet,
    folder: Path,
) -> Filed:
    """Write the requests of the simulated span into files under ``folder``, unless they are there; whole or not at all.

    ``demand`` is the altered one: requests are drawn from it where the trace is a series of sums.
    """
    if not folder.is_dir():
        if store.describe(scenario.trace).header.kind == "series":
            blocks = drawn(demand, fleet, span, seed=scenario.seed)
        else:
            blocks = taken(scenario, store, span, alteration, fleet)
        with kept_whole(folder) as draft:
            for number, block in enumerate(blocks):
                block.write_parquet(draft / f"{number:05}.parquet", compression="zstd")
    return Filed(folder=folder)


def taken(
    scenario: Scenario, store: Reading, span: Span, alteration: Alteration, fleet: Fleet
) -> Iterator[pl.DataFrame]:
    """Yield the requests of a trace that arrive in the span, repeated as the load is altered."""
    models, regions = ([one.key for one in some] for some in (fleet.models, fleet.regions))
    for since, until in _blocks(span):
        found = store.requests(scenario.trace, since=since, until=until)
        block = found.filter(pl.col("model").is_in(models) & pl.col("region").is_in(regions))
        seed = seed_for(scenario.seed, "copies", since.isoformat())
        yield block if alteration.is_none else repeated(block, alteration, window_s=span.demand_window_s, seed=seed)


def repeated(requests: pl.DataFrame, alteration: Alteration, *, window_s: float, seed: int) -> pl.DataFrame:
    """Return every request as often as its factor says, on average; the copies lie in the same window of the demand.

    A factor of 2.3 is two requests, and a third with a chance of 0.3; one of 0.4 leaves four of ten.
    """
    random = np.random.default_rng(seed)
    factor = requests.select(alteration.factor("arrived_at").alias("factor")).get_column("factor").to_numpy()
    times = np.floor(factor + random.random(factor.size)).astype(np.int64)
    row = np.repeat(np.arange(times.size), times)
    is_copy = np.ones(row.size, dtype=bool)
    is_copy[(np.cumsum(times) - times)[times > 0]] = False
    window_us = round(window_s * 1e6)
    at_us = requests.get_column("arrived_at").dt.timestamp("us").to_numpy()[row]
    elsewhere = at_us // window_us * window_us + random.integers(0, window_us, row.size)
    instants = pl.Series(np.where(is_copy, elsewhere, at_us)).cast(INSTANT)
    return requests.select(pl.all().gather(row)).with_columns(arrived_at=instants).sort("arrived_at")


def drawn(demand: pl.DataFrame, fleet: Fleet, span: Span, *, seed: int) -> Iterator[pl.DataFrame]:
    """Yield requests drawn from sums: as many as come, in chance, with lengths about the means of their ten minutes.

    Gaps are filled as the fluid engine fills them, with the mean of the last known hour.
    """
    laid = simulation.lay_out(
        demand, fleet=fleet, start=span.as_of, hours=span.hours, demand_window_s=span.demand_window_s
    )
    means = _lengths(laid, fleet)
    for since, until in _blocks(span):
        first, last = (round((at - span.as_of).total_seconds() / span.demand_window_s) for at in (since, until))
        hours = (until - since).total_seconds() / SECONDS_PER_HOUR
        block = requests_like(
            _demand_of(laid, first, last),
            fleet,
            start=since,
            hours=hours,
            seed=seed_for(seed, "requests", since.isoformat()),
        )
        yield _scaled(block, means)


def _blocks(span: Span) -> Iterator[tuple[datetime, datetime]]:
    since = span.as_of
    while since < span.until:
        until = min(since + timedelta(hours=BLOCK_HOURS), span.until)
        yield since, until
        since = until


def _demand_of(laid: Laid, first: int, last: int) -> pl.DataFrame:
    """Return the requests of some windows of what was laid out, as ``DEMAND``; lengths are added later."""
    rates = laid.rps[first:last] + (laid.shed_rps[first:last] if laid.shed_rps.size else 0.0)
    window, *cell = np.indices(rates.shape).reshape(4, -1)
    starts = pl.Series([after(laid.start, (first + i) * laid.demand_window_s) for i in range(rates.shape[0])])
    named = {name: pl.Series(laid.keys[name]).gather(place) for name, place in zip(SERIES, cell, strict=True)}
    return DEMAND.conform(
        pl.DataFrame(
            {
                "window_start": starts.gather(window),
                **named,
                "requests": rates.reshape(-1) * laid.demand_window_s,
                "input_tokens": np.zeros(rates.size),
                "output_tokens": np.zeros(rates.size),
            }
        )
    )


def _lengths(laid: Laid, fleet: Fleet) -> pl.DataFrame:
    """Return by ten minutes and series how much longer prompts and outputs are than those of the model's mix."""
    per_mean = windows_per_mean(laid.demand_window_s)
    block, *cell = np.indices(laid.prompt_mean.shape).reshape(4, -1)
    starts = pl.Series(
        [after(laid.start, i * per_mean * laid.demand_window_s) for i in range(laid.prompt_mean.shape[0])],
        dtype=INSTANT,
    )
    mixes = [fleet.mixes[model] for model in laid.keys["model"]]
    usual = {name: np.array([getattr(mix, name) for mix in mixes]) for name in ("input_tokens", "output_tokens")}
    return pl.DataFrame(
        {
            "begin": starts.gather(block),
            **{name: pl.Series(laid.keys[name]).gather(place) for name, place in zip(SERIES, cell, strict=True)},
            "prompts": (laid.prompt_mean / usual["input_tokens"][None, None, :, None]).reshape(-1),
            "outputs": (laid.output_mean / usual["output_tokens"][None, None, :, None]).reshape(-1),
        }
    )


def _scaled(requests: pl.DataFrame, lengths: pl.DataFrame) -> pl.DataFrame:
    """Stretch lengths drawn from the mix to the means of their ten minutes and series."""
    found = requests.sort("arrived_at").join_asof(
        lengths.sort("begin"), left_on="arrived_at", right_on="begin", by=list(SERIES), check_sortedness=False
    )

    def stretched(name: str, by: str) -> pl.Expr:
        """Return lengths in whole tokens, one at least."""
        return (pl.col(name) * pl.col(by)).round().clip(lower_bound=1).cast(pl.Int64)

    return REQUESTS.conform(
        found.with_columns(
            input_tokens=stretched("input_tokens", "prompts"), output_tokens=stretched("output_tokens", "outputs")
        )
    )
