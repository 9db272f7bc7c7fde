"""The Azure multimodal trace of 2025: one CSV row per request with time, number of images and two lengths.

The tokens of the images are already in the context tokens. How many images there were has no column of ours, but
whether there was one has: ``app`` is ``image`` or ``text``, so that a profile can be split by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.values import counts, instants

COLUMNS = ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens")


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of one file, with ``image`` or ``text`` as the app; time stamps are taken as UTC."""
    for raw in raw_batches(path, COLUMNS):
        images = counts(raw.frame["NumImages"])
        kinds = pl.select(app=pl.when(images > 0).then(pl.lit("image")).otherwise(pl.lit("text")))
        frame = requests_frame(
            path,
            kinds,
            arrived_at=instants(raw.frame["TIMESTAMP"]),
            input_tokens=counts(raw.frame["ContextTokens"]),
            output_tokens=counts(raw.frame["GeneratedTokens"]),
        )
        unreadable = {"number of images is missing or no whole number": pl.lit(images.is_null() | (images < 0))}
        yield judged(raw, frame, REQUEST_CHECKS | unreadable, path=path)


FORMAT = Format(
    key="azure_lmm",
    label="Azure multimodal inference trace (2025)",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("model", "region", "tier"),
    read=read,
    notes=("context tokens hold text and images together; the app is 'image' where there was an image, else 'text'",),
)
