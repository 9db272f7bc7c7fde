"""workbench.charts.frontiers: points as they were tried, and a line through those worth having."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, source_of
from workbench import charts
from workbench.charts import frontiers

POINTS = pl.DataFrame(
    {
        "strategy": ["reactive", "reactive", "lt_i", "lt_i"],
        "attainment_fraction": [0.8, 0.9, 0.85, None],
        "gpu_hours": [200.0, 100.0, 50.0, 10.0],
        "cost_usd": [2000.0, 1000.0, 500.0, 100.0],
    }
)


def test_a_line_goes_through_what_is_worth_having() -> None:
    edges = POINTS.filter(pl.col("gpu_hours").is_in([100.0, 50.0]))
    figure = frontiers.frontier(POINTS, edges, source=SOURCE, labels={"lt_i": "LT-I"})
    shown = {(trace.name, trace.mode): (list(trace.x), list(trace.y)) for trace in figure.data}
    assert shown["LT-I", "markers"] == ([50.0], [85.0])  # the point of unknown service is not drawn
    assert shown["reactive", "markers"] == ([100.0, 200.0], [90.0, 80.0])
    assert shown["reactive", "lines+markers"] == ([100.0], [90.0])
    assert figure.layout.xaxis.title.text == "GPU-hours held"
    assert source_of(figure) == f"Source: {SOURCE}"


def test_cost_in_place_of_hours_and_nothing_to_draw() -> None:
    figure = charts.frontier(POINTS, POINTS, source=SOURCE, measure="cost_usd")
    assert figure.layout.xaxis.title.text == "cost at the list price, USD"
    empty = charts.frontier(POINTS.clear(), POINTS.clear(), source=SOURCE)
    assert any("nothing to show" in note.text for note in empty.layout.annotations)
