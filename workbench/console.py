"""What a person sees in the terminal: progress bars, scorecards, quality reports and tables. The one door to rich."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from workbench import scoring
from workbench.features import Characterisation, in_words
from workbench.results import QualityReport, Study
from workbench.units import SECONDS_PER_HOUR, span_in_words

LONGEST_TABLE = 12
Tell = Callable[[str, float], None]
# the worst first; colour only repeats what the word says
LEVEL_STYLES = {"spoilt": "bold red", "warning": "yellow", "note": ""}
LEVEL_WORDS = {"spoilt": "spoilt", "warning": "to look at", "note": "to know"}
FINDING_WIDTH = 38


def screen() -> Console:
    """Return the terminal, or 140 columns where the output goes elsewhere."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


@contextmanager
def progress() -> Iterator[Tell]:
    """Show one bar per stage on standard error; a stage ends when the next begins."""
    columns = (TextColumn("{task.description:<36}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, share: float) -> None:
            """Move the bar of a stage; a new stage completes those before it."""
            if stage not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=1.0)
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=share)

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
    ends = report.findings.get_column("level").ne(report.findings.get_column("level").shift(-1))
    for row, is_last in zip(report.findings.iter_rows(named=True), ends, strict=True):
        where = Text(f"\n{row['where']}" if row["where"] != "trace" else "", style="dim")
        advice = Text(f"\n> {row['advice']}" if row["advice"] else "", style="italic")
        level = Text(row["level"], style=LEVEL_STYLES[row["level"]])
        table.add_row(level, Text(row["finding"]) + where, Text(row["detail"]) + advice, end_section=is_last is True)
    console.print(table)
    if report.differences is not None:
        same = "The stored rows were looked at again: all is as the ingest found it."
        console.print("\n".join(f"Differs: {text}" for text in report.differences) or same, markup=False)


def show_load(load: Characterisation) -> None:
    """Print what is said of a load, sentence by sentence, and the tables short enough for a terminal."""
    console = screen()
    said = in_words(load)
    for name in load.tables:
        if name in said:
            console.print(said[name])
    for reason in dict.fromkeys(load.skipped.values()):
        names = [name.replace("_", " ") for name, why in load.skipped.items() if why == reason]
        console.print(f"Left out: {', '.join(names)}. {reason}")
    for name, frame in load.tables.items():
        if frame.height <= LONGEST_TABLE:
            print_frame(frame, f"\n{name.replace('_', ' ').capitalize()}")


def print_frame(frame: pl.DataFrame, title: str) -> None:
    """Print a frame as a table with thousands separators."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold", min_width=6)
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
