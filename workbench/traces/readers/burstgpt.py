"""BurstGPT: requests of a campus to ChatGPT and GPT-4, one CSV row per request, in two versions of columns.

Time stamps are seconds after the midnight before the first request of the whole collection; the third file begins at
day 225 of the same count, so all files take the same start. A request without response tokens failed: it is refused
with that reason, not counted as load. The second version adds the session (our tenant) and the elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import TEXT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.values import counts, offsets

COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")
SESSION = "Session ID"
# the log types in short; another one keeps its own words
APPS = {"Conversation log": "conversation", "API log": "api"}


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of one file: log type as app, session (where there is one) as tenant."""
    assert options.start is not None  # asked for before anything is read
    for raw in raw_batches(path, (*COLUMNS, SESSION)):
        source = raw.frame
        responses = counts(source["Response tokens"])
        frame = requests_frame(
            path,
            source.select(
                model=pl.col("Model").cast(TEXT).str.strip_chars(),
                app=pl.col("Log Type").cast(TEXT).str.strip_chars().replace(APPS),
                tenant=_sessions(source),
            ),
            arrived_at=offsets(source["Timestamp"], since=options.start, unit_s=1.0),
            input_tokens=counts(source["Request tokens"]),
            output_tokens=responses,
        )
        failed = {"failed request: no response tokens": pl.lit(responses == 0)}
        yield judged(raw, frame, failed | REQUEST_CHECKS, path=path)


def _sessions(source: pl.DataFrame) -> pl.Expr:
    if SESSION not in source.columns:
        return pl.lit(None, dtype=TEXT)
    named = pl.col(SESSION).cast(TEXT).str.strip_chars()
    return pl.when(named != "").then(named)


FORMAT = Format(
    key="burstgpt",
    label="BurstGPT requests",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("region", "tier", "start"),
    read=read,
    notes=(
        "time stamps are seconds after midnight of the first day of the collection, in the local time of a campus; "
        "the start given is that midnight",
        "requests without response tokens failed and are refused",
    ),
)
