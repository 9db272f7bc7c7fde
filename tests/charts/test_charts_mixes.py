"""The charts of workbench.charts.mixes: what waits, how uneven and how late regions are, who sends most."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, at, source_of
from workbench.charts import mixes, theme


def test_what_may_wait_is_percent_of_requests_and_of_tokens_with_gaps() -> None:
    share = pl.DataFrame(
        {"window_start": [at(0), at(10), at(40)], "requests_deferrable_fraction": [0.25, 0.5, 1.0]}
        | {"input_tokens_deferrable_fraction": [0.1, 0.2, 0.3]}
    )
    figure = mixes.deferrable_over_time(share, source=SOURCE)
    requests, tokens = figure.data
    assert (list(requests.y), list(tokens.y)) == ([25.0, 50.0, None, 100.0], [10.0, 20.0, None, 30.0])
    assert source_of(figure) == f"Source: {SOURCE}"


def test_imbalance_names_both_ends() -> None:
    frame = pl.DataFrame(
        {"model": ["a", "b"], "busiest": ["us_east", "us_east"], "quietest": ["us_west", "us_central"]}
        | {"busiest_to_quietest_ratio": [4.0, None]}
    )
    (bars,) = mixes.regional_imbalance(frame, source=SOURCE).data
    assert dict(zip(bars.y, bars.x, strict=True)) == {"a": 4.0, "b": None}
    assert "us east over us west" in bars.text


def test_lags_are_told_against_the_busiest_region() -> None:
    frame = pl.DataFrame(
        {"region": ["us_east", "us_west"], "reference": ["us_east", "us_east"], "lag_h": [0.0, 3.0]}
        | {"correlation": [1.0, 0.98]}
    )
    figure = mixes.regional_lags(frame, source=SOURCE)
    (bars,) = figure.data
    assert (list(bars.y), list(bars.x), list(bars.text)) == (["us west"], [3.0], ["3 h, correlation 0.98"])
    assert figure.layout.title.text == "How far the regions run behind us east"
    empty = mixes.regional_lags(frame.head(1), source=SOURCE)
    assert theme.NOTHING in [note.text for note in empty.layout.annotations]


def test_the_largest_sender_is_on_top() -> None:
    frame = pl.DataFrame({"place": [2, 1], "app": ["chat", "rag"], "requests_fraction": [0.25, 0.75]})
    figure = mixes.top_senders(frame, source=SOURCE)
    (bars,) = figure.data
    assert (list(bars.y), list(bars.text)) == (["rag", "chat"], ["75.0 %", "25.0 %"])
    assert figure.layout.yaxis.autorange == "reversed"
    assert mixes.top_senders(frame.rename({"app": "tenant"}), source=SOURCE).layout.title.text.startswith(
        "Which tenant"
    )
