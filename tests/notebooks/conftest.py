"""Small studies for every notebook that is executed: made once, one of a request trace and one of a series."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.small_study import REQUESTS_TRACE, SERIES_TRACE, build
from workbench.results import Study


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds a trace store."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def small_studies(small_data: Path) -> dict[str, Study]:
    """Two studies in that folder, by the name of their trace."""
    return {
        trace: build(small_data, trace, replan=replan)
        for trace, replan in ((REQUESTS_TRACE, "hourly"), (SERIES_TRACE, "once"))
    }
