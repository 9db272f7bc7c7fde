"""OpenTelemetry spans of serving engines and clients as JSON lines: every span with token usage is one request.

Most spans of a service are no requests (HTTP calls, tools, agents): they are refused with that reason, so that their
number shows. A request that is traced by its client and by its server has two spans inside of each other; the inner one
is kept, or the request would count twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from workbench.tables import COUNT, TEXT
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import LINE, Batch, Format, Raw, judged
from workbench.traces.readers.files import stem_of
from workbench.traces.readers.heads import first_objects, unreadable
from workbench.traces.readers.json_rows import json_items
from workbench.traces.readers.requests import REQUEST_CHECKS, requests_frame
from workbench.traces.readers.span_fields import AROUND_REQUESTS, ATTRIBUTES, Span, names_in, spans_of
from workbench.traces.readers.values import EPOCH, counts, instants, offsets

NANOSECOND_S = 1e-9
COLUMNS = {LINE: COUNT, "name": TEXT, "start": TEXT, "is_outer": pl.Boolean()} | dict.fromkeys(ATTRIBUTES, TEXT)
# spans end inside out and are exported as they end, so an outer span follows soon on its inner one
PARENTS_REMEMBERED = 1_000_000

NOT_REQUESTS = {
    "not a request: no token usage": pl.col("input_tokens").is_null() & pl.col("output_tokens").is_null(),
    "not a request: an agent's or a tool's span": pl.col("operation").is_in(AROUND_REQUESTS),
    "not a request: a span inside of it is counted": pl.col("is_outer"),
}


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield every span with token usage as a request that arrives when the span starts."""
    parents: dict[str, None] = {}
    try:
        for spans, malformed, done_fraction in json_items(path, spans_of, what="span"):
            parents |= {span.parent_id: None for _, span in spans if span.has_usage and span.parent_id}
            source = _frame(spans, parents)
            for key in list(parents)[: max(0, len(parents) - PARENTS_REMEMBERED)]:
                del parents[key]
            raw = Raw(frame=source.drop("is_outer"), malformed=malformed, done_fraction=done_fraction)
            yield _judged(path, raw, source, options)
    except (OSError, EOFError) as error:
        raise unreadable(path, error) from error


def _judged(path: Path, raw: Raw, source: pl.DataFrame, options: TraceOptions) -> Batch:
    frame = requests_frame(
        path,
        source.select(
            _label("region", path, options.region or options.region_split),
            _label("model", path, options.model),
            "app",
            "tenant",
            "cached_tokens",
        ),
        arrived_at=_started(source["start"]),
        input_tokens=counts(source["input_tokens"]),
        output_tokens=counts(source["output_tokens"]),
    )
    reasons = source.select(test.alias(reason) for reason, test in NOT_REQUESTS.items())
    no_requests = {reason: pl.lit(reasons[reason]) for reason in NOT_REQUESTS}
    return judged(raw, frame, no_requests | REQUEST_CHECKS, path=path)


def _label(name: str, path: Path, answer: object) -> pl.Expr:
    # where an option answers for the label, a span without it has the file's name as others have
    return pl.col(name).fill_null(stem_of(path)) if answer else pl.col(name)


def _started(starts: pl.Series) -> pl.Series:
    since_epoch = offsets(starts, since=EPOCH, unit_s=NANOSECOND_S)
    written = instants(starts.set(since_epoch.is_not_null(), None))
    return since_epoch.zip_with(since_epoch.is_not_null(), written)


def _frame(spans: list[tuple[int, Span]], parents: dict[str, None]) -> pl.DataFrame:
    rows = [(line, span.name, span.start, span.id in parents, *span.fields.values()) for line, span in spans]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _names(path: Path) -> tuple[str, ...]:
    return tuple({name for value in first_objects(path) for name in names_in(value)})


FORMAT = Format(
    key="spans",
    label="OpenTelemetry spans of requests (OTLP or SDK, JSON lines)",
    kind="requests",
    columns=(),
    alternatives=(("resourceSpans", "attributes"), ("resourceSpans", "start_time")),
    lacks=lambda names: (*(label for label in ("model", "region") if label not in names), "tier"),
    read=read,
    inner_names=_names,
    notes=(
        "a request arrives when its span starts; of spans inside of each other that both have token usage the inner "
        "one is counted",
    ),
)
