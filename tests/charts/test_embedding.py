"""Charts inside a page: plotly's script once, each figure as JSON that cannot end the script it stands in."""

from __future__ import annotations

import json

from tests.charts.chart_cases import SOURCE, demand
from workbench.charts import embedding, load


def test_a_figure_becomes_a_piece_of_html_of_its_own_height() -> None:
    figure = json.loads(load.rates_over_time(demand(), source=SOURCE).to_json())
    piece = embedding.piece(figure, name="chart-1")
    assert '<div class="chart" id="chart-1" style="height:420px">' in piece
    assert 'Plotly.newPlot("chart-1", [{' in piece
    assert '"displaylogo": false' in piece


def test_text_in_a_figure_cannot_end_the_script() -> None:
    piece = embedding.piece({"data": [{"name": "</script><script>alert(1)</script>"}]}, name="c")
    assert piece.count("</script>") == 1
    assert piece.endswith("</script>")


def test_the_script_is_whole() -> None:
    assert len(embedding.script()) > 1_000_000
    assert "newPlot" in embedding.script()
    assert "</script" not in embedding.script().lower()
