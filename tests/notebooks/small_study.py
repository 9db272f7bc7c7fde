"""Small studies for tests that open one: three synthetic days, a forecast without a fit, every default strategy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from workbench import catalog, features, scenarios, studies
from workbench.results import Study
from workbench.traces import ingest_frame, open_store, synthetic

REQUESTS_TRACE, SERIES_TRACE = "three_days", "three_days_of_sums"
REQUESTS = 20_000
STORE, STUDIES = "traces.duckdb", "studies"
NOW = datetime(2026, 1, 5)


def build(root: Path, trace: str = REQUESTS_TRACE, *, replan: str = "hourly") -> Study:
    """Make the traces in a store under ``root``, run the study of one of them and save it there.

    The second trace is the first as a series: sums of ten minutes, no single request.
    """
    content = scenarios.quickstart(trace=trace, requests=REQUESTS) | {
        "name": f"small_{trace}",
        "forecast": {"method": "seasonal_naive"},
        "plan": {"replan": replan},
    }
    scenario = scenarios.parse(content, source="small study")
    with open_store(root / STORE) as store:
        days = synthetic.week(seed=7, requests=REQUESTS, days=3)
        ingest_frame(days, store=store, name=REQUESTS_TRACE, source="synthetic", format="synthetic")
        sums = features.demand(store, REQUESTS_TRACE, window_s=600.0)
        ingest_frame(sums, store=store, name=SERIES_TRACE, source="synthetic", format="synthetic")
        return studies.run(scenario, store, catalog=catalog.load(), root=root / STUDIES, now=NOW)
