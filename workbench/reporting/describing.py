"""The page that describes one trace: every question with its sentence, its chart and its table.

It is made from a characterisation alone, without a kernel, so it is there within seconds; the notebook
``01_traces.ipynb`` tells the same story where a reader can go on from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from workbench import charts
from workbench.charts import embedding
from workbench.errors import ReportError
from workbench.features import Characterisation, in_words, readable, sentences
from workbench.features.telling.subjects import not_shown, says_more
from workbench.reporting.rendering import Html, paragraphs, table
from workbench.units import span_in_words

# from a frame to a figure; plotly itself has its only door in charts
Draw = Callable[..., Any]
LONGEST_TABLE = 24
#: What a page ends with: the tables whose sentences say most.
SHORTEST = ("rates", "known", "rates_by_model", "deferrable_share", "periodicity", "regional_imbalance", "dispersion")
#: Level of a finding -> what it asks of a reader, the worst first.
LEVELS: Mapping[str, str] = {"spoilt": "spoilt", "warning": "to look at", "note": "to know"}
#: Question -> the tables that answer it, each with its chart; None shows the table itself.
SECTIONS: Mapping[str, tuple[tuple[str, Draw | None], ...]] = {
    "How much arrives?": (("rates", None), ("known", None), ("daily_totals", None), ("rates_by_model", None)),
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
        ("length_distribution", partial(charts.length_distribution, measure="output_tokens")),
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

    cells = [_prose(f"# What the load of {load.trace} looks like"), _shown(paragraphs(summary(load, findings, source)))]
    cells += [_prose("## Can the data be trusted?"), _shown(findings_table(findings))]
    told: set[str] = set()
    for question, parts in SECTIONS.items():
        cells.append(_prose(f"## {question}"))
        if question.startswith("How much"):
            cells += [
                _shown(charts.rates_over_time(load.demand, source=source, measure=rate))
                for rate in ("rps", "input_tps")
            ]
        names = list(dict.fromkeys(name for name, _ in parts))
        for name, draw in parts:
            # a sentence is said once, before the first chart of its table
            new = [said for said in sentences(load, name) if load.has(name) and said not in told]
            told.update(new)
            cells += [*map(_prose, new), *_part(load, name, draw, source)]
        cells += [_prose(reason) for reason in not_shown(load.skipped, names)]
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


def summary(load: Characterisation, findings: pl.DataFrame, source: str) -> list[str]:
    """Return what a page of a trace begins with: what it was made from, its span, and how many findings of each level.

    ``findings`` are those of the ingest.
    """
    counts = dict(findings.group_by("level").len().iter_rows()) if findings.height else {}
    levels = ", ".join(f"{counts[level]} {word}" for level, word in LEVELS.items() if level in counts)
    windows = load.demand.get_column("window_start")
    span = span_in_words(windows.n_unique() * load.window_s)
    return [
        f"{source[:1].upper()}{source[1:]}. {span} in windows of {span_in_words(load.window_s)}; "
        f"{load.demand.select('region', 'model', 'tier').n_unique():,} series of region, model and tier. "
        f"Findings: {levels or 'none'}."
    ]


def missing(trace: str, there: Sequence[str]) -> str:
    """Say which traces a store has in place of one that it lacks, and how to make one."""
    return (
        f"the store has no trace {trace!r}; it has {', '.join(there) or 'none'}. Name one of these in the cell of "
        "parameters, or make one: workbench ingest FILE --name NAME, or workbench generate NAME."
    )


def tell(load: Characterisation, *names: str) -> None:
    """Print what tables of these names say, or why they are not there."""
    sys.stdout.write("\n".join([*sentences(load, *names), ""]))


def in_short(load: Characterisation) -> list[str]:
    """Return the sentences that a reader in a hurry needs."""
    said = in_words(load)
    return [said[name] for name in SHORTEST if load.has(name) and said[name]]


def _part(load: Characterisation, name: str, draw: Draw | None, source: str) -> list[Any]:
    if not load.has(name):
        return []
    frame = load.tables[name]
    if not says_more(name, frame):
        return []
    if draw is not None:
        return [_shown(draw(frame, source=source))]
    return [_shown(table(readable(frame.head(LONGEST_TABLE))))]


def findings_told(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings with what was found and what to do in one column, as six of them do not fit on a page."""
    if findings.is_empty():
        return pl.DataFrame({"what was found": ["Nothing."]})
    detail, advice = pl.col("detail"), pl.col("advice").fill_null("")
    said = (
        pl.when(advice != "")
        .then(pl.format("{}: {}. To do: {}", "where", detail, advice))
        .otherwise(pl.format("{}: {}", "where", detail))
    )
    return findings.select("level", "finding", said.alias("where, what was found, and what to do"), "count")


def findings_table(findings: pl.DataFrame) -> Html:
    """Return :func:`findings_told` as a table that stays inside the page: addresses and paths of files break anywhere.

    The evidence has the width, what only names it a little of it.
    """
    widths = "".join(f'<col style="width:{width}">' for width in ("5.5em", "10em", "auto", "6em"))
    told = findings_told(findings)
    made = table(told).text
    if told.width == 1:
        return Html(text=made)
    style = 'style="table-layout:fixed;width:100%;overflow-wrap:anywhere"'
    return Html(text=made.replace("<table>", f"<table {style}><colgroup>{widths}</colgroup>", 1))


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
