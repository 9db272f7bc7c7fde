"""The figure of the what-if page: what is drawn where, against a run of two hours small enough to add up by eye."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from workbench.charts.whatif import LOOKS, what_if

START = datetime(2026, 3, 2)
POOLS = pl.DataFrame(
    {
        "window_start": [START, START, START + timedelta(minutes=30)],
        "gpu_hours": [2.0, 4.0, 8.0],
    }
)
LATE = pl.DataFrame({"window_start": [START], "ttft_p95_s": [0.5]})
LABELS = {"chosen": "as chosen", "study": "the study", "baseline": "the baseline"}


def test_gpus_are_gpu_hours_over_the_length_of_the_window() -> None:
    figure = what_if({"chosen": POOLS}, {"chosen": LATE}, labels=LABELS, source="x", promise_s=1.0, tier="fast")
    held, late = figure.data
    assert list(held.y) == [12.0, 16.0]
    assert late.yaxis == "y2"
    assert list(late.y) == [0.5, 0.5], "the last hour is drawn to its end"
    assert figure.layout.yaxis2.type == "log"


@pytest.mark.parametrize("cases", [("chosen",), ("chosen", "baseline"), ("chosen", "study", "baseline")])
def test_a_case_looks_the_same_whichever_others_are_drawn(cases: tuple[str, ...]) -> None:
    figure = what_if(
        dict.fromkeys(cases, POOLS), dict.fromkeys(cases, LATE), labels=LABELS, source="x", promise_s=None, tier="fast"
    )
    upper = [trace for trace in figure.data if trace.yaxis != "y2"]
    assert [(trace.name, trace.line.color) for trace in upper] == [
        (LABELS[case], LOOKS[case]["color"]) for case in cases
    ]
    assert not figure.layout.shapes


def test_the_promise_is_drawn_where_the_axis_has_it() -> None:
    figure = what_if({"chosen": POOLS}, {"chosen": LATE}, labels=LABELS, source="x", promise_s=10.0, tier="fast")
    (line,) = figure.layout.shapes
    assert (line.y0, line.y1) == (10.0, 10.0)
    assert [note.y for note in figure.layout.annotations if note.text == "promise 10 s"] == [1.0]


def test_the_source_is_printed() -> None:
    figure = what_if({"chosen": POOLS}, {"chosen": LATE}, labels=LABELS, source="study 7", promise_s=1.0, tier="fast")
    assert any("study 7" in note.text for note in figure.layout.annotations)
