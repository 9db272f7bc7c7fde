"""Requests from a workload, hour by hour in order of arrival, so that any number of them passes through little memory.

Every stream and hour has random numbers of its own, derived from the seed, its names and the number of the hour. What
comes out therefore depends on nothing but the workload, the seed and the span: not on how it is cut into batches, and a
stream that is left out changes nothing in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import TraceError
from workbench.tables import INSTANT, REQUESTS, TEXT
from workbench.traces.synthetic.arrivals import BLOCK_S, Course, courses, expected_requests
from workbench.traces.synthetic.workloads import Part, Workload
from workbench.units import SECONDS_PER_DAY, seed_for

ROWS_PER_BATCH = 250_000
Counts = npt.NDArray[np.int64]


def generate(
    workload: Workload,
    *,
    seed: int,
    start: datetime | None = None,
    days: float | None = None,
    requests: float | None = None,
    batch_rows: int = ROWS_PER_BATCH,
) -> Iterator[pl.DataFrame]:
    """Yield the requests of a workload in order of arrival, in batches of ``batch_rows`` (``REQUESTS``; last: fewer).

    ``start`` and ``days`` default to the span of the workload. ``requests`` is the expected number over the span, to
    which every stream is scaled alike; without it the workload's own rates stand, with growth and bursts on top.
    Equal workload, seed, start and span give equal rows, whatever the batches. Raises TraceError where there is
    nothing to make.
    """
    span_s = (workload.days if days is None else days) * SECONDS_PER_DAY
    if not span_s > 0 or batch_rows < 1 or not (requests is None or requests > 0):
        raise TraceError(
            f"a made trace needs a positive number of days and requests, got {span_s / SECONDS_PER_DAY:g} days and "
            f"{requests} requests in batches of {batch_rows}."
        )
    if not workload.rps > 0:
        raise TraceError(f"the workload '{workload.source}' has a rate of zero; give one of its streams a rate.")
    begin = workload.start if start is None else start
    laid = courses(workload, seed=seed, start=begin, span_s=span_s, requests=requests)
    return _batches(workload, laid, seed=seed, start=begin, span_s=span_s, batch_rows=batch_rows)


def expected(
    workload: Workload, *, start: datetime | None = None, days: float | None = None, requests: float | None = None
) -> float:
    """Return how many requests :func:`generate` is expected to make, before chance."""
    if requests is not None:
        return requests
    span_s = (workload.days if days is None else days) * SECONDS_PER_DAY
    begin = workload.start if start is None else start
    return expected_requests(courses(workload, seed=0, start=begin, span_s=span_s, requests=None))


def _batches(
    workload: Workload, laid: Sequence[Course], *, seed: int, start: datetime, span_s: float, batch_rows: int
) -> Iterator[pl.DataFrame]:
    labels = _Labels(workload)
    waiting: list[pl.DataFrame] = []
    rows = 0
    for block in range(int(np.ceil(span_s / BLOCK_S - 1e-9))):
        made = _block(laid, labels, block, seed=seed, start=start)
        waiting.append(made)
        rows += made.height
        if rows >= batch_rows:
            whole = pl.concat(waiting)
            full = rows - rows % batch_rows
            yield from (whole.slice(first, batch_rows) for first in range(0, full, batch_rows))
            waiting, rows = [whole.slice(full)], rows - full
    if rows:
        yield pl.concat(waiting)


class _Labels:
    """The texts of a workload by number, so that rows are sorted as numbers and labelled once."""

    def __init__(self, workload: Workload) -> None:
        self.usages = [workload.usage(stream.model, stream.tier) for stream in workload.streams]
        self.by_stream = {
            name: pl.Series([getattr(stream, name) for stream in workload.streams], dtype=TEXT)
            for name in ("region", "model", "tier")
        }
        self.apps = _Mixes([usage.apps for usage in self.usages])
        self.tenants = _Mixes([usage.tenants for usage in self.usages])


class _Mixes:
    """Mixes of keys by stream; a key is drawn as its number in ``keys``."""

    def __init__(self, mixes: list[tuple[Part, ...]]) -> None:
        numbers = {key: number for number, key in enumerate(dict.fromkeys(p.key for mix in mixes for p in mix))}
        self.keys = pl.Series(list(numbers), dtype=TEXT)
        self._numbers = [np.array([numbers[part.key] for part in mix]) for mix in mixes]
        self._edges = [np.cumsum([part.share for part in mix])[:-1] for mix in mixes]

    def drawn(self, stream: int, rows: int, random: np.random.Generator) -> npt.NDArray[np.int32]:
        """Draw the numbers of keys for some rows of a stream; one key alone takes no random number."""
        numbers, edges = self._numbers[stream], self._edges[stream]
        if not edges.size:
            return np.full(rows, numbers[0], dtype=np.int32)
        return numbers[np.searchsorted(edges, random.random(rows), side="right")].astype(np.int32)


def _block(laid: Sequence[Course], labels: _Labels, block: int, *, seed: int, start: datetime) -> pl.DataFrame:
    """Draw one hour of every stream and put it in order; equal instants stay in the order of the streams."""
    parts = []
    for number, course in enumerate(laid):
        stream = course.stream
        random = np.random.default_rng(seed_for(seed, "stream", stream.model, stream.region, stream.tier, str(block)))
        since_s = course.instants(block, random)
        if since_s.size:
            parts.append({"since_s": since_s, **_drawn(labels, number, since_s.size, random)})
    if not parts:
        return REQUESTS.empty()
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    since_us = np.floor(columns.pop("since_s") * 1e6).astype(np.int64)
    order = np.argsort(since_us, kind="stable")
    return _labelled(since_us[order], {name: values[order] for name, values in columns.items()}, labels, start)


def _drawn(labels: _Labels, stream: int, rows: int, random: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Draw everything but the instants of some requests of a stream, labels as numbers."""
    app, tenant = labels.apps.drawn(stream, rows, random), labels.tenants.drawn(stream, rows, random)
    prompt, output, cached = labels.usages[stream].lengths.drawn(rows, random)
    drawn = {"stream": np.full(rows, stream, dtype=np.int32), "app": app, "tenant": tenant}
    unknown = np.full(rows, -1, dtype=np.int64) if cached is None else cached
    return {**drawn, "input_tokens": prompt, "output_tokens": output, "cached_tokens": unknown}


def _labelled(since_us: Counts, columns: dict[str, npt.NDArray[Any]], labels: _Labels, start: datetime) -> pl.DataFrame:
    since = pl.Series("arrived_at", since_us).cast(pl.Duration("us"))
    named = {name: values.gather(columns["stream"]) for name, values in labels.by_stream.items()}
    mixed = {"app": labels.apps.keys.gather(columns["app"]), "tenant": labels.tenants.keys.gather(columns["tenant"])}
    lengths = {name: pl.Series(columns[name]) for name in ("input_tokens", "output_tokens", "cached_tokens")}
    frame = pl.DataFrame({"arrived_at": since, **named, **mixed, **lengths})
    cached = pl.when(pl.col("cached_tokens") >= 0).then(pl.col("cached_tokens"))
    return frame.with_columns(arrived_at=pl.lit(start, dtype=INSTANT) + pl.col("arrived_at"), cached_tokens=cached)
