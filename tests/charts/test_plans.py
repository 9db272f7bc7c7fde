"""Charts of plans: steps drawn to the end of their last hour, capacity against need, what is not covered."""

from __future__ import annotations

import polars as pl
import pytest

from tests.charts.chart_cases import SOURCE, at
from workbench.charts import plans

ALLOCATION = pl.DataFrame(
    {
        "window_start": [at(0), at(60), at(60)],
        "region": ["us_east", "us_east", "us_west"],
        "model": ["a", "a", "b"],
        "gpu": "h100_80gb",
        "acquired": "on_demand",
        "replicas": [2, 3, 1],
    }
)


def test_layers_stack_and_the_last_step_is_drawn_to_its_end() -> None:
    first, second = plans.replicas_over_time(ALLOCATION, source=SOURCE).data
    assert (list(first.y), list(second.y)) == ([2, 3, 3], [0, 1, 1])
    assert list(first.x) == [at(0), at(60), at(120)]
    assert first.line.shape == "hv"
    assert first.stackgroup == second.stackgroup


def test_one_hour_alone_is_drawn_as_it_is() -> None:
    assert plans.closed(ALLOCATION.head(1)).height == 1


def test_capacity_is_replicas_times_what_one_sustains() -> None:
    requirement = pl.DataFrame(
        {
            "window_start": [at(0), at(0), at(60)],
            "region": "us_east",
            "model": "a",
            "input_tps": [100.0, 40.0, 120.0],
            "is_deferrable": [False, True, False],
        }
    )
    rates = pl.DataFrame({"model": ["a", "b"], "gpu": "h100_80gb", "input_tps": [70.0, 10.0]})
    figure = plans.plan_against_demand(requirement, ALLOCATION, rates, source=SOURCE)
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn["planned capacity"] == [140.0, 220.0, 220.0]
    assert drawn["required at once"] == [100.0, 120.0, 120.0]
    assert drawn["may wait"] == [40.0]
    one = plans.plan_against_demand(requirement, ALLOCATION, rates, model="a", region="us_east", source=SOURCE)
    assert list(one.data[-1].y) == [140.0, 210.0, 210.0]


def test_an_empty_shortfall_says_that_all_is_covered() -> None:
    empty = pl.DataFrame(schema={"window_start": pl.Datetime("us"), "model": pl.String, "input_tps": pl.Float64})
    figure = plans.shortfall(empty, source=SOURCE)
    assert not figure.data
    assert any("covers every requirement" in note.text for note in figure.layout.annotations)


def test_a_shortfall_is_stacked_by_model() -> None:
    short = pl.DataFrame({"window_start": [at(0), at(0)], "model": ["a", "b"], "input_tps": [5.0, 7.0]})
    figure = plans.shortfall(short, source=SOURCE)
    assert [list(bar.y) for bar in figure.data] == [[5.0], [7.0]]
    assert figure.layout.barmode == "stack"


@pytest.mark.parametrize(("gap", "told"), [(0.0, True), (0.02, False)])
def test_the_gap_is_in_percent_and_none_is_said(gap: float, told: bool) -> None:
    hours = pl.DataFrame({"window_start": [at(0), at(60)], "gap_fraction": [0.0, gap], "status": ["optimal"] * 2})
    figure = plans.solver_gap(hours, source=SOURCE)
    assert list(figure.data[0].y) == [0.0, gap * 100]
    assert any("solved to the bound" in note.text for note in figure.layout.annotations) is told


def test_machines_are_drawn_by_use_and_by_how_they_are_paid() -> None:
    """Machines used 100, 75, 50 and 25 %: two for three years, one for one year, one by the hour."""
    choices = pl.DataFrame(
        {
            "region": ["east"],
            "gpu": ["h100"],
            "year": [1],
            "reserved_1y_vms": [1],
            "reserved_3y_vms": [2],
            "break_even_1y_fraction": [0.45],
            "break_even_3y_fraction": [None],
        }
    )
    curve = pl.DataFrame(
        {"region": "east", "gpu": "h100", "year": 1, "vm_rank": [1, 2, 3, 4], "used_fraction": [1.0, 0.75, 0.5, 0.25]}
    )
    drawn = plans.commitment_curve(choices, curve, region="east", gpu="h100", source=SOURCE)
    assert {bar.name: list(bar.y) for bar in drawn.data} == {
        "3-year reservation: 2": [100.0, 75.0],
        "1-year reservation: 1": [50.0],
        "by the hour: 1": [25.0],
    }
    said = [note.text for note in drawn.layout.annotations]
    assert "1 year pays from 45% of hours" in said
    nothing = plans.commitment_curve(choices, curve, region="west", gpu="h100", source=SOURCE)
    assert "No machine is needed." in [note.text for note in nothing.layout.annotations]
