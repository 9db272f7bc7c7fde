"""A small study for tests that open one: three synthetic days, a forecast without a fit, every default strategy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from workbench import catalog, scenarios, studies
from workbench.results import Study
from workbench.traces import ingest_frame, open_store, synthetic

TRACE = "three_days"
REQUESTS = 20_000
STORE, STUDIES = "traces.duckdb", "studies"


def build(root: Path) -> Study:
    """Make the trace in a store under ``root``, run the study and save it there."""
    week = synthetic.week(seed=7, requests=REQUESTS, days=3)
    content = scenarios.quickstart(trace=TRACE, requests=REQUESTS) | {
        "name": "small",
        "forecast": {"method": "seasonal_naive"},
    }
    scenario = scenarios.parse(content, source="small study")
    with open_store(root / STORE) as store:
        ingest_frame(week, store=store, name=TRACE, source="synthetic", format="synthetic")
        return studies.run(scenario, store, catalog=catalog.load(), root=root / STUDIES, now=datetime(2026, 1, 5))
