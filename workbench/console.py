"""What a person sees in the terminal: progress bars, scorecards, quality reports and tables. The one door to rich."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from workbench import scoring
from workbench.features import Characterisation, readable, sentences
from workbench.features.telling import says_more
from workbench.results import QualityReport, Study, Tell
from workbench.units import SECONDS_PER_HOUR, span_in_words

LONGEST_TABLE = 12
# the worst first; colour only repeats what the word says
LEVEL_STYLES = {"spoilt": "bold red", "warning": "yellow", "note": ""}
LEVEL_WORDS = {"spoilt": "spoilt", "warning": "to look at", "note": "to know"}
FINDING_WIDTH = 38
# what a column is never narrower than, and how far a long word or number may widen that
LEAST_WIDTH, MOST_LEAST_WIDTH = 6, 16


def screen() -> Console:
    """Return the terminal, or 140 columns where the output goes elsewhere and COLUMNS does not say how many."""
    is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(highlight=False, width=None if is_known else 140)


@contextmanager
def progress() -> Iterator[Tell]:
    """Show one bar per stage on standard error; a stage ends when the next begins."""
    columns = (
        TextColumn("{task.description:<36}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[so_far]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, share: float, so_far: str = "") -> None:
            """Move the bar of a stage; a new stage completes those before it. ``so_far`` is written behind the bar."""
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=1.0)
                tasks[stage] = bars.add_task(stage, total=1.0, so_far="")
            bars.update(tasks[stage], completed=share, so_far=so_far)

        yield tell
        for task in tasks.values():
            bars.update(task, completed=1.0)


def show_study(study: Study) -> None:
    """Print the scorecard of a study and its notes."""
    console = screen()
    length = span_in_words(study.hours * SECONDS_PER_HOUR)
    console.print(f"\nStudy [bold]{study.id}[/bold]: {length} from {study.as_of} UTC")
    for title, frame in scoring.tables_of(study.scorecard, study.fleet.tiers).items():
        print_frame(frame, title)
    for note in study.notes:
        console.print(f"Note: {note}")


def show_quality(report: QualityReport) -> None:
    """Print what an ingest found, the worst first, with what to do about it."""
    state = "was already there, nothing changed" if report.was_there else "is stored"
    console = screen()
    console.print(
        f"Trace [bold]{report.trace}[/bold] ({report.format}) {state}: {report.rows_kept:,} of {report.rows_read:,} "
        f"rows kept, {report.rows_rejected:,} rejected; {report.first_at} to {report.last_at} UTC"
    )
    counts = [f"{report.count(level):,} {word}" for level, word in LEVEL_WORDS.items()]
    table = Table(title="Findings: " + ", ".join(counts), title_justify="left", header_style="bold")
    table.add_column("level")
    # a name of a file is long and the evidence longer: where stands below what, to leave the width to the evidence
    table.add_column("finding and where", overflow="fold", max_width=FINDING_WIDTH)
    table.add_column("what was seen, what to do", overflow="fold")
    findings = _once(report.findings)
    ends = findings.get_column("level").ne(findings.get_column("level").shift(-1))
    for row, is_last in zip(findings.iter_rows(named=True), ends, strict=True):
        where = Text(f"\n{row['where']}" if row["where"] != "trace" else "", style="dim")
        advice = Text(f"\n> {row['advice']}" if row["advice"] else "", style="italic")
        level = Text(row["level"], style=LEVEL_STYLES[row["level"]])
        table.add_row(level, Text(row["finding"]) + where, Text(row["detail"]) + advice, end_section=is_last is True)
    console.print(table)
    if report.differences is not None:
        same = "The stored rows were looked at again: all is as the ingest found it."
        console.print("\n".join(f"Differs: {text}" for text in report.differences) or same, markup=False)


def _once(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings with the same words as one, with every place they concern."""
    same = ["finding", "level", "detail", "advice"]
    return findings.group_by(same, maintain_order=True).agg(pl.col("where").unique(maintain_order=True).str.join(", "))


def show_load(load: Characterisation) -> None:
    """Print what is said of a load, sentence by sentence, and the tables short enough for a terminal."""
    console = screen()
    for sentence in sentences(load, *load.tables, *load.skipped):
        console.print(sentence, markup=False)
    for name, frame in load.tables.items():
        if 0 < frame.height <= LONGEST_TABLE and says_more(name, frame):
            title = f"\n{name.replace('_', ' ').capitalize()}"
            for part in _beside(readable(frame), width=console.width):
                print_frame(part, title, whole_words=True)
                title = ""


def _beside(frame: pl.DataFrame, *, width: int) -> list[pl.DataFrame]:
    """Cut a table by its columns into tables that fit, each with the same keys, so that no word is cut."""
    needs = {name: 3 + _least_width(frame, name) for name in frame.columns}
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    keys = frame.columns[: frame.columns.index(numbers[0])] if numbers else []
    parts: list[list[str]] = [[]]
    for name in frame.columns[len(keys) :]:
        if parts[-1] and 1 + sum(needs[other] for other in [*keys, *parts[-1], name]) > width:
            parts.append([])
        parts[-1].append(name)
    return [frame.select(*keys, *part) for part in parts]


def _least_width(frame: pl.DataFrame, name: str) -> int:
    """Return the width that a column needs for its cells and the longest word of its head."""
    return max(map(len, [*name.split(), *map(_cell, frame.get_column(name))]))


def _least_words(frame: pl.DataFrame, name: str) -> int:
    """Return the width below which a column would cut a word of its head, or a number; only text is folded."""
    cells = map(_cell, frame.get_column(name)) if frame.schema[name].is_numeric() else ()
    return max([LEAST_WIDTH, *(min(len(word), MOST_LEAST_WIDTH) for word in (*name.replace("_", " ").split(), *cells))])


def print_frame(frame: pl.DataFrame, title: str, *, whole_words: bool = False) -> None:
    """Print a frame as a table with thousands separators; ``whole_words`` never cuts a word."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, dtype in frame.schema.items():
        is_number = dtype.is_numeric()
        table.add_column(
            # a terminal narrows all columns alike and would cut the words of a head that a line break keeps whole
            "\n".join(textwrap.wrap(name, _least_width(frame, name))) if whole_words else name.replace("_", " "),
            justify="right" if is_number else "left",
            overflow="fold",
            min_width=_least_words(frame, name),
            no_wrap=whole_words and not is_number,
        )
    for row in frame.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    screen().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
