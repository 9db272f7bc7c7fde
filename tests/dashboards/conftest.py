"""One small study for all tests of the dashboards: made once, never changed."""

from __future__ import annotations

import pytest

from tests.notebooks.small_study import build
from workbench.results import Study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three synthetic days of which the last is simulated under every default strategy, planned once as choices are."""
    return build(tmp_path_factory.mktemp("dashboards"), replan="once")
