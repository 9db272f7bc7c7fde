"""What requests look like, per model and tier: lengths, applications and clients, from a bounded sample of a trace.

A trace of any size is read in stretches spread evenly over its span, about ``SAMPLE_ROWS`` rows in all, so busy hours
count as much as they weigh. Clients are renamed by rank, since a workload is meant to be shared and names are not;
applications keep their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl

from workbench.traces.store import Reading
from workbench.traces.synthetic.lengths import law_of_means, law_of_rows
from workbench.traces.synthetic.workloads import Part, Usage

SAMPLE_ROWS = 2_000_000
STRETCH_ROWS = 100_000
PARTS_KEPT = 100
OTHER = "other"
COLUMNS = ("model", "tier", "app", "tenant", "input_tokens", "output_tokens", "cached_tokens")


def usages_of_requests(store: Reading, trace: str, *, since: datetime, until: datetime) -> tuple[Usage, ...]:
    """Fit lengths and mixes to the requests of a span, one usage per model and tier."""
    sample = pl.concat(_stretches(store, trace, since=since, until=until))
    return tuple(
        _usage(part) for part in sample.sort("model", "tier", maintain_order=True).partition_by("model", "tier")
    )


def usages_of_sums(sums: pl.DataFrame) -> tuple[Usage, ...]:
    """Assume lognormal lengths of the right means for a series, which has no single requests.

    ``sums`` holds model, tier and the sums of requests and tokens.
    """
    return tuple(
        Usage(
            model=row["model"],
            tier=row["tier"],
            lengths=law_of_means(
                row["input_tokens"] / row["requests"] if row["requests"] else 1.0,
                row["output_tokens"] / row["requests"] if row["requests"] else 1.0,
            ),
        )
        for row in sums.sort("model", "tier").to_dicts()
    )


def _stretches(store: Reading, trace: str, *, since: datetime, until: datetime) -> Iterator[pl.DataFrame]:
    rows = store.describe(trace).rows
    stretches = max(1, -(-rows // STRETCH_ROWS))
    wanted = max(1, SAMPLE_ROWS // STRETCH_ROWS)
    every = max(1, -(-stretches // wanted))
    length = (until - since) / stretches
    for number in range(every // 2 if every > 1 else 0, stretches, every):
        low = since + number * length
        high = until if number == stretches - 1 else since + (number + 1) * length
        yield store.requests(trace, since=low, until=high).select(COLUMNS)


def _usage(rows: pl.DataFrame) -> Usage:
    cached = rows["cached_tokens"]
    fraction = None
    if cached.null_count() < rows.height:
        fraction = (cached.cast(pl.Float64) / rows["input_tokens"]).fill_null(float("nan")).to_numpy()
        fraction = np.clip(fraction, 0.0, 1.0)
    return Usage(
        model=rows["model"][0],
        tier=rows["tier"][0],
        lengths=law_of_rows(rows["input_tokens"].to_numpy(), rows["output_tokens"].to_numpy(), fraction),
        apps=_mix(rows["app"]),
        tenants=_renamed(_mix(rows["tenant"])),
    )


def _mix(keys: pl.Series) -> tuple[Part, ...]:
    """Return the shares of the keys, largest first; beyond ``PARTS_KEPT`` they are one part."""
    counts = keys.alias("key").value_counts().sort(["count", "key"], descending=[True, False], nulls_last=True)
    shares = [(key, count / keys.len()) for key, count in counts.head(PARTS_KEPT).iter_rows()]
    rest = 1.0 - sum(share for _, share in shares)
    parts = [Part(key=key, share=share) for key, share in shares]
    return (*parts, Part(key=OTHER, share=rest)) if counts.height > PARTS_KEPT else tuple(parts)


def _renamed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(
        part if part.key in (None, OTHER) else Part(key=f"client_{rank:03d}", share=part.share)
        for rank, part in enumerate(parts, start=1)
    )
