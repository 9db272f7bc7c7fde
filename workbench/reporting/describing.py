"""The page that describes one trace: every question with its sentence, its chart and its table.

It is made from a characterisation alone, without a kernel, so it is there within seconds; the notebook
``01_traces.ipynb`` tells the same story where a reader can go on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
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
_RATES = {"rps": "requests", "input_tps": "input tokens", "output_tps": "output tokens"}
_MEASURES = ("requests", "input_tokens", "output_tokens")
LONGEST_TABLE = 24
#: Column of a table -> its head in words and with its unit; a share whose head says % is shown in per cent.
HEADS: Mapping[str, str] = {
    **{f"{rate}_{end}": f"{what}/s, {end}" for rate, what in _RATES.items() for end in ("mean", "peak")},
    **{f"{what}_tokens_{end}": f"{what} tokens, {end}" for what in ("input", "output") for end in ("mean", "max")},
    **{f"{what}_deferrable_fraction": f"{what.replace('_', ' ')} that may wait, %" for what in _MEASURES},
    "input_tokens_cv": "input tokens, CV",
    "output_tokens_cv": "output tokens, CV",
    "peak_to_mean_ratio": "requests, peak / mean",
    "known_fraction": "known, % of the time",
    "day": "day (UTC)",
    "interactive_to_deferrable_ratio": "requests that may not wait / that may",
    "correlation": "correlation",
    "log_correlation": "of the logarithms",
    "of": "kind",
    "senders": "how many",
    "top_fraction": "requests of the largest, %",
    "effective_senders": "equal ones that were as concentrated",
    "gini_fraction": "Gini (0 all equal, 1 all from one)",
    "unnamed_fraction": "requests that name none, %",
}
#: Tables of one row per group that only repeat the whole where there is one group, and shares that all are 100 %.
BY_GROUP = ("rates_by_model", "rates_by_region", "rates_by_tier")
SPLITS = ("regional_split", "tier_split")

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

    said = in_words(load)
    cells = [_prose(f"# What the load of {load.trace} looks like"), _prose("## Can the data be trusted?")]
    cells.append(_shown(table(findings_told(findings))))
    for question, parts in SECTIONS.items():
        cells.append(_prose(f"## {question}"))
        if question.startswith("How much"):
            cells += [
                _shown(charts.rates_over_time(load.demand, source=source, measure=rate))
                for rate in ("rps", "input_tps")
            ]
        for name, draw in parts:
            # a sentence is said once, before the first chart of its table
            cells += _part(load, name, draw, said.pop(name, "") if load.has(name) else "", source)
        cells += [_prose(reason) for reason in _left_out(load, [name for name, _ in parts])]
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
    if not _says_more(name, frame):
        return told
    if draw is not None:
        return [*told, _shown(draw(frame, source=source))]
    return [*told, _shown(table(readable(frame.head(LONGEST_TABLE))))]


def _says_more(name: str, frame: pl.DataFrame) -> bool:
    """Tell whether a chart or table says more than its sentence: one group alone, or nothing but zeros, do not."""
    if name in BY_GROUP:
        return frame.height > 1
    if name in SPLITS:
        return frame.get_column("region" if name == "regional_split" else "tier").n_unique() > 1
    if name in ("deferrable_share", "deferrable_over_time"):
        return bool((frame.get_column("requests_deferrable_fraction") > 0).any())
    return True


def _left_out(load: Characterisation, names: list[str]) -> list[str]:
    """Return why tables of a section are not there; those that have one reason together."""
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if not load.has(name):
            by_reason.setdefault(load.skipped[name], []).append(name.replace("_", " "))
    return [f"Left out: {', '.join(left)}. {reason}" for reason, left in by_reason.items()]


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of a characterisation as a person reads it: heads in words with units, shares in per cent."""
    columns = []
    for name, dtype in frame.schema.items():
        head = HEADS.get(name, name.replace("_", " "))
        value = pl.col(name).dt.date() if name == "day" and dtype == pl.Datetime else pl.col(name)
        columns.append((value * 100 if "%" in head else value).alias(head))
    return frame.select(columns)


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
