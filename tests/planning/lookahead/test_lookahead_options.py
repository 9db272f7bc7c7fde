"""workbench.planning.lookahead.options and .outlook: what contradicts itself or the fleet is refused, all at once.

Also workbench.planning.lookahead.laying_out, workbench.planning.lookahead.working and
workbench.planning.lookahead.refusing.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.planning.lookahead.lookahead_cases import hourly, options
from tests.planning.planning_cases import TIERS, fleet, rates, requirement
from workbench import planning
from workbench.errors import PlanError
from workbench.planning.lookahead import Energy, LookAhead, Outlook, outlook
from workbench.planning.lookahead.working import WAITING, bound_tiers, classes_of

EAST, WEST = ("east", "a100"), ("west", "a100")


def laid_out(rows: list[tuple[int, str, str, str, float]], **changes: object) -> Outlook:
    held = fleet(stock={EAST: 4, WEST: 4})
    return outlook(requirement(rows), fleet=held, rates=rates({("m", "a100"): 200.0}), options=options(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"local_fraction": 1.5}, "local_fraction must lie in 0-1, got 1.5"),
        ({"lead_s": {"reclaim": 60.0}}, "lead_s must name reclaim, swap, remote, got reclaim"),
        ({"integer_hours": 0}, "integer_hours must be above 0"),
        ({"threads": 0}, "threads must be 1 or more"),
        ({"spot_gpus": {EAST: 4}}, r"reserved or spot GPUs without a price: \('east', 'a100'\)"),
        ({"quota_gpus": {EAST: -1}}, r"quota_gpus of \('east', 'a100'\) must be a number, 0 or more, got -1"),
        ({"budget_usd": float("nan")}, "budget_usd must be a number, 0 or more, got nan"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        options(**changes)


def test_energy_has_one_number_or_one_for_each_hour() -> None:
    with pytest.raises(PlanError, match="usd_per_kwh must hold 1 or 24 numbers, got 2"):
        Energy(usd_per_kwh=(0.1, 0.2))
    with pytest.raises(PlanError, match="carbon_kg_per_kwh must not be negative"):
        Energy(carbon_kg_per_kwh=(-0.1,))


def test_everything_that_contradicts_the_fleet_is_one_error() -> None:
    held = fleet(stock={EAST: 4}, models=("m", "n"), usd={EAST: -1.0}, initial={("east", "m", "a100"): 3})
    asked = options(
        residency={"north": frozenset({"east"})},
        quota_gpus={EAST: 1, WEST: 1},
        reserved_gpus={EAST: 9},
        reserved_usd_per_gpu_hour={EAST: 1.0},
        stops_per_window=1,
    )
    with pytest.raises(PlanError) as caught:
        outlook(requirement(hourly([1.0])), fleet=held, rates=rates({("m", "a100"): 100.0}), options=asked)
    text = str(caught.value)
    for part in (
        "model n has no replica rate on any GPU kind",
        "the price of ('east', 'a100') is negative",
        "residency names region 'north'",
        "quota_gpus names ('west', 'a100')",
        "9 GPUs of a100 are reserved in east, its stock is 4",
    ):
        assert part in text


def test_every_name_that_the_fleet_lacks_is_told_with_what_was_meant() -> None:
    asked = requirement(hourly([1.0], region="eats") + hourly([1.0], model="mm") + hourly([1.0], tier="fats"))
    held = fleet(stock={EAST: 4})
    with pytest.raises(PlanError) as caught:
        outlook(asked, fleet=held, rates=rates({("m", "a100"): 100.0}), options=options())
    text = str(caught.value)
    for part in (
        "region 'eats' that the fleet does not have; did you mean 'east'?",
        "model 'mm' that the fleet does not have; did you mean 'm'?",
        "tier 'fats' that the fleet does not have; did you mean 'fast'?",
    ):
        assert part in text


def test_work_is_laid_out_in_units_of_a_replica() -> None:
    rows = hourly([400.0, 100.0]) + hourly([100.0], region="west", tier="normal") + hourly([50.0, 0.0], tier="batch")
    ahead = laid_out(rows)
    assert ahead.unit_input_tps.tolist() == [200.0]
    assert ahead.bound[0].tolist() == [[2.0, 0.5], [0.0, 0.0]]
    assert ahead.pooled[0].tolist() == [[0.0, 0.0], [0.5, 0.0]]
    assert ahead.arriving[0, 0].tolist() == [0.25, 0.0]
    assert ahead.deferring.tolist() == [0]


def test_what_may_still_wait_has_come_and_is_not_due() -> None:
    held = fleet(stock={EAST: 4})
    rows = requirement([*hourly([0.0] * 4), *hourly([100.0, 100.0, 0.0, 0.0], tier="batch")])
    rows = rows.with_columns(pl.when("is_deferrable").then(7200.0).alias("serve_by_s"))
    waiting = pl.DataFrame([("east", "m", 30.0, 10_800.0)], schema=WAITING, orient="row")
    ahead = outlook(rows, fleet=held, rates=rates({("m", "a100"): 100.0}), options=options(), waiting=waiting)
    # what comes in an hour must be served in that hour or the next; the thirty wait in the first two at most
    assert ahead.not_due[0, 0].tolist() == pytest.approx([1.0 + 0.3, 1.0 + 0.3, 0.0, 0.0])
    assert ahead.waiting_now.tolist() == [[0.3]]


def test_a_start_loses_its_lead_time_window_by_window() -> None:
    ahead = laid_out(hourly([1.0, 1.0]), lead_s={"reclaim": 60.0, "swap": 600.0, "remote": 9000.0})
    assert ahead.lost == pytest.approx(np.array([[1 / 60, 0, 0], [1 / 6, 0, 0], [1, 1, 0.5]]))


def test_tiers_whose_first_token_cannot_wait_are_bound_to_regions() -> None:
    assert bound_tiers(TIERS, LookAhead()) == ["fast"]
    assert bound_tiers(TIERS, LookAhead(bound_below_ttft_s=61.0)) == ["fast", "normal"]


def test_the_package_offers_the_choices() -> None:
    assert planning.LookAhead is LookAhead
    assert planning.Energy is Energy


def test_regions_that_work_may_go_to_make_classes() -> None:
    everywhere = frozenset({0, 1})
    classes, interactive_of, deferrable_of = classes_of(("east", "west"), {})
    assert (classes, interactive_of.tolist(), deferrable_of.tolist()) == ((everywhere,), [0, 0], [0, 0])
    classes, interactive_of, deferrable_of = classes_of(("east", "west"), {}, defer_at_home=True)
    assert classes == (everywhere, frozenset({0}), frozenset({1}))
    assert (interactive_of.tolist(), deferrable_of.tolist()) == ([0, 0], [1, 2])
