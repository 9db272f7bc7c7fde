"""ServeGen's clients as a demand series: the requests of all clients of a model per ten minutes, and their tokens.

Clients whose lengths are not published take part with the mean of those of the same window that are, weighted by
requests. A window in which no client of a model sends anything is a hole of the collection and stays a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import INSTANT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format
from workbench.traces.readers.series import series_frame
from workbench.traces.readers.servegen_source import COLUMNS, parts_of, read_clients

NOTES = (
    "clients without published lengths have those of the clients of the same window that have, weighted by requests",
    "the lengths of images are published per image and counted as often as a prompt has images",
)


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the windows of all models as DEMAND rows."""
    assert options.start is not None  # asked for before anything is read
    clients = read_clients(path)
    requests = pl.col("n_requests")
    is_covered = pl.col("prompt_mean").is_not_null() & pl.col("output_mean").is_not_null()
    covered = requests.filter(is_covered).sum()
    windows = clients.cells.group_by("model", "t_s", maintain_order=True).agg(
        requests.sum(),
        *(
            ((pl.col(name) * requests).filter(is_covered).sum() / covered).alias(name)
            for name in ("prompt_mean", "output_mean")
        ),
    )
    sent = windows["n_requests"].cast(pl.Float64).set(windows["n_requests"] == 0, None)
    frame = series_frame(
        path,
        windows,
        window_start=pl.select(
            pl.lit(options.start, dtype=INSTANT) + pl.duration(seconds=pl.lit(windows["t_s"]))
        ).to_series(),
        requests=sent,
        input_tokens=sent * windows["prompt_mean"].fill_nan(None),
        output_tokens=sent * windows["output_mean"].fill_nan(None),
    )
    yield Batch(good=frame, rejected=clients.rejected, done_fraction=1.0)


FORMAT = Format(
    key="servegen_clients",
    label="ServeGen clients as a demand series of ten minutes",
    kind="series",
    columns=COLUMNS,
    lacks=lambda _columns: ("region", "tier", "start"),
    read=read,
    parts=parts_of,
    notes=(*NOTES, "windows in which no client of a model sends anything are gaps"),
)
