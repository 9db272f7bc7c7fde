"""The Azure LLM inference traces of 2023 and 2024: one CSV row per request with time and two lengths.

Model, region and tier are not in the files: code and conversation are two services of unnamed models, so a person says
what they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, judged
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.values import counts, instants

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the requests of one file; the time stamps have 100 ns digits (cut to microseconds) and are taken as UTC."""
    for raw in raw_batches(path, COLUMNS):
        frame = requests_frame(
            path,
            raw.frame,
            arrived_at=instants(raw.frame["TIMESTAMP"]),
            input_tokens=counts(raw.frame["ContextTokens"]),
            output_tokens=counts(raw.frame["GeneratedTokens"]),
        )
        yield judged(raw, frame, REQUEST_CHECKS, path=path)


FORMAT = Format(
    key="azure_llm",
    label="Azure LLM inference trace (2023, 2024)",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("model", "region", "tier"),
    read=read,
)
