"""workbench.charts.error_maps: maps of small tables, by series and by hour."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from tests.charts.chart_cases import SOURCE, scored
from workbench.charts import error_maps

HOUR_S = 3600.0


def test_the_best_method_of_each_series_is_marked_and_the_oracle_is_not_shown() -> None:
    rows = [
        scored("x", "e", 0.30, 1.0, horizon_s=HOUR_S),
        scored("y", "e", 0.20, 1.0, horizon_s=HOUR_S),
        scored("x", "w", 0.10, 1.0, horizon_s=HOUR_S),
        scored("y", "w", 0.40, 1.0, horizon_s=HOUR_S),
        scored("oracle", "w", 0.0, 1.0, horizon_s=HOUR_S),
    ]
    (heat,) = error_maps.wape_by_series(pl.DataFrame(rows), source=SOURCE, horizon_s=HOUR_S).data
    assert list(heat.x) == ["x", "y"]
    shown = dict(zip(heat.y, heat.text, strict=True))
    assert shown == {"w · a · t": ["<b>10 •</b>", "40"], "e · a · t": ["30", "<b>20 •</b>"]}


def test_when_a_method_is_off_is_a_map_of_days_and_hours() -> None:
    rows = [
        scored("x", "e", wape, 1.0, horizon_s=HOUR_S, hour_start=datetime(2026, 3, 2) + timedelta(hours=hour))
        for hour, wape in ((0, 0.1), (25, 0.3))
    ]
    figure = error_maps.wape_by_hour(pl.DataFrame(rows), source=SOURCE, horizon_s=HOUR_S, method="x")
    (heat,) = figure.data
    assert list(heat.y) == ["Mon 02 Mar", "Tue 03 Mar"]
    assert (heat.z[0][0], heat.z[1][1], heat.z[0][1]) == (pytest.approx(10.0), pytest.approx(30.0), None)
    assert figure.layout.title.text == "When x is off, 60 min ahead"
