"""The charts of lengths, of workbench.charts.lengths: cumulative, on log axes, one colour per model."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, at, source_of
from workbench.charts import lengths, theme


def test_a_distribution_runs_from_nothing_to_all() -> None:
    frame = pl.DataFrame(
        {"model": ["m", "m", "m"], "measure": ["input_tokens", "input_tokens", "output_tokens"]}
        | {"tokens_low": [8.0, 64.0, 1.0], "tokens_high": [16.0, 128.0, 2.0], "below_fraction": [0.25, 1.0, 1.0]}
    )
    figure = lengths.length_distribution(frame, source=SOURCE)
    (line,) = figure.data
    assert (list(line.x), list(line.y)) == ([8.0, 16.0, 128.0], [0.0, 25.0, 100.0])
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.xaxis.title.text == "input tokens per request"
    assert source_of(figure) == f"Source: {SOURCE}"
    (other,) = lengths.length_distribution(frame, source=SOURCE, measure="output_tokens").data
    assert list(other.y) == [0.0, 100.0]


def test_drift_shows_the_median_and_the_tail_in_one_colour() -> None:
    frame = pl.DataFrame(
        {"model": "m", "measure": "input_tokens", "window_start": [at(1440), at(0)]}
        | {"tokens_p50": [20.0, 10.0], "tokens_p95": [90.0, 80.0]}
    )
    median, tail = lengths.length_drift(frame, source=SOURCE).data
    assert (list(median.y), list(tail.y)) == ([10.0, 20.0], [80.0, 90.0])
    assert median.line.color == tail.line.color
    assert (median.showlegend, tail.showlegend) == (True, False)


def test_octaves_with_few_requests_are_left_out() -> None:
    frame = pl.DataFrame(
        {"model": "m", "input_tokens_low": [64, 128], "requests": [100, 3], "output_tokens_p50": [10.0, 99.0]}
        | {"output_tokens_p90": [20.0, 99.0]}
    )
    median, tail = lengths.output_by_prompt(frame, source=SOURCE).data
    assert (list(median.x), list(median.y), list(tail.y)) == ([64], [10.0], [20.0])


def test_cache_hits_are_percent_with_gaps() -> None:
    frame = pl.DataFrame({"window_start": [at(0), at(10), at(40)], "model": "m", "cached_fraction": [0.5, None, 0.25]})
    (line,) = lengths.cache_hits(frame, source=SOURCE).data
    assert list(line.y) == [50.0, None, None, 25.0]


def test_nothing_is_said_to_be_nothing() -> None:
    empty = pl.DataFrame(schema={"model": pl.String, "measure": pl.String, "tokens_low": pl.Float64})
    empty = empty.with_columns(tokens_high=pl.lit(1.0), below_fraction=pl.lit(1.0))
    figure = lengths.length_distribution(empty, source=SOURCE)
    assert theme.NOTHING in [note.text for note in figure.layout.annotations]
