"""The page as objects: a slider is moved, and what the page shows is looked at. No browser."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import polars as pl
import pytest

from workbench import dashboards
from workbench.charts.embedding import MIME_TYPE
from workbench.dashboards.app import Page, table_html
from workbench.results import Study


@pytest.fixture
def page(study: Study) -> Page:
    """A fresh page on the small study."""
    return Page(study)


def numbers(page: Page) -> list[list[float]]:
    """The lines that the figure of a page draws, decoded as far as two of them can be told apart."""
    (output,) = page.figure.outputs
    return [trace["y"] for trace in output["data"][MIME_TYPE]["data"]]


def test_the_page_opens_with_the_study(page: Page) -> None:
    assert "With the study&#x27;s own choices LT-UA holds" in page.summary.value
    assert page.banner.value == ""
    assert "<caption>Effort and money</caption>" in page.tables.value
    assert page.figure.outputs[0]["data"][MIME_TYPE]["layout"]["height"] > 0


def test_every_control_says_what_it_sets(page: Page) -> None:
    assert set(page.controls) == set(page.choices.trait_names())
    for control in page.controls.values():
        assert control.description
        assert control.tooltip
        assert control.layout.width


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("demand_factor", 1.25),
        ("quantile", 0.95),
        ("planning_signal_fraction", 0.4),
        ("scale_out_above_fraction", 0.6),
        ("reclaim_minutes", 8.0),
        ("strategy", "reactive"),
    ],
)
def test_moving_a_control_sets_the_choice_and_redraws(page: Page, name: str, value: float | str) -> None:
    text, lines = page.summary.value, numbers(page)
    page.controls[name].value = value
    assert getattr(page.choices, name) == value
    assert page.summary.value != text
    assert numbers(page) != lines
    assert page.banner.value == ""


def test_a_choice_set_from_code_moves_its_control(page: Page) -> None:
    page.choices.demand_factor = 1.5
    assert page.controls["demand_factor"].value == 1.5
    assert "would hold" in page.summary.value


def test_the_button_goes_back_to_the_study_in_one_move(page: Page) -> None:
    text = page.summary.value
    page.controls["demand_factor"].value = 1.25
    page.controls["reclaim_minutes"].value = 5.0
    page.reset.click()
    assert page.summary.value == text
    assert (page.controls["demand_factor"].value, page.controls["reclaim_minutes"].value) == (1.0, 1.0)


def test_choices_that_mean_nothing_are_greyed_out(page: Page) -> None:
    def idle() -> set[str]:
        return {name for name, control in page.controls.items() if control.disabled}

    assert idle() == set()
    page.controls["strategy"].value = "reactive"
    assert idle() == {"quantile", "planning_signal_fraction"}
    page.controls["strategy"].value = "lt_i"
    assert idle() == {"scale_out_above_fraction"}


def test_a_mistake_is_a_banner_and_the_last_result_stays(page: Page) -> None:
    text, lines = page.summary.value, numbers(page)
    page.choices.scale_out_above_fraction = 0.2
    assert 'role="alert"' in page.banner.value
    assert "scale_in_below_fraction 0.3 must lie below scale_out_above_fraction 0.2" in page.banner.value
    assert (page.summary.value, numbers(page)) == (text, lines)
    page.choices.scale_out_above_fraction = 0.7
    assert page.banner.value == ""


def test_what_is_not_a_mistake_of_the_user_is_raised(page: Page) -> None:
    page.study = dataclasses.replace(page.study, manifest={})
    with pytest.raises(KeyError, match="demand_window_s"):
        page.choices.demand_factor = 1.3


def test_the_same_choices_are_not_computed_twice(page: Page) -> None:
    shown = page.figure.outputs
    page.redraw()
    assert page.figure.outputs is shown


def test_labels_are_escaped_and_words_stand_left() -> None:
    html = table_html(pl.DataFrame({"Tier": ["a<b"], "Promise": ["x & y"], "n": ["1"]}), "What & why")
    assert "<caption>What &amp; why</caption>" in html
    assert '<th scope="row">a&lt;b</th><td class="wb-words">x &amp; y</td><td>1</td>' in html
    assert len(re.findall(r'<th scope="col"', html)) == 3


def test_what_if_is_one_widget(study: Study) -> None:
    assert "wb-whatif" in dashboards.what_if(study)._dom_classes
    with pytest.raises(AttributeError, match="what_else"):
        dashboards.what_else  # noqa: B018


def test_importing_the_dashboards_loads_no_widget() -> None:
    program = "import sys, workbench.dashboards; print([n for n in ('ipywidgets', 'plotly') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
