"""ServeGen's native folders: one pair of files per client, in a folder per model.

A trace file has no header: window start in seconds, rate per second over ten minutes, coefficient of variation of the
gaps, name of their law (empty, Gamma, Weibull) and its two parameters. A data set file maps the start of six hours to
fields, each a text of length: probability pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.tables import COUNT, NUMBER, TEXT
from workbench.traces.readers.batches import LINE
from workbench.traces.readers.servegen_lengths import Floats, LengthLaws, laws_of_histograms
from workbench.traces.readers.values import numbers

TRACE_COLUMNS = ("t_s", "rate", "cv", "dist", "p1", "p2")
WINDOW_S = 600
LENGTHS = {"model": TEXT, "client": TEXT, "t_s": COUNT, "field": TEXT, "mean": NUMBER}
# kept out: a ratio of two lengths, not a length
NO_LENGTHS = ("reason_ratio",)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The files of one client; the folder names the model."""

    model: str
    client: str
    trace: Path
    dataset: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are there."""
        return (self.trace, self.dataset) if self.dataset.is_file() else (self.trace,)


def chunks_in(path: Path) -> list[Chunk]:
    """Return the clients below a folder: of a model, of a category of models, or of all of them."""
    traces = [trace for depth in ("", "*/", "*/*/") for trace in path.glob(f"{depth}chunk-*-trace.csv")]
    chunks = [
        Chunk(
            model=trace.parent.name,
            client=trace.name.split("-")[1],
            trace=trace,
            dataset=trace.with_name(trace.name.replace("-trace.csv", "-dataset.json")),
        )
        for trace in traces
    ]
    return sorted(chunks, key=lambda chunk: (chunk.model, len(chunk.client), chunk.client, str(chunk.trace)))


def read_chunks(path: Path) -> tuple[pl.DataFrame, pl.DataFrame, LengthLaws]:
    """Return the windows of all clients, their lengths (one row per law, in order) and the laws.

    Raises TraceError where a file has not the form of the source.
    """
    chunks = chunks_in(path)
    histograms: list[tuple[Floats, Floats]] = []
    rows = []
    for chunk in chunks:
        for t_s, field, values, probabilities in _histograms(chunk.dataset):
            histograms.append((values, probabilities))
            rows.append((chunk.model, chunk.client, t_s, field, float(values @ probabilities / probabilities.sum())))
    lengths = pl.DataFrame(rows, schema=LENGTHS, orient="row").with_row_index("law")
    return pl.concat([_windows(chunk) for chunk in chunks]), lengths, laws_of_histograms(histograms)


def _windows(chunk: Chunk) -> pl.DataFrame:
    try:
        frame = pl.read_csv(chunk.trace, has_header=False, new_columns=TRACE_COLUMNS, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise _malformed(chunk.trace, str(error)) from error
    if tuple(frame.columns) != TRACE_COLUMNS:
        raise _malformed(chunk.trace, f"{frame.width} columns")
    # a rate over ten minutes is a whole number of requests
    return frame.with_columns(
        (numbers(frame["rate"]) * WINDOW_S).round().alias("n_requests"),
        model=pl.lit(chunk.model),
        client=pl.lit(chunk.client),
    ).with_row_index(LINE, offset=1)


def _histograms(path: Path) -> Iterator[tuple[int, str, Floats, Floats]]:
    if not path.is_file():
        return
    try:
        content: Mapping[str, Mapping[str, str]] = json.loads(path.read_bytes())
        for start, fields in content.items():
            for field, pairs in fields.items():
                if field in NO_LENGTHS or not pairs.strip("{} "):
                    continue
                cells = pairs.strip("{} ").replace(":", ",").split(",")
                table = np.array(cells, dtype=np.float64).reshape(-1, 2)
                used = table[table[:, 1] > 0]
                if used.size:
                    yield int(start), field, used[:, 0], used[:, 1]
    except (ValueError, AttributeError, TypeError) as error:
        raise _malformed(path, str(error)) from error


def _malformed(path: Path, found: str) -> TraceError:
    return TraceError(
        f"{path} has not the form of ServeGen's files ({' '.join(found.split())[:200]}); expected "
        f"{', '.join(TRACE_COLUMNS)} without a header, or lengths as text per six hours. Fetch the file again."
    )
