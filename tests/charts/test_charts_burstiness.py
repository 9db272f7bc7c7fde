"""The charts of workbench.charts.burstiness compare with random arrivals and name their scales."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, source_of
from workbench.charts import burstiness, theme

COUNTS = pl.DataFrame(
    {"model": ["a", "a", "b", "a"], "tier": ["now", "now", "now", "later"], "scale_s": [1.0, 0.25, 1.0, 1.0]}
    | {"dispersion": [2.0, 1.0, None, 0.5], "peak_to_mean_ratio": [10.0, 40.0, 5.0, 3.0]}
)


def test_gaps_have_a_bar_per_model_and_tier_and_the_line_of_chance() -> None:
    gaps = pl.DataFrame({"model": ["a", "b"], "tier": ["now", "now"], "gap_cv": [3.0, None]})
    figure = burstiness.gap_cv(gaps, source=SOURCE)
    (bars,) = figure.data
    assert (list(bars.x), list(bars.y)) == (["a", "b"], [3.0, None])
    assert figure.layout.shapes[0].y0 == 1.0
    assert figure.layout.yaxis.range[1] > 3.0
    assert source_of(figure) == f"Source: {SOURCE}"


def test_scales_have_a_panel_per_tier_and_a_line_per_model() -> None:
    figure = burstiness.dispersion(COUNTS, source=SOURCE)
    lines = {(line.name, line.xaxis): (list(line.x), list(line.y)) for line in figure.data}
    assert lines == {("a", "x"): ([1.0], [0.5]), ("a", "x2"): ([0.25, 1.0], [1.0, 2.0])}
    assert list(figure.layout.xaxis.ticktext) == ["0.25 s", "1 s"]
    assert sum(line.showlegend for line in figure.data) == 1
    assert {"later", "now"} <= {note.text for note in figure.layout.annotations}


def test_peaks_fall_with_the_scale() -> None:
    figure = burstiness.peak_to_mean(COUNTS, source=SOURCE)
    assert [list(line.y) for line in figure.data] == [[3.0], [40.0, 10.0], [5.0]]
    assert figure.layout.yaxis.title.text == "fullest bin / mean"


def test_no_score_is_no_panel() -> None:
    figure = burstiness.dispersion(COUNTS.with_columns(dispersion=pl.lit(None, dtype=pl.Float64)), source=SOURCE)
    assert theme.NOTHING in [note.text for note in figure.layout.annotations]
