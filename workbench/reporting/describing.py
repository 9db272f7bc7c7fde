"""The page that describes one trace: every question with its sentence, its chart and its table.

It is made from a characterisation alone, without a kernel, so it is there within seconds; the notebook
``01_traces.ipynb`` tells the same story where a reader can go on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench import charts
from workbench.charts import embedding
from workbench.errors import ReportError
from workbench.features import Characterisation, in_words
from workbench.reporting.rendering import Html, table

# from a frame to a figure; plotly itself has its only door in charts
Draw = Callable[..., Any]
LONGEST_TABLE = 24

#: Question -> the tables that answer it, each with its chart; None shows the table itself.
SECTIONS: Mapping[str, tuple[tuple[str, Draw | None], ...]] = {
    "How much arrives?": (("rates", None), ("daily_totals", None), ("rates_by_model", None)),
    "Whom for?": (
        ("rates_by_tier", None),
        ("tier_split", charts.split_bars),
        ("deferrable_share", None),
        ("deferrable_over_time", charts.deferrable_over_time),
    ),
    "When?": (
        ("diurnal_profile", charts.diurnal),
        ("weekly_profile", charts.weekly),
        ("periodicity", charts.periodicity),
    ),
    "Where from?": (
        ("rates_by_region", None),
        ("regional_split", charts.split_bars),
        ("regional_imbalance", charts.regional_imbalance),
        ("regional_lags", charts.regional_lags),
    ),
    "How bursty is it?": (
        ("dispersion", charts.dispersion),
        ("gap_cv", charts.gap_cv),
        ("peak_to_mean", charts.peak_to_mean),
    ),
    "How long are the requests?": (
        ("length_distribution", charts.length_distribution),
        ("length_moments", None),
        ("output_by_prompt", charts.output_by_prompt),
        ("length_drift", charts.length_drift),
    ),
    "Who sends it, and what is sent again?": (
        ("top_apps", charts.top_senders),
        ("top_tenants", charts.top_senders),
        ("concentration", None),
        ("cache_hits", charts.cache_hits),
    ),
}


def load_page(load: Characterisation, *, findings: pl.DataFrame, source: str, made_at: datetime) -> str:
    """Return the HTML page of a characterisation: it needs no network and says why what is missing is missing.

    ``findings`` are those of the ingest (``FINDINGS``); ``source`` is printed under every chart.
    """
    import nbformat

    from workbench.reporting import exporting

    said = in_words(load)
    cells = [_prose(f"# What the load of {load.trace} looks like"), _prose("## Can the data be trusted?")]
    cells.append(_shown(table(findings)))
    for question, parts in SECTIONS.items():
        cells.append(_prose(f"## {question}"))
        if question.startswith("How much"):
            cells += [
                _shown(charts.rates_over_time(load.demand, source=source, measure=rate))
                for rate in ("rps", "input_tps")
            ]
        for name, draw in parts:
            cells += _part(load, name, draw, said.get(name, ""), source)
    made = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    return exporting.page(made, made_at=made_at, made_from=source)


def write_load_page(
    path: Path, load: Characterisation, *, findings: pl.DataFrame, source: str, made_at: datetime
) -> None:
    """Write :func:`load_page` to a file; raises ReportError where the file cannot be written."""
    page = load_page(load, findings=findings, source=source, made_at=made_at)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"the page of trace {load.trace} could not be written to {path} ({error.strerror}); name a file in a "
            "folder that exists and that you may write to."
        ) from error


def _part(load: Characterisation, name: str, draw: Draw | None, sentence: str, source: str) -> list[Any]:
    told = [_prose(sentence)] if sentence else []
    if not load.has(name):
        return told
    frame = load.tables[name]
    if draw is not None:
        return [*told, _shown(draw(frame, source=source))]
    # names with spaces can be broken where a table is wide
    named = frame.head(LONGEST_TABLE).rename({column: column.replace("_", " ") for column in frame.columns})
    return [*told, _shown(table(named))]


def _prose(text: str) -> Any:
    import nbformat

    # names of models may hold marks that mean something in Markdown
    return nbformat.v4.new_markdown_cell(text.replace("_", "\\_"))  # type: ignore[no-untyped-call]


def _shown(piece: Any) -> Any:
    import json

    import nbformat

    data = {"text/html": piece.text} if isinstance(piece, Html) else {embedding.MIME_TYPE: json.loads(piece.to_json())}
    output = nbformat.v4.new_output("display_data", data=data)  # type: ignore[no-untyped-call]
    return nbformat.v4.new_code_cell(outputs=[output])  # type: ignore[no-untyped-call]
