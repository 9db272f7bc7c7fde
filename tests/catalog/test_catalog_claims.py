"""workbench.catalog.claims: a published figure says what of ours stands beside it, and what it is measured by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench import catalog, scenarios
from workbench.catalog import Claim
from workbench.errors import CatalogError

KNOWN = catalog.load().claims


def test_every_claim_asks_for_a_shipped_scenario_that_holds_its_strategies(repo_root: Path) -> None:
    for claim in KNOWN:
        file = repo_root / "data" / "scenarios" / f"{claim.scenario}.toml"
        for settings in (claim.settings, claim.against):
            keys = {key: value for key, _, value in (text.partition("=") for text in settings)}
            numbers = {key: float(value) if value[-1].isdigit() else value for key, value in keys.items()}
            strategies = [policy.key for policy in scenarios.load(file, numbers).strategies]
            assert {claim.strategy, claim.baseline or claim.strategy} <= set(strategies), claim.key


def test_published_savings_are_those_of_the_paper() -> None:
    """sageserve.md section 11.2: 362.25 instance-hours of Reactive, 274.5, 291 and 277.5 of the three."""
    by_key = {claim.key: claim for claim in KNOWN}
    for key, hours in (("july_lt_i", 274.5), ("july_lt_u", 291.0), ("july_lt_ua", 277.5)):
        assert by_key[key].value == pytest.approx(1.0 - hours / 362.25, abs=0.001)
    assert by_key["unified"].value == 0.345
    assert by_key["unified_llama2"].value == pytest.approx(1.0 - 91.2 / 180.8, abs=0.001)
    assert by_key["gap_10_ttft"].value == pytest.approx(20.86 / 16.66, abs=0.001)
    assert by_key["november_lt_i"].value == pytest.approx(1.0 - 227.25 / 302.25, abs=0.001)


def test_what_the_paper_has_no_number_of_says_so() -> None:
    ours_alone = [claim for claim in KNOWN if claim.value is None]
    figures = {claim.figure for claim in ours_alone}
    assert figures == {"look-ahead", "look-ahead, ten times the load", "bursts", "forecast error"}
    assert all(claim.differs for claim in ours_alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "gpu_hour_saved"}, "did you mean 'gpu_hours_saved'"),
        ({"measure": "violations"}, "needs a tier"),
        ({"baseline": ""}, "needs a baseline"),
        ({"settings": ("scheduler",)}, "written KEY=VALUE, got 'scheduler'"),
    ],
)
def test_a_claim_that_nothing_can_answer_is_refused(change: dict[str, object], message: str) -> None:
    first: Claim = KNOWN[0]
    with pytest.raises(CatalogError, match=message):
        replace(first, **change)  # type: ignore[arg-type]
