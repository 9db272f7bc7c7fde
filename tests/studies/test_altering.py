"""workbench.studies.altering: one factor for sums and single requests; the mix from the history, bursts after it."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, START, demand
from workbench import scenarios
from workbench.domain import Scenario
from workbench.errors import ScenarioError
from workbench.studies import altering
from workbench.studies.altering import Alteration

HOURS = 4


def scenario(**changes: object) -> Scenario:
    return scenarios.parse({"trace": "t", "demand": changes}, source="test")


def load() -> pl.DataFrame:
    """Four hours in minutes: two interactive requests a second, one deferrable."""
    return demand({("east", "m", FAST): [2.0] * 60 * HOURS, ("east", "m", BATCH): [1.0] * 60 * HOURS}, window_s=60.0)


def asked(wanted: Scenario, *, window_s: float = 60.0) -> Alteration:
    return altering.alteration_of(
        wanted, load(), as_of=START + timedelta(hours=1), window_s=window_s, deferrable=[BATCH]
    )


def total(frame: pl.DataFrame, tier: str, measure: str = "requests") -> float:
    return float(frame.filter(pl.col("tier") == tier).get_column(measure).sum())


def test_a_scenario_without_wishes_leaves_the_load_as_it_is() -> None:
    assert asked(scenario()).is_none
    assert altering.altered(load(), asked(scenario())).equals(load())
    assert altering.notes_of(asked(scenario()), scenario()) == []


@pytest.mark.parametrize(("ratio", "factor"), [(9.0, 2 / 9), (1.0, 2.0), (2.0, 1.0)])
def test_the_mix_of_the_history_becomes_the_one_that_is_asked_for(ratio: float, factor: float) -> None:
    wanted = scenario(interactive_per_deferrable=ratio)
    after = altering.altered(load(), asked(wanted))
    assert asked(wanted).deferrable_factor == pytest.approx(factor)
    assert total(after, FAST) == total(load(), FAST)
    assert total(after, FAST) / total(after, BATCH) == pytest.approx(ratio)
    assert total(after, BATCH, "output_tokens") == pytest.approx(factor * total(load(), BATCH, "output_tokens"))


def test_a_burst_is_the_first_minute_of_every_hour_but_the_first_of_the_span() -> None:
    """The span begins at one o'clock: bursts at two and three, of eight more minutes each."""
    wanted = scenario(burst_copies=8, window_s=60.0)
    after = altering.altered(load(), asked(wanted))
    grown = after.filter(pl.col("requests") != load().get_column("requests"))
    assert grown.get_column("window_start").unique().to_list() == [START + timedelta(hours=h) for h in (2, 3)]
    assert total(after, FAST) == pytest.approx(total(load(), FAST) + 2 * 8 * 2.0 * 60)
    assert "9 times over" in altering.notes_of(asked(wanted), wanted)[0]


def test_what_cannot_be_had_is_refused_with_the_way_out() -> None:
    with pytest.raises(ScenarioError, match=r"set demand\.window_s to 60"):
        asked(scenario(burst_copies=8), window_s=600.0)
    only = load().filter(pl.col("tier") == FAST)
    with pytest.raises(ScenarioError, match="0 deferrable"):
        altering.alteration_of(
            scenario(interactive_per_deferrable=3.0), only, as_of=START + timedelta(hours=1), window_s=60.0,
            deferrable=[BATCH],
        )  # fmt: skip
