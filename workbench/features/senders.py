"""Who sends the load: the largest apps and tenants, and how concentrated it is in them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import polars as pl

from workbench.features.asking import ask
from workbench.traces.store import Reading, load_queries

TOP = 10
Sender = Literal["app", "tenant"]


def top_senders(
    store: Reading,
    trace: str,
    *,
    of: Sender,
    top: int = TOP,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return the apps or tenants with the most requests, largest first.

    ``place`` from 1, the name under ``app`` or ``tenant``, ``requests``, ``requests_fraction``, ``input_tokens``,
    ``output_tokens`` and ``cumulative_fraction``; fractions of the requests that name a sender. Empty where none does.
    Raises TraceError for a series.
    """
    spread = ask(store, trace, load_queries.sender_spread(of), since=since, until=until)
    rows = ask(store, trace, load_queries.top_senders(of), since=since, until=until, limit=top)
    share = pl.col("requests") / spread["requests"][0]
    ranked = rows.with_columns(requests_fraction=share).with_row_index("place", offset=1)
    return ranked.select(
        pl.col("place").cast(pl.Int64),
        pl.col("sender").alias(of),
        "requests",
        "requests_fraction",
        "input_tokens",
        "output_tokens",
        cumulative_fraction=pl.col("requests_fraction").cum_sum(),
    )


def concentration(
    store: Reading,
    trace: str,
    *,
    of: Sender,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pl.DataFrame:
    """Return in one row how concentrated the requests are in few apps or tenants; empty where none is named.

    ``senders``, ``top_fraction`` of the largest, ``effective_senders`` (1 / sum of squared shares: as many equal ones
    would be as concentrated), ``gini_fraction`` (0 all equal, near 1 all with one) and ``unnamed_fraction`` of the
    requests that name none. Raises TraceError for a series.
    """
    row = ask(store, trace, load_queries.sender_spread(of), since=since, until=until)
    number, total = pl.col("senders"), pl.col("requests")
    gini = 2.0 * pl.col("ranked_sum") / (number * total) - (number + 1) / number
    return row.filter(number > 0).select(
        pl.lit(of).alias("of"),
        "senders",
        top_fraction=pl.col("requests_top") / total,
        effective_senders=total**2 / pl.col("square_sum"),
        gini_fraction=gini.clip(0.0, 1.0),
        unnamed_fraction=pl.col("unnamed") / (total + pl.col("unnamed")),
    )
