"""workbench.charts.backtests: lines of small tables, pooled by the load they stand for."""

from __future__ import annotations

import polars as pl
import pytest

from tests.charts.chart_cases import SOURCE, at, scored, source_of
from workbench import charts
from workbench.charts import backtests, theme

HOUR_S = 3600.0


def test_the_error_by_lead_is_pooled_by_load() -> None:
    """10 % of a load of 1 and 50 % of a load of 3 are 40 % together."""
    rows = [scored("x", region, wape, load, lead_s=0.0) for region, wape, load in (("e", 0.1, 1.0), ("w", 0.5, 3.0))]
    rows.append(scored("x", "e", 0.2, 1.0, lead_s=HOUR_S))
    figure = backtests.wape_by_lead(pl.DataFrame(rows), source=SOURCE)
    (line,) = figure.data
    assert (list(line.x), list(line.y)) == ([0.5, 1.5], pytest.approx([40.0, 20.0]))
    assert source_of(figure) == f"Source: {SOURCE}"


def test_what_was_said_stands_over_what_came() -> None:
    rows = pl.DataFrame(
        {
            "window_start": [at(0), at(0), at(10), at(10)],
            "measure": "input_tps",
            "method": "x",
            "lead_s": 0.0,
            "realised": [1.0, 2.0, 3.0, 4.0],
            "value": [2.0, 2.0, 2.0, 2.0],
            "low": [0.5, 0.5, 0.5, None],
            "high": [4.0, 4.0, 4.0, 4.0],
        }
    )
    drawn = {trace.name: list(trace.y) for trace in backtests.said_and_came(rows, source=SOURCE, method="x").data}
    assert drawn == {None: [1.0, None], "90 % band": [8.0, 8.0], "median": [4.0, 4.0], "realised": [3.0, 7.0]}


def test_residuals_are_drawn_over_the_band_of_noise() -> None:
    acf = pl.DataFrame(
        {
            "method": ["x", "x", "y"],
            "lag_s": [HOUR_S, 2 * HOUR_S, HOUR_S],
            "autocorrelation": [0.5, 0.2, None],
            "noise": [0.1, 0.2, 0.1],
        }
    )
    low, high, line = charts.residual_acf(acf, source=SOURCE).data
    assert (list(low.y), list(high.y)) == ([-0.1, -0.2], [0.1, 0.2])
    assert (line.name, list(line.x), list(line.y)) == ("x", [1.0, 2.0], [0.5, 0.2])


def test_cost_and_service_of_each_risk_are_told() -> None:
    totals = pl.DataFrame(
        {
            "method": ["x", "x", "oracle"],
            "strategy": "lt_i",
            "quantile": [0.9, 0.5, 0.5],
            "headroom_fraction": [0.0, 0.0, 0.1],
            "cost_usd": [200.0, 100.0, 90.0],
            "slo_attainment_fraction": [0.9, 0.8, 0.9],
        }
    )
    oracle, line = backtests.cost_of_service(totals, source=SOURCE, strategy="lt_i").data
    assert (oracle.name, list(oracle.customdata), oracle.line.color) == (
        "perfect forecast",
        ["headroom 10%"],
        theme.BLACK,
    )
    assert (list(line.x), list(line.y)) == ([100.0, 200.0], [80.0, 90.0])
    assert list(line.customdata) == ["quantile 0.5", "quantile 0.9"]


def test_many_methods_differ_by_colour_dash_or_symbol() -> None:
    shown = backtests.looks([*(f"method_{place}" for place in range(12)), "oracle"])
    assert len({(look["color"], look["dash"]) for look in shown.values()}) == 13
    assert shown["oracle"]["color"] == theme.BLACK


def test_an_empty_chart_says_why() -> None:
    empty = pl.DataFrame(schema=dict.fromkeys(("windows", "realised_mean", "wape", "bias", "lead_s"), pl.Float64))
    none = empty.with_columns(method=pl.lit("x"), measure=pl.lit("input_tps"))
    assert theme.NOTHING in [note.text for note in backtests.wape_by_lead(none, source=SOURCE).layout.annotations]
