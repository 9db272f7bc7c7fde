"""Requests in our own column names, and what every reader of requests shares: the frame and the checks of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from workbench.tables import COUNT, REQUESTS, TEXT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, Raw, judged
from workbench.traces.readers.files import columns_of, raw_batches, stem_of
from workbench.traces.readers.values import counts, instants, numbers

LABELS = ("model", "region", "tier")
COLUMNS = ("arrived_at", "input_tokens", "output_tokens")
EARLIEST = datetime(1970, 1, 1)
LATEST = datetime(2100, 1, 1)
# ten times the longest context window sold in 2026 (1 M tokens): above it a count is a mistake, not a request
MOST_TOKENS = 10_000_000

REQUEST_CHECKS = {
    "arrival time is missing or no instant": pl.col("arrived_at").is_null(),
    "arrival time lies before 1970": pl.col("arrived_at") < EARLIEST,
    "arrival time lies after 2100": pl.col("arrived_at") >= LATEST,
    "input tokens are missing or no whole number": pl.col("input_tokens").is_null(),
    "output tokens are missing or no whole number": pl.col("output_tokens").is_null(),
    "input tokens are below 1": pl.col("input_tokens") < 1,
    "output tokens are below 1": pl.col("output_tokens") < 1,
    f"input tokens are above {MOST_TOKENS:,}": pl.col("input_tokens") > MOST_TOKENS,
    f"output tokens are above {MOST_TOKENS:,}": pl.col("output_tokens") > MOST_TOKENS,
    "cached tokens are negative or more than the input": (pl.col("cached_tokens") < 0)
    | (pl.col("cached_tokens") > pl.col("input_tokens")),
    "model is empty": pl.col("model").is_null() | (pl.col("model") == ""),
    "region is empty": pl.col("region").is_null() | (pl.col("region") == ""),
    "tier is empty": pl.col("tier").is_null() | (pl.col("tier") == ""),
}


def requests_frame(
    path: Path, raw: pl.DataFrame, *, arrived_at: pl.Series, input_tokens: pl.Series, output_tokens: pl.Series
) -> pl.DataFrame:
    """Build rows with the columns of REQUESTS; labels and optional columns come from ``raw`` where it has ours.

    A label column that the source lacks holds the file's name up to the first dot.
    """
    present = set(raw.columns)
    stem = stem_of(path)
    return pl.DataFrame(
        {"arrived_at": arrived_at, "input_tokens": input_tokens, "output_tokens": output_tokens}
    ).select(
        "arrived_at",
        *(
            (raw[name].cast(TEXT) if name in present else pl.lit(stem)).alias(name)
            for name in ("region", "model", "tier")
        ),
        *(
            (raw[name].cast(TEXT) if name in present else pl.lit(None, dtype=TEXT)).alias(name)
            for name in ("app", "tenant")
        ),
        "input_tokens",
        "output_tokens",
        (counts(raw["cached_tokens"]) if "cached_tokens" in present else pl.lit(None, dtype=COUNT)).alias(
            "cached_tokens"
        ),
    )


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of a file with our column names; other columns are ignored.

    A label that no object at the start of a JSON lines file has is not looked for, as an option answers for it.
    """
    found = columns_of(path)
    for raw in raw_batches(path, [name for name in REQUESTS.columns if name in found or name not in LABELS]):
        frame = _ours(path, raw)
        bare = {"arrival time is a bare number, whose unit only a mapping can say": pl.lit(_bare(raw, frame))}
        yield judged(raw, frame, bare | REQUEST_CHECKS, path=path)


def _bare(raw: Raw, frame: pl.DataFrame) -> pl.Series:
    unread = frame["arrived_at"].is_null()
    return unread & numbers(raw.frame["arrived_at"]).is_not_null() if unread.any() else unread


def _ours(path: Path, raw: Raw) -> pl.DataFrame:
    return requests_frame(
        path,
        raw.frame,
        arrived_at=instants(raw.frame["arrived_at"]),
        input_tokens=counts(raw.frame["input_tokens"]),
        output_tokens=counts(raw.frame["output_tokens"]),
    )


FORMAT = Format(
    key="requests",
    label="requests in our column names (arrived_at, input_tokens, output_tokens, ...)",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda columns: tuple(name for name in LABELS if name not in columns),
    read=read,
)
