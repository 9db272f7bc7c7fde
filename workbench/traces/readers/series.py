"""Demand series in our own column names, and what every reader of series shares: the frame and its checks.

A series may state sums, rates or means per request (:mod:`workbench.traces.measures`); what it lacks comes from lengths
per request. It is read whole, as the length of its windows is only known when all are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from workbench.errors import TableError, TraceError
from workbench.tables import NUMBER, TEXT, window_s_of
from workbench.traces.measures import FORMS, LENGTHS, LOADS, is_rate, lengths_lacking, sums
from workbench.traces.measures import MEASURES as MEASURES
from workbench.traces.options import TraceOptions
from workbench.traces.readers.batches import Batch, Format, Raw, judged
from workbench.traces.readers.files import columns_of, raw_batches, stem_of
from workbench.traces.readers.requests import EARLIEST, LABELS, LATEST
from workbench.traces.readers.values import instants, numbers

SERIES_CHECKS = {
    "window_start is missing or no instant": pl.col("window_start").is_null(),
    "window_start lies before 1970": pl.col("window_start") < EARLIEST,
    "window_start lies after 2100": pl.col("window_start") >= LATEST,
    **{f"{name} is negative": pl.col(name) < 0 for name in MEASURES},
    **{f"{name} is empty": pl.col(name).is_null() | (pl.col(name) == "") for name in LABELS},
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Stated:
    """Some rows of a series: as found, with our names for labels and forms of measures, and their windows.

    ``checks`` are reasons to refuse rows beside those of every series.
    """

    raw: Raw
    named: pl.DataFrame
    window_start: pl.Series
    checks: Mapping[str, pl.Expr] = field(default_factory=dict)


def series_frame(
    path: Path,
    raw: pl.DataFrame,
    *,
    window_start: pl.Series,
    requests: pl.Series,
    input_tokens: pl.Series,
    output_tokens: pl.Series,
) -> pl.DataFrame:
    """Build rows with the columns of DEMAND; a label column that the source lacks holds the file's stem."""
    stem = stem_of(path)
    values = {"requests": requests, "input_tokens": input_tokens, "output_tokens": output_tokens}
    labels = (
        (raw[name].cast(TEXT) if name in raw.columns else pl.lit(stem)).alias(name)
        for name in ("region", "model", "tier")
    )
    return pl.DataFrame({"window_start": window_start} | values).select(
        "window_start", *labels, *(pl.col(name).cast(NUMBER) for name in values)
    )


def lengths_per_row(models: pl.Series, lengths: float | Mapping[str, float] | None) -> pl.Series:
    """Return the length per request of each row, one number or by the model's label; null where none is given."""
    if isinstance(lengths, Mapping):
        return models.cast(TEXT).replace_strict(dict(lengths), default=None, return_dtype=NUMBER)
    return pl.repeat(lengths, models.len(), dtype=NUMBER, eager=True)


def stated_batches(path: Path, rows: Sequence[Stated], options: TraceOptions) -> Iterator[Batch]:
    """Yield DEMAND rows of what a source states: sums as they are, rates by the window, means by the requests.

    Raises TraceError where rates are stated for a single window, whose length is not known.
    """
    forms = [form for form in FORMS if rows and form in rows[0].named.columns]
    window_s = _window_s(path, rows) if any(is_rate(form) for form in forms) else None
    for part in rows:
        values = {form: numbers(part.named[form]) for form in forms}
        models = part.named["model"] if "model" in part.named.columns else _stems(path, part)
        given = {measure: lengths_per_row(models, getattr(options, name)) for measure, name in LENGTHS.items()}
        frame = series_frame(
            path,
            part.named,
            window_start=part.window_start,
            **sums(values, window_s=window_s, lengths=given),
        )
        unreadable = {
            f"{form} is no number": pl.lit(values[form].is_null() & part.named[form].is_not_null()) for form in forms
        }
        unreadable["model has no length per request"] = pl.any_horizontal(
            pl.lit(value=False),
            *(pl.lit(given[measure].is_null()) for measure in LENGTHS if LENGTHS[measure] in lengths_lacking(forms)),
        )
        yield judged(part.raw, frame, {**part.checks, **unreadable, **SERIES_CHECKS}, path=path)


def _stems(path: Path, part: Stated) -> pl.Series:
    return pl.repeat(stem_of(path), part.window_start.len(), dtype=TEXT, eager=True)


def _window_s(path: Path, rows: Sequence[Stated]) -> float:
    starts = pl.concat([part.window_start for part in rows]).drop_nulls()
    try:
        return window_s_of(pl.DataFrame({"window_start": starts}))
    except TableError as error:
        raise TraceError(f"{path.name} states rates, of which sums need the window: {error}") from error


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield the windows of a file with our column names; an empty value is a gap of the source."""
    found = columns_of(path)
    wanted = [name for name in ("window_start", *LABELS, *FORMS) if name in found]
    rows = []
    for raw in raw_batches(path, wanted):
        named = raw.frame.select(name for name in wanted if name != "window_start")
        rows.append(Stated(raw=raw, named=named, window_start=instants(raw.frame["window_start"])))
    yield from stated_batches(path, rows, options)


FORMAT = Format(
    key="demand",
    label="demand per window in our column names (window_start, requests, input_tokens, ...)",
    kind="series",
    columns=("window_start",),
    alternatives=(LOADS,),
    lacks=lambda columns: (*(name for name in LABELS if name not in columns), *lengths_lacking(columns)),
    read=read,
)
