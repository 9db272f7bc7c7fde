"""Small studies for every notebook that is executed: that of single requests, and one of a series of sums."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from tests.sharing import copied
from workbench import catalog, features, scenarios, studies
from workbench.results import Study
from workbench.traces import ingest_frame, open_store

REQUESTS_TRACE, SERIES_TRACE = "small", "small_sums"
STORE, STUDIES = "traces.duckdb", "studies"


@pytest.fixture(scope="session")
def small_data(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose store holds the trace ``small``, and the same as a series: sums of ten minutes."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copy(small_store / STORE, folder)
    with open_store(folder / STORE) as store:
        sums = features.demand(store, REQUESTS_TRACE, window_s=600.0)
        ingest_frame(sums, store=store, name=SERIES_TRACE, source="sums of ten minutes", format="synthetic")
    return folder


@pytest.fixture(scope="session")
def small_studies(small_data: Path, small_study: Study) -> dict[str, Study]:
    """Two studies in that folder, by the name of their trace; that of the series is planned once."""
    content = {
        **scenarios.quickstart(trace=SERIES_TRACE, requests=20_000),
        "name": SERIES_TRACE,
        "forecast": {"method": "seasonal_naive"},
        "plan": {"replan": "once"},
    }
    with open_store(small_data / STORE, read_only=True) as store:
        of_the_series = studies.run(
            scenarios.parse(content, source="test"),
            store,
            catalog=catalog.load(),
            root=small_data / STUDIES,
            now=datetime(2026, 1, 5),
        )
    return {REQUESTS_TRACE: copied(small_study, small_data / STUDIES), SERIES_TRACE: of_the_series}
