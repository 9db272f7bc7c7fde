"""The look that all charts share: colours that stay, a source line, units, and empty charts that say why."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from tests.charts.chart_cases import source_of
from workbench.charts import theme


def test_a_strategy_has_the_same_colour_whoever_stands_beside_it() -> None:
    alone = theme.colours(["lt_ua"])["lt_ua"]
    assert theme.colours(["siloed", "lt_ua", "other"])["lt_ua"] == alone == theme.VERMILION


def test_groups_without_a_fixed_colour_take_free_ones_in_the_order_of_their_names() -> None:
    shades = theme.colours(["b", "a", "reactive"])
    assert shades == {"a": theme.ORANGE, "b": theme.GREEN, "reactive": theme.BLUE}
    assert len(set(theme.colours("abcdefgh").values())) == 8


def test_more_groups_than_colours_begin_again() -> None:
    shades = theme.colours([f"group {place:02}" for place in range(12)])
    assert len(shades) == 12
    assert set(shades.values()) == set(theme.PALETTE)


def test_a_figure_prints_its_source_and_its_units() -> None:
    figure = theme.figure(title="Load", source="study x", x="time (UTC)", y="requests per second")
    assert source_of(figure) == "Source: study x"
    assert figure.layout.yaxis.title.text == "requests per second"
    assert figure.layout.template.layout.separators == ".,"


def test_an_empty_figure_says_why() -> None:
    figure = theme.say_empty(theme.figure(title="Load", source="s", x="", y=""), "no request")
    assert "no request" in [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize(("log", "where"), [(True, 1.0), (False, 10.0)])
def test_a_mark_stands_at_its_line_on_a_log_axis_too(log: bool, where: float) -> None:
    figure = theme.figure(title="", source="s", x="", y="")
    theme.mark(figure, "promise", x=10.0, log=log)
    theme.mark(figure, "promise", y=10.0, log=log)
    across, along = [note for note in figure.layout.annotations if note.text == "promise"]
    assert (across.x, along.y) == (where, where)
    assert [shape.x0 for shape in figure.layout.shapes] == [10.0, 0]


def test_faded_keeps_the_colour() -> None:
    assert theme.faded("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


def test_importing_charts_does_not_import_plotly() -> None:
    program = "import sys, workbench.charts; print(any(name.startswith('plotly') for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_chart_of_unknown_values_says_so() -> None:
    made = theme.or_said(theme.figure(title="t", source="s", x="x", y="y"), pl.Series([None, None], dtype=pl.Float64))
    assert theme.NOTHING_KNOWN in [note.text for note in made.layout.annotations]
    bare = theme.or_said(theme.figure(title="t", source="s", x="x", y="y"), pl.Series([], dtype=pl.Float64))
    assert theme.NOTHING in [note.text for note in bare.layout.annotations]
    known = theme.or_said(theme.figure(title="t", source="s", x="x", y="y"), pl.Series([1.0]))
    assert [note.name for note in known.layout.annotations] == ["source"]
