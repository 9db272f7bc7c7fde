"""The SageServe week: input tokens per minute of four models and two tiers, read off the paper's vector figures.

The source has neither requests nor output tokens nor a date: the lengths per request and the start are asked for. It
starts on a Monday (the paper's Figure 3). Minutes inside a straight stretch longer than twelve minutes were drawn
across missing rows of the export and are taken as gaps, not as load.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import INSTANT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.series import SERIES_CHECKS, lengths_per_row, series_frame
from workbench.traces.readers.values import counts, numbers

COLUMNS = ("model", "tier", "minute", "prompt_tokens", "gap_min")
GAP_LONGER_THAN_MIN = 12
LENGTHS = ("input_tokens_per_request", "output_tokens_per_request")


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the minutes as DEMAND rows; requests = input tokens / given length, outputs = requests x given length."""
    assert options.start is not None  # asked for before anything is read
    for raw in raw_batches(path, COLUMNS):
        source = raw.frame
        minute = counts(source["minute"])
        known = (counts(source["gap_min"]) <= GAP_LONGER_THAN_MIN).fill_null(value=False)
        tokens = numbers(source["prompt_tokens"]).set(~known, None)
        requests = tokens / lengths_per_row(source["model"], options.input_tokens_per_request)
        frame = series_frame(
            path,
            source,
            window_start=pl.select(
                pl.lit(options.start, dtype=INSTANT) + pl.duration(minutes=pl.lit(minute))
            ).to_series(),
            requests=requests,
            input_tokens=tokens,
            output_tokens=requests * lengths_per_row(source["model"], options.output_tokens_per_request),
        )
        unreadable = {
            "prompt_tokens is no number": pl.lit(numbers(source["prompt_tokens"]).is_null()),
            "model has no length per request": pl.lit(
                lengths_per_row(source["model"], options.input_tokens_per_request).is_null()
                | lengths_per_row(source["model"], options.output_tokens_per_request).is_null()
            ),
        }
        yield judged(raw, frame, unreadable | SERIES_CHECKS, path=path)


FORMAT = Format(
    key="sageserve_week",
    label="SageServe week, input tokens per minute by model and tier",
    kind="series",
    columns=COLUMNS,
    lacks=lambda _columns: ("region", "start", *LENGTHS),
    read=read,
    notes=(
        "requests and output tokens are input tokens divided and multiplied by the lengths given",
        f"minutes inside a stretch longer than {GAP_LONGER_THAN_MIN} minutes without a point are gaps",
        "the volume is a sample of the service; models B and D suffer from a row cap in the export",
    ),
)
