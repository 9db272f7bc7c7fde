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

from workbench import scoring
from workbench.results import QualityReport, Study
from workbench.units import SECONDS_PER_HOUR, span_in_words

Tell = Callable[[str, float], None]


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
    """Print what an ingest found."""
    state = "was already there, nothing changed" if report.was_there else "is stored"
    screen().print(
        f"Trace [bold]{report.trace}[/bold] ({report.format}) {state}: {report.rows_kept:,} of {report.rows_read:,} "
        f"rows kept, {report.rows_rejected:,} rejected; {report.first_at} to {report.last_at} UTC"
    )
    print_frame(report.findings, "Findings")


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
