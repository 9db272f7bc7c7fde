"""How long the monthly report of a small study takes: kernel, every table and chart, and the page."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from tests.benchmarks.timing import Figure, measure
from workbench import catalog, reporting, scenarios, studies
from workbench.results import Study
from workbench.traces import ingest_frame, open_store, synthetic

NOW = datetime(2026, 1, 5)


def run() -> list[Figure]:
    """Build the report three times from one study of three synthetic days and four strategies."""
    with tempfile.TemporaryDirectory() as scratch:
        study = small_study(Path(scratch))

        def once() -> None:
            reporting.monthly_cost(study, reports_dir=Path(scratch) / "reports", now=NOW)

        return [Figure(metric="month_s", unit="s", spread=measure(once, runs=3))]


def small_study(folder: Path) -> Study:
    """Make the study the report is built from, with a forecast that needs no fit."""
    content = {"name": "small", "trace": "small", "demand": {"scale": 100.0}, "forecast": {"method": "seasonal_naive"}}
    with open_store(folder / "traces.duckdb") as store:
        week = synthetic.week(seed=7, requests=20_000, days=3)
        ingest_frame(week, store=store, name="small", source="three synthetic days", format="synthetic")
        scenario = scenarios.parse(content, source="benchmark")
        return studies.run(scenario, store, catalog=catalog.load(), root=folder / "studies", now=NOW)
