"""The request CSV of the SageServe artifact (sageserve.md section 3.2): one row per request with tier and regions.

Regions are the digits 0, 1, 2 in the order of preference, of which a writer of numbers drops leading zeros: they are
read as text and padded. The first one is the region of origin. ``prod`` is interactive, ``dev`` is not; the labels are
kept, an option says what they stand for.
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

COLUMNS = ("arrival_timestamp", "model_type", "workload_type", "regions", "prompt_size", "token_size")
OPTIONAL = ("scenario", "client_tenant", "request_type")
REGIONS_WIDTH = 3
REGIONS = r"^[0-2]{3}$"
GENERATION = 2


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of one file; an output of 0 tokens is raised to 1, as the artifact does."""
    assert options.start is not None  # asked for before anything is read
    for raw in raw_batches(path, (*COLUMNS, *OPTIONAL)):
        source = raw.frame
        regions = source["regions"].cast(TEXT).str.strip_chars().str.zfill(REGIONS_WIDTH)
        outputs = counts(source["token_size"])
        frame = requests_frame(
            path,
            source.select(
                pl.lit(regions.str.slice(0, 1)).alias("region"),
                _text(source, "model_type").alias("model"),
                _text(source, "workload_type").alias("tier"),
                _text(source, "scenario").alias("app"),
                _text(source, "client_tenant").alias("tenant"),
            ),
            arrived_at=offsets(source["arrival_timestamp"], since=options.start, unit_s=1.0),
            input_tokens=counts(source["prompt_size"]),
            output_tokens=outputs.set(outputs == 0, 1),
        )
        is_order = regions.str.contains(REGIONS).fill_null(value=False)
        unreadable = {"regions are no order of the digits 0, 1 and 2": pl.lit(~is_order)}
        if "request_type" in source.columns:
            kinds = counts(source["request_type"])
            unreadable[f"no text generation: request_type is not {GENERATION}"] = pl.lit(kinds.ne_missing(GENERATION))
        yield judged(raw, frame, unreadable | REQUEST_CHECKS, path=path)


def _text(source: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name).cast(TEXT).str.strip_chars() if name in source.columns else pl.lit(None, dtype=TEXT)


FORMAT = Format(
    key="sageserve_requests",
    label="SageServe requests",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("start",),
    read=read,
    notes=(
        "the region is the first of the order of preference: 0 West US, 1 Central US, 2 East US",
        "an output of 0 tokens is raised to 1, as the source's own simulator does",
    ),
)
