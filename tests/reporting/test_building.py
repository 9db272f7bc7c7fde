"""Reports as files: whole or not there, a failing template leaves its notebook, a page that needs no network."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.reporting.report_cases import notebook
from workbench import reporting
from workbench.errors import ReportError
from workbench.reporting import building, exporting, kernel
from workbench.results import ReportFiles, Study

NOW = datetime(2026, 1, 5, 9, 30)
CHART = """import polars
from workbench import charts
charts.waste(polars.DataFrame({"strategy": ["reactive"], "label": ["Reactive"], "waste_gpu_hours": [1.0],
                               "lent_gpu_hours": [2.0], "starts": [3.0]}), source="a test")"""


class References(HTMLParser):
    """Collects what a page would fetch: sources, style sheets, imports; text of scripts is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        wanted = {"src", "srcset", "data", "poster"} | ({"href"} if tag == "link" else set())
        self.fetched += [value for name, value in attrs if name in wanted and value and not value.startswith("data:")]

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.fetched += re.findall(r"@import[^;]*|url\((?!data:)[^)]*\)", data)


def references(page: str) -> References:
    """Return what a page would fetch, and its tags."""
    found = References()
    found.feed(page)
    return found


def built(template: Path, reports: Path, **parameters: object) -> ReportFiles:
    return reporting.build(template, parameters=parameters, reports_dir=reports, now=NOW, name="tiny")


@pytest.fixture
def reports(own_folder: Path) -> Path:
    return own_folder / "reports"


def test_a_wrong_parameter_is_refused_before_anything_is_run(tmp_path: Path, reports: Path) -> None:
    template = notebook(tmp_path / "t.ipynb", "open('ran', 'w')")
    with pytest.raises(ReportError, match="did you mean 'month'"):
        built(template, reports, mont="2025-08")
    assert not reports.exists()
    assert not (tmp_path / "ran").exists()


def test_a_month_that_is_none_is_refused(small_study: Study, reports: Path) -> None:
    with pytest.raises(ReportError, match="2025-13"):
        reporting.monthly_cost(small_study, month="2025-13", reports_dir=reports, now=NOW)


def test_the_kernel_is_this_interpreter() -> None:
    assert kernel.OwnKernel().kernel_spec.argv[0] == sys.executable


@pytest.mark.slow
def test_a_report_is_a_notebook_a_page_and_a_manifest(tmp_path: Path, reports: Path) -> None:
    template = notebook(
        tmp_path / "t {x}.ipynb",
        "import sys; print(month, hours, sys.executable)",
        CHART,
        "from workbench.reporting import paragraphs; paragraphs(['1 < 2'])",
        "'<i>plain</i>'",
        prose=("# Tiny & true", "Some *prose*."),
    )
    reports.mkdir()
    files = built(template, reports / "{here}", month="2025-08")
    assert sorted(path.name for path in (reports / "{here}").iterdir()) == ["tiny"]
    manifest = json.loads(files.manifest.read_text())
    assert manifest["parameters"]["month"] == "2025-08"
    assert manifest["parameters"]["hours"] == 24, "defaults are written down too"
    assert manifest["made_at"] == "2026-01-05T09:30:00"
    assert {"workbench", "papermill", "nbconvert", "plotly"} <= set(manifest["versions"])
    assert set(manifest["timings_s"]) == {"run", "export"}
    page = files.html.read_text()
    assert f"2025-08 24 {sys.executable}" in page
    assert "<title>Tiny &amp; true</title>" in page
    assert "<em>prose</em>" in page
    assert "<p>1 &lt; 2</p>" in page
    assert "&lt;i&gt;plain&lt;/i&gt;" in page
    assert "Made 2026-01-05 09:30 UTC" in page
    assert "import polars" not in page, "code is hidden"
    assert page.count("Plotly.newPlot(") == page.count('class="chart"') == 1
    assert references(page).fetched == []
    assert files.notebook.stat().st_size < 200_000, "the notebook holds figures as JSON, not plotly's script"


@pytest.mark.slow
def test_a_failing_cell_is_named_and_leaves_the_notebook(tmp_path: Path, reports: Path) -> None:
    template = notebook(tmp_path / "t.ipynb", "print('so far')", "# a reason\n1 / 0", "print('never')")
    with pytest.raises(ReportError) as caught:
        built(template, reports)
    assert "template t failed in cell [3] ('# a reason') with ZeroDivisionError: division by zero" in str(caught.value)
    partial = reports / "tiny-failed" / "t.ipynb"
    assert str(partial) in str(caught.value)
    assert sorted(path.name for path in reports.iterdir()) == ["tiny-failed"]
    text = partial.read_text()
    assert "so far" in text
    assert "ZeroDivisionError" in text


@pytest.mark.slow
def test_a_kernel_that_dies_is_an_error_too(tmp_path: Path, reports: Path) -> None:
    template = notebook(tmp_path / "t.ipynb", "import os; os._exit(3)")
    with pytest.raises(ReportError, match="did not finish"):
        built(template, reports)
    assert (reports / "tiny-failed" / "t.ipynb").is_file()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    template = notebook(tmp_path / "t.ipynb", "1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportError, match="cannot be written"):
        built(template, tmp_path / "file")


def test_what_had_the_name_goes_as_a_whole(tmp_path: Path) -> None:
    for name, text in (("report", "old"), ("draft", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.html").write_text(text)
    (tmp_path / "report" / "stale.html").write_text("stale")
    building._replace(tmp_path / "draft", tmp_path / "report")
    assert [path.name for path in tmp_path.rglob("*")] == ["report", "page.html"]
    assert (tmp_path / "report" / "page.html").read_text() == "new"


def test_outputs_of_every_kind_find_their_place_in_the_page() -> None:
    import nbformat

    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="careful\n"),
        nbformat.v4.new_output("display_data", data={"image/svg+xml": "<svg></svg>"}),
        nbformat.v4.new_output("display_data", data={"image/png": "aGk="}),
        nbformat.v4.new_output("error", ename="E", evalue="v", traceback=["trace <b>"]),
        nbformat.v4.new_output("display_data", data={"application/x-unknown": "?"}),
    ]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)])
    page = exporting.page(made, made_at=NOW, made_from="a test")
    assert '<pre class="stderr">careful' in page
    assert "<figure><svg></svg></figure>" in page
    assert "data:image/png;base64,aGk=" in page
    assert "trace &lt;b&gt;" in page
    assert "<title>Report</title>" in page
    assert "script" not in references(page).tags, "plotly's script comes only with a chart"


@pytest.mark.slow
def test_the_monthly_report_of_a_small_study(small_study: Study, reports: Path) -> None:
    files = reporting.monthly_cost(small_study, month="2025-02", reports_dir=reports, now=NOW)
    assert files.html.parent == reports / f"2026-01-05_monthly_cost_{small_study.id}_2025-02"
    page = files.html.read_text()
    found = references(page)
    assert found.fetched == []
    assert found.tags.count("table") >= 7
    assert page.count("Plotly.newPlot(") == 10
    assert "February 2025" in page
    assert "672 hours" in page
    assert 'class="error"' not in page
    assert 'class="stderr"' not in page, "nothing is warned about while the report is made"
    assert json.loads(files.manifest.read_text())["study"] == small_study.id
