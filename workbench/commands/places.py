"""What many verbs share: the folders they work in, and the time of day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder of the trace store and the studies.")]
ReportsDir = Annotated[Path, typer.Option("--reports-dir", help="Folder the report is written to.")]
DATA, REPORTS = Path("data"), Path("reports")


def now() -> datetime:
    """Return the instant in UTC without a zone, as all instants are kept."""
    return datetime.now(UTC).replace(tzinfo=None)
