"""workbench.studies.equal_service: a sweep read where all strategies serve equally well, by hand."""

from __future__ import annotations

import polars as pl
import pytest

from workbench import scoring, studies
from workbench.studies import equal_service

ROWS = [("base", 0.0, 100.0, 0.80), ("base", 1.0, 200.0, 0.90), ("base", 2.0, 250.0, 0.85),
        ("mine", 0.0, 90.0, 0.84), ("mine", 1.0, 150.0, 0.88), ("mine", 2.0, 400.0, 0.96)]  # fmt: skip


def made() -> studies.Sweep:
    """Two strategies at three settings; a tier that can wait never keeps its promise."""
    keys = {"knob": pl.Float64, "strategy": pl.String}
    totals = pl.DataFrame(
        [(knob, key, key.upper(), hours, 2.0 * hours) for key, knob, hours, _ in ROWS],
        schema=keys | {"label": pl.String, "gpu_hours": pl.Float64, "cost_usd": pl.Float64},
        orient="row",
    )
    served = [(knob, key, "fast", kept, 10.0) for key, knob, _, kept in ROWS]
    late = [(knob, key, "late", 0.0, 1000.0) for key, knob, _, _ in ROWS]
    tiers = pl.DataFrame(
        served + late,
        schema=keys | {"tier": pl.String, "slo_attainment_fraction": pl.Float64, "arrived": pl.Float64},
        orient="row",
    )
    return studies.Sweep(axes={"knob": (0.0, 1.0, 2.0)}, totals=totals, tiers=tiers)


def test_what_costs_more_and_serves_worse_is_not_on_the_frontier() -> None:
    edge = studies.frontier(made(), deferrable=["late"])
    assert edge.select("strategy", "knob").rows() == [
        ("base", 0.0), ("base", 1.0), ("mine", 0.0), ("mine", 1.0), ("mine", 2.0),
    ]  # fmt: skip
    assert edge.get_column(scoring.SERVICE).to_list() == pytest.approx([0.80, 0.90, 0.84, 0.88, 0.96])


def test_savings_are_those_at_one_level_of_service() -> None:
    """At 84 % the base takes 140 between its settings and mine 90; at 90 % 200 and, between 150 and 400, 212.5."""
    found = studies.at_levels(made(), baseline="base", deferrable=["late"], levels=[0.84, 0.90, 0.95])
    assert found.get_column("gpu_hours").to_list() == [
        pytest.approx(140.0), pytest.approx(90.0), pytest.approx(200.0), pytest.approx(212.5), None,
        pytest.approx(368.75),
    ]  # fmt: skip
    assert found.get_column("gpu_hours_saved_fraction").to_list() == [
        pytest.approx(0.0), pytest.approx(50.0 / 140.0), pytest.approx(0.0), pytest.approx(-0.0625), None, None,
    ]  # fmt: skip
    shown = studies.readable_levels(found, made())
    assert shown.row(1) == (84.0, "MINE", 90.0, 180.0, 35.7)


def test_levels_are_those_that_all_reach() -> None:
    edge = studies.frontier(made(), deferrable=["late"])
    assert equal_service.shared_levels(edge, count=3) == pytest.approx([0.84, 0.87, 0.90])
    apart = edge.filter((pl.col("strategy") == "mine") | (pl.col("knob") == 0.0))
    assert equal_service.shared_levels(apart) == [0.80]  # the best of one is worse than the worst of the other
    assert equal_service.shared_levels(edge.clear()) == []
    nothing = studies.Sweep(axes={}, totals=made().totals.clear(), tiers=made().tiers.clear())
    assert studies.at_levels(nothing, baseline="base").is_empty()
