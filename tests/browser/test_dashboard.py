"""The what-if page in a real browser: as ``workbench app`` serves it, and as a notebook in JupyterLab.

A slider is moved by keyboard, the sentence is awaited, and nothing may be asked of any other machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 120_000
HERE = re.compile(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:")
SUMMARY = ".wb-whatif .wb-summary p"
FIGURE = ".wb-whatif .js-plotly-plot"
KERNEL_IS_IDLE = """() => {
  const kernel = document.querySelector('.jp-NotebookPanel-toolbar .jp-Toolbar-kernelName');
  const status = document.querySelector('#jp-main-statusbar');
  return kernel && /Python 3/.test(kernel.textContent) && status && /Idle/.test(status.textContent);
}"""


class Visit:
    """One tab with what it asked for and what its console complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @property
    def elsewhere(self) -> list[str]:
        """What was asked of another machine."""
        return [url for url in self.asked if not HERE.match(url)]

    def summary(self) -> str:
        """The sentence on the page."""
        return str(self.page.locator(SUMMARY).inner_text())

    def move_slider(self, place: int, key: str) -> str:
        """Press a key on one of the sliders and return the sentence that follows."""
        before = self.summary()
        self.page.locator(".wb-whatif .noUi-handle").nth(place).focus()
        self.page.keyboard.press(key)
        self.page.wait_for_function(f"old => document.querySelector('{SUMMARY}')?.innerText !== old", arg=before)
        return self.summary()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    """A tab of a window as wide as a laptop's."""
    page = chromium.new_page(viewport={"width": 1360, "height": 1000})
    yield Visit(page)
    page.close()


def check_the_page(visit: Visit) -> None:
    """What holds for the page wherever it is shown: it is whole, it answers a slider, it fits."""
    page = visit.page
    page.wait_for_selector(f"{FIGURE} .main-svg")
    assert visit.summary().startswith("With the study's own choices LT-UA holds")
    assert page.locator(".wb-whatif .noUi-handle").count() == 5
    assert page.locator(".wb-whatif table").count() == 2
    box = page.locator(FIGURE).bounding_box()
    assert box["height"] >= 500, "the figure is not collapsed"
    assert box["width"] >= 400
    moved = visit.move_slider(0, "ArrowRight")
    assert moved.startswith("LT-UA would hold")
    assert page.locator(".wb-whatif .widget-readout").first.inner_text() == "1.05"
    wide = page.evaluate(
        "[...document.querySelectorAll('.wb-whatif .widget-label')].filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide == 0, "no label is clipped"


def test_the_app_answers_a_slider_and_asks_nobody_else(app: str, visit: Visit, tmp_path: Path) -> None:
    visit.page.goto(app, wait_until="domcontentloaded", timeout=PATIENCE_MS)
    check_the_page(visit)
    visit.page.locator(".wb-whatif select").select_option(label="Reactive")
    visit.page.wait_for_function(f"() => document.querySelector('{SUMMARY}').innerText.startsWith('Reactive')")
    visit.page.locator(".wb-whatif button", has_text="Back to the study").click()
    visit.page.wait_for_function(f"() => document.querySelector('{SUMMARY}').innerText.startsWith('With the study')")
    visit.page.screenshot(path=tmp_path / "app.png", full_page=True)
    assert visit.elsewhere == []
    assert visit.complaints == []


def test_the_notebook_runs_in_lab(lab: str, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.goto(lab, wait_until="domcontentloaded", timeout=PATIENCE_MS)
    # an indicator alone says idle while there is no kernel at all, and a click on Run would then do nothing
    page.wait_for_function(KERNEL_IS_IDLE)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    page.wait_for_selector(f"{FIGURE} .main-svg")
    page.locator(SUMMARY).scroll_into_view_if_needed()
    check_the_page(visit)
    page.screenshot(path=tmp_path / "lab.png")
    assert visit.elsewhere == []
