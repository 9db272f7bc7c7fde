"""One small study for all tests of the dashboards, which none of them changes."""

from __future__ import annotations

import pytest

from workbench.results import Study


@pytest.fixture(scope="session")
def study(small_study_once: Study) -> Study:
    """Three synthetic days of which the last is simulated under every default strategy, planned once as choices are."""
    return small_study_once
