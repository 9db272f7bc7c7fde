"""ServeGen's model totals: requests per 10 minutes and mean lengths per 6 hours, of Alibaba Cloud Model Studio.

37 % (m-large) and 29 % (m-mid) of the requests belong to clients whose lengths are not published. The means of the
clients that are covered are applied to all requests; they lean towards the smaller clients, and the findings say so.
Windows in which every client stops at once are holes of the collection and stay gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import INSTANT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.series import SERIES_CHECKS, series_frame
from workbench.traces.readers.values import counts, numbers

COLUMNS = ("model", "t_s", "n_requests", "input_tokens_mean", "output_tokens_mean", "gap")
# a model that reads images has its prompt in two parts instead of one; the tokens of an image are per image
PROMPT_PARTS = ("text_tokens_mean", "image_tokens_mean")
IMAGES = "image_count_mean"


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the windows as DEMAND rows: sums are requests x mean length; a window without requests has zero tokens."""
    assert options.start is not None  # asked for before anything is read
    for raw in raw_batches(path, (*COLUMNS, *PROMPT_PARTS, IMAGES)):
        source = raw.frame
        gap = source["gap"].cast(pl.String).str.to_lowercase() == "true"
        requests = numbers(source["n_requests"]).set(gap, None)
        input_mean = numbers(source["input_tokens_mean"])
        if set(PROMPT_PARTS) <= set(source.columns):
            images = numbers(source[IMAGES]) if IMAGES in source.columns else 1.0
            parts = numbers(source[PROMPT_PARTS[0]]) + numbers(source[PROMPT_PARTS[1]]) * images
            input_mean = input_mean.zip_with(input_mean.is_not_null(), parts)
        frame = series_frame(
            path,
            source,
            window_start=pl.select(
                pl.lit(options.start, dtype=INSTANT) + pl.duration(seconds=pl.lit(counts(source["t_s"])))
            ).to_series(),
            requests=requests,
            input_tokens=_sum(requests, input_mean),
            output_tokens=_sum(requests, numbers(source["output_tokens_mean"])),
        )
        unreadable = {"n_requests is no number": pl.lit(numbers(source["n_requests"]).is_null())}
        yield judged(raw, frame, unreadable | SERIES_CHECKS, path=path)


def _sum(requests: pl.Series, mean: pl.Series) -> pl.Series:
    return (requests * mean).set((requests == 0).fill_null(value=False), 0.0)


FORMAT = Format(
    key="servegen_10min",
    label="ServeGen model totals per 10 minutes",
    kind="series",
    columns=COLUMNS,
    lacks=lambda _columns: ("region", "tier", "start"),
    read=read,
    notes=(
        "mean lengths are those of the clients whose lengths are published (by requests 63 % of m-large, 71 % of "
        "m-mid) and are applied to all requests",
        "windows in which all clients stop at once are gaps",
    ),
)
