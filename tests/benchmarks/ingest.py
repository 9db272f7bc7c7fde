"""How long ten million rows take from a file into the store, quality report included, and what they take up.

The ingest runs in a process of its own, so that the memory it is said to need is its own and not that of whoever made
the file. ``python -m tests.benchmarks.ingest 1 10 100`` prints the curve over that many million rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from tests.benchmarks.timing import Figure, Spread
from workbench.traces import synthetic

ROWS_IN_MILLIONS = 10
ROOT = Path(__file__).resolve().parents[2]

INGEST = """
import json, pathlib, resource, sys, time
from workbench.traces import ingest, open_store
source, file = sys.argv[1:]
start = time.perf_counter()
with open_store(file) as store:
    report = ingest(source, store=store, name="rows")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"rows": report.rows_kept, "s": seconds, "bytes": pathlib.Path(file).stat().st_size, "peak": peak}))
"""


def run() -> list[Figure]:
    """Ingest the synthetic week ten times over as one CSV file; one run, as it takes long."""
    found = of_size(ROWS_IN_MILLIONS)
    # weeks of a million hold a little more or less; the figure is said for ten million
    whole = ROWS_IN_MILLIONS * 1e6 / found["rows"]
    return [
        Figure(metric="rows_10m_s", unit="s", spread=_once(found["s"] * whole)),
        Figure(metric="peak_rss_gb", unit="GB", spread=_once(found["peak"] / 1e9)),
        Figure(metric="bytes_per_row", unit="B", spread=_once(found["bytes"] / found["rows"])),
    ]


def curve(sizes: Iterable[int]) -> Table:
    """Ingest that many million rows each and say what a row costs; what one row costs more than before is shown."""
    table = Table(
        "million rows", "s", "s per million", "peak RSS, GB", "bytes per row", "cost per row against the first"
    )
    first = None
    for millions in sizes:
        found = of_size(millions)
        each = found["s"] / found["rows"] * 1e6
        first = first or each
        memory, size = found["peak"] / 1e9, found["bytes"] / found["rows"]
        table.add_row(
            f"{millions}", f"{found['s']:.1f}", f"{each:.2f}", f"{memory:.2f}", f"{size:.1f}", f"{each / first:.2f}"
        )
    return table


def of_size(millions: int) -> dict[str, float]:
    """Make that many million rows and ingest them; see :func:`ingested`."""
    with tempfile.TemporaryDirectory() as name:
        write_csv(Path(name) / "rows.csv", millions)
        return ingested(Path(name) / "rows.csv", Path(name) / "traces.duckdb")


def write_csv(file: Path, millions: int) -> None:
    """Write a synthetic week of a million requests as often as asked, one week after the other."""
    week = synthetic.week(seed=7).drop("app", "tenant", "cached_tokens")
    with file.open("wb") as rows:
        for part in range(millions):
            shifted = week.with_columns(pl.col("arrived_at") + pl.duration(days=7 * part))
            shifted.write_csv(rows, include_header=part == 0)


def ingested(source: Path, file: Path) -> dict[str, float]:
    """Ingest a file into a new store in another process; rows, seconds, bytes of the store and peak memory in bytes."""
    command = [sys.executable, "-c", INGEST, str(source), str(file)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {key: float(value) for key, value in json.loads(answer.stdout.splitlines()[-1]).items()}


def _once(value: float) -> Spread:
    return Spread(median=value, low=value, high=value)


if __name__ == "__main__":
    Console().print(curve(int(word) for word in sys.argv[1:]))
