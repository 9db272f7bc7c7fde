"""workbench.charts.engines: points in a band that breaks off, pools by engine, and errors with their marks."""

from __future__ import annotations

import polars as pl
import pytest

from tests.charts.chart_cases import SOURCE, at, pools, source_of
from workbench.charts import engines, theme

REQUESTS = pl.DataFrame({"arrived_at": [at(0.2), at(0.5), at(2.1)], "ttft_s": [0.1, None, 3.0]})
WINDOWS = pl.DataFrame(
    {
        "window_start": [at(0), at(1), at(2), at(3), at(4)],
        "ttft_mean_s": [0.2, 0.2, 9.0, 0.2, 0.2],
        "ttft_p50_s": [0.1, 0.1, None, 0.1, 0.1],
        "ttft_p95_s": [0.5, 0.6, None, 0.6, 0.5],
        "is_saturated": [False, False, True, False, False],
    }
)
MAP = pl.DataFrame(
    {
        "load_fraction": [0.3, 0.9, 0.3, 0.9],
        "replicas": [1, 1, 4, 4],
        "ttft_p95_s_error": [0.04, 1.2, -0.001, None],
        "kv_cache_used_fraction_error": [0.0, 0.0, 0.0, 0.2],
        "is_saturated": [False, True, False, False],
    }
)
COMPARED = pl.DataFrame(
    {"measure": ["gpu_hours", "ttft_p95_s", "deferrable_served"], "relative_error": [0.01, -0.2, None]}
)


def test_the_band_breaks_off_where_the_fluid_is_saturated() -> None:
    figure = engines.requests_in_band(REQUESTS, WINDOWS, source=SOURCE, promise_s=1.0)
    points, *lines, crosses = figure.data
    assert list(points.y) == [0.1, 3.0], "a request without a first token has no point"
    assert [line.name for line in lines] == ["fluid, P50", "fluid, P95"] * 2
    assert [list(line.y) for line in lines[1::2]] == [[0.5, 0.6, 0.6], [0.6, 0.5, 0.5]], "closed at the window's end"
    assert sum(bool(line.showlegend) for line in lines) == 2
    assert (list(crosses.x), list(crosses.y)) == ([at(2.5)], [9.0])
    assert source_of(figure) == f"Source: {SOURCE}"


def test_of_many_requests_some_are_drawn_and_of_none_it_says_so() -> None:
    many = pl.DataFrame({"arrived_at": [at(0)] * 20_000, "ttft_s": [0.1] * 20_000})
    assert 3000 < len(engines.requests_in_band(many, WINDOWS, source=SOURCE).data[0].y) <= engines.MOST_POINTS
    assert not engines.requests_in_band(REQUESTS.clear(), WINDOWS, source=SOURCE).data


def test_counts_of_pools_add_up_and_shares_are_weighted_by_replicas() -> None:
    runs = {"fluid": pools(), "replay": pools().with_columns(pl.col("ready") * 2)}
    ready = engines.pools_by_engine(runs, source=SOURCE, measure="ready")
    assert {line.name: list(line.y) for line in ready.data} == {"fluid": [8.0, 8.0], "replay": [16.0, 16.0]}
    assert [line.line.color for line in ready.data] == [engines.FLUID, engines.REPLAY]
    used = engines.pools_by_engine(pools(), source=SOURCE, measure="kv_cache_used_fraction", thresholds={"out": 0.7})
    assert [round(value, 9) for value in used.data[0].y] == [10.0, 30.0]
    assert used.layout.yaxis.title.text == "KV cache used, %"
    assert any(note.text == "out 70" for note in used.layout.annotations)


def test_errors_stand_in_percent_and_an_unknown_one_is_left_out() -> None:
    figure = engines.errors_by_measure({"day": COMPARED, "calibrated": COMPARED}, source=SOURCE)
    assert [list(dots.x) for dots in figure.data] == [[1.0, -20.0]] * 2
    assert list(figure.data[0].y) == ["GPU-hours", "TTFT, P95"]
    assert len({dots.marker.symbol for dots in figure.data}) == 2, "told apart without their colour"
    assert not engines.errors_by_measure({"none": COMPARED.clear()}, source=SOURCE).data


def test_a_heat_map_marks_what_is_beyond_the_tolerance_and_what_is_saturated() -> None:
    figure = engines.error_heat({"a": MAP, "b": MAP}, source=SOURCE)
    heat = figure.data[0]
    assert len(figure.data) == 2
    assert [list(row) for row in heat.text] == [["+4", f"{engines.MARK} (+120)"], ["0", "none"]]
    assert list(heat.x) == ["30%", "90%"]
    assert [label.strip() for label in heat.y] == ["1", "4"]
    assert list(heat.z[0]) == pytest.approx([4.0, 120.0])
    kv = engines.error_heat({"a": MAP}, source=SOURCE, measure="kv_cache_used_fraction").data[0]
    assert [list(row) for row in kv.text] == [["0", "(0)"], ["0", f"{engines.MARK} +20"]]
    assert figure.layout.coloraxis.colorscale[0][1] == theme.SKY
