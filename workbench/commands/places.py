"""What many verbs share: the folders they work in, and the time of day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder of the trace store and the studies.")]
ReportsDir = Annotated[Path, typer.Option("--reports-dir", help="Folder the report is written to.")]
StorePath = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="Trace store, or a lake to read (folder of Parquet, s3://...); else traces.duckdb of the data folder.",
    ),
]
DATA, REPORTS = Path("data"), Path("reports")


def store_at(*named: str | None, data_dir: Path) -> Path | str:
    """Return the first store that is named, or the one of the data folder."""
    return next((store for store in named if store is not None), None) or data_dir / "traces.duckdb"


def now() -> datetime:
    """Return the instant in UTC without a zone, as all instants are kept."""
    return datetime.now(UTC).replace(tzinfo=None)
