"""What to reserve: the newsvendor's rule by hand, and both terms against every combination tried."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import START, rates

from workbench import catalog
from workbench.errors import CatalogError, PlanError
from workbench.planning.commitments import VmTerms, best_reservations, commit, terms_of, used_fractions, vms_needed


def terms(
    *, on_demand: float = 10.0, one: float | None = 7.0, three: float | None = 4.0, gpus: int = 8
) -> dict[str, VmTerms]:
    return {"h100": VmTerms(vm="vm", gpus=gpus, on_demand_usd=on_demand, reserved_1y_usd=one, reserved_3y_usd=three)}


def hourly(counts: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "window_start": [START + timedelta(hours=hour) for hour in range(len(counts))],
            "region": "east",
            "gpu": "h100",
            "vms": counts,
        }
    )


def test_one_term_is_the_newsvendors_rule() -> None:
    """Counts 1, 2, 3, 4: the k-th machine is used 100, 75, 50, 25 % of hours; 40 % pays for the first three."""
    found = commit(hourly([1, 2, 3, 4]), terms=terms(one=4.0, three=None), years=1)
    row = found.choices.row(0, named=True)
    assert (row["reserved_1y_vms"], row["reserved_3y_vms"], row["peak_vms"]) == (3, 0, 4)
    assert row["break_even_1y_fraction"] == pytest.approx(0.4)
    assert row["break_even_3y_fraction"] is None
    assert row["cost_usd"] == pytest.approx(8760 * (3 * 4.0 + 0.25 * 10.0))
    assert row["on_demand_cost_usd"] == pytest.approx(8760 * 2.5 * 10.0)
    assert row["idle_vm_hours"] == pytest.approx(8760 * (2 + 1) / 4)
    assert found.curve.get_column("used_fraction").to_list() == [1.0, 0.75, 0.5, 0.25]


def test_a_shrinking_service_takes_the_shorter_term_on_top() -> None:
    """Always 4 machines now, 2 next year, 1 in the third. Over three years by the better of hour and 1 year (7):
    the 1st machine 21, the 2nd 14, the 3rd and 4th 7; a 3-year term costs 12, so it takes two, and 1 year the others.
    """
    found = commit(hourly([4, 4]), terms=terms(), growth_fraction=-0.5)
    assert found.choices.select("reserved_1y_vms", "reserved_3y_vms", "peak_vms").rows() == [
        (2, 2, 4),
        (0, 2, 2),
        (0, 2, 1),
    ]
    assert found.saving_fraction == pytest.approx(1 - (2 * 7 + 3 * 2 * 4) / (10 * (4 + 2 + 1)))


def test_machines_are_shared_by_the_models_of_a_kind() -> None:
    """Three replicas of 2 GPUs and two of 4: 14 GPUs, so two machines of eight."""
    allocation = pl.DataFrame(
        {
            "window_start": [START, START],
            "region": "east",
            "model": ["a", "b"],
            "gpu": "h100",
            "acquired": "on_demand",
            "replicas": [3, 2],
        }
    )
    speeds = rates({("a", "h100"): 1.0, ("b", "h100"): 1.0}).with_columns(gpus_per_replica=pl.Series([2, 4]))
    assert vms_needed(allocation, speeds, terms()).get_column("vms").to_list() == [2]
    with pytest.raises(PlanError, match="no prices for h100"):
        vms_needed(allocation, speeds, {})


@settings(deadline=None, max_examples=60)
@given(
    years=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=3),
    one=st.one_of(st.none(), st.integers(1, 12)),
    three=st.one_of(st.none(), st.integers(1, 12)),
)
def test_no_combination_is_cheaper(years: list[list[int]], one: int | None, three: int | None) -> None:
    """Every 3-year count with every 1-year count of each year, tried out."""
    loads = [np.array(year, dtype=float) for year in years]
    chosen = terms(one=one, three=three)["h100"]

    def usd(by_year: tuple[int, ...], long: int) -> float:
        beside = sum(
            float(np.maximum(load - long - short, 0).mean()) for load, short in zip(loads, by_year, strict=True)
        )
        return 10.0 * beside + (one or 0) * sum(by_year) + (three or 0) * long * len(loads)

    ones = range(5) if one else range(1)
    best = min(
        usd(by_year, long)
        for long in (range(5) if three else range(1))
        for by_year in itertools.product(ones, repeat=len(loads))
    )
    one_year, three_years = best_reservations(used_fractions(loads), chosen)
    assert usd(tuple(one_year), three_years) == pytest.approx(best)


def test_prices_come_from_one_machine_of_the_catalog() -> None:
    """us-central1 has all three for a3-highgpu-8g, us-east-1 no 1-year price, eastus no reservation at all."""
    known = catalog.load()
    google = terms_of(known, ["h100_80gb"], "us-central1")["h100_80gb"]
    assert google.vm == "gcp_a3_highgpu_8g"
    assert google.reserved_1y_usd is not None
    assert google.reserved_3y_usd is not None
    assert google.reserved_3y_usd < google.reserved_1y_usd < google.on_demand_usd
    amazon = terms_of(known, ["h100_80gb"], "us-east-1")["h100_80gb"]
    assert amazon.reserved_1y_usd is None
    assert amazon.reserved_3y_usd == pytest.approx(20.695)
    with pytest.raises(CatalogError, match="none of kind reserved_3y in eastus"):
        terms_of(known, ["h100_80gb"], "eastus")


def test_what_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(PlanError, match=r"(?s)no hour needs a machine.*growth_fraction must be above -1"):
        commit(hourly([1]).clear(), terms=terms(), growth_fraction=-1.0)
    with pytest.raises(PlanError, match="on_demand_usd must be positive"):
        terms(on_demand=0.0)
