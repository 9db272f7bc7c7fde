"""Prose and tables as HTML that is the same in a notebook and in a page: escaped, with thousands separators.

A frame becomes a table as it stands: what a reader sees as a column's name and unit is the column's name, and no number
is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from typing import Any

import polars as pl

from workbench.domain import Region, ServedModel, Tier
from workbench.results import Study
from workbench.units import SECONDS_PER_HOUR, span_in_words

UNKNOWN = "–"


@dataclass(frozen=True, kw_only=True)
class Html:
    """A piece of a page; a notebook shows it as the last value of a cell."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


def table(
    frame: pl.DataFrame, *, caption: str = "", decimals: Mapping[str, int] | None = None, strong: str | None = None
) -> Html:
    """Return a frame as an HTML table; its column names are what the reader sees, units included.

    Numbers stand to the right with thousands separators; the decimals of a column follow from its largest number
    unless ``decimals`` names them. A null is a dash. Rows whose first cell is ``strong`` are set in bold.
    """
    places = {
        name: (decimals or {}).get(name, _decimals(frame.get_column(name)))
        for name, dtype in frame.schema.items()
        if dtype.is_float()
    }
    head = "".join(
        f'<th class="number">{escape(name)}</th>' if dtype.is_numeric() else f"<th>{escape(name)}</th>"
        for name, dtype in frame.schema.items()
    )
    opening = {True: '<tr class="strong">', False: "<tr>"}
    rows = "".join(
        opening[strong is not None and row[0] == strong]
        + "".join(_cell(value, places.get(name)) for name, value in zip(frame.columns, row, strict=True))
        + "</tr>"
        for row in frame.iter_rows()
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Html(
        text=f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def paragraphs(sentences: Iterable[str], *, kind: str = "") -> Html:
    """Return sentences as paragraphs; ``kind`` headline sets them apart, list makes them points, subtitle small."""
    texts = [escape(sentence) for sentence in sentences]
    if kind == "list":
        points = "".join(f"<li>{text}</li>" for text in texts)
        return Html(text=f"<ul>{points}</ul>" if texts else "<p>None.</p>")
    mark = ' class="subtitle"' if kind == "subtitle" else ""
    body = "".join(f"<p{mark}>{text}</p>" for text in texts)
    return Html(text=f'<div class="headline">{body}</div>' if kind == "headline" else body)


def source_line(study: Study) -> str:
    """Return what a chart of a study says about where its numbers come from."""
    trace = study.manifest["trace"]["name"]
    length = span_in_words(study.hours * SECONDS_PER_HOUR)
    return f"study {study.id}, trace {trace}, {length} from {study.as_of:%Y-%m-%d %H:%M} UTC"


def labels(study: Study) -> dict[str, str]:
    """Return what a reader sees for the keys of a study: strategies, models, regions and tiers."""
    things: tuple[ServedModel | Region | Tier, ...] = (*study.fleet.models, *study.fleet.regions, *study.fleet.tiers)
    strategies = dict(study.scorecard.totals.select("strategy", "label").iter_rows())
    return {thing.key: thing.label for thing in things} | strategies


def _decimals(column: pl.Series) -> int:
    """Return how many decimals keep three digits or so of a column's largest number, and no needless ones."""
    largest = column.abs().max()
    if not isinstance(largest, int | float) or (column.drop_nulls() % 1 == 0).all():
        return 0
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2 if largest >= 1 else 3


def _cell(value: Any, places: int | None) -> str:
    if isinstance(value, bool):
        return f'<td class="{"yes" if value else "no"}">{"yes" if value else "no"}</td>'
    if isinstance(value, int | float):
        return f'<td class="number">{value:,.{places or 0}f}</td>'
    if value is None:
        return f'<td class="number">{UNKNOWN}</td>' if places is not None else f"<td>{UNKNOWN}</td>"
    if isinstance(value, datetime):
        return f"<td>{value:%Y-%m-%d %H:%M}</td>"
    if isinstance(value, date):
        return f"<td>{value:%Y-%m-%d}</td>"
    return f"<td>{escape(str(value))}</td>"
