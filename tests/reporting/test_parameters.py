"""Parameters are refused before a kernel is started: unknown names, wrong types, cells that hold anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.report_cases import notebook
from workbench.errors import ReportError
from workbench.reporting.parameters import Parameter, checked, declared


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return notebook(tmp_path / "review.ipynb", "month")


def test_the_tagged_cell_is_the_list(template: Path) -> None:
    found = declared(template)
    assert list(found) == ["month", "hours", "share", "loud", "note"]
    assert found["month"] == Parameter(name="month", type="str", optional=False, default="2025-07")
    assert found["note"] == Parameter(name="note", type="str", optional=True, default=None)


def test_what_fits_passes_unchanged(template: Path) -> None:
    given = {"month": "2025-08", "hours": 3, "share": 1, "loud": True, "note": None}
    assert checked(template, given) == given


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mnth": "2025-08"}, "mnth is no parameter; did you mean 'month'?"),
        ({"month": 7}, "month takes str, got int 7"),
        ({"hours": 1.5}, "hours takes int, got float 1.5"),
        ({"hours": True}, "hours takes int, got bool True"),
        ({"share": "half"}, "share takes float, got str 'half'"),
        ({"month": None}, "month takes str, got NoneType None"),
        ({"month": Path("2025-08")}, "month takes str, got "),
    ],
)
def test_a_mistake_is_named(template: Path, given: dict[str, object], told: str) -> None:
    with pytest.raises(ReportError, match="template review: ") as caught:
        checked(template, given)
    assert told in str(caught.value)


def test_all_mistakes_are_told_together(template: Path) -> None:
    with pytest.raises(ReportError) as caught:
        checked(template, {"hours": "x", "moth": 1})
    assert "hours takes int" in str(caught.value)
    assert "moth is no parameter" in str(caught.value)


@pytest.mark.parametrize("line", ["month = '2025-07'", "month: str = str(7)", "month: Path = 'x'", "print('x')"])
def test_anything_but_an_annotated_literal_is_refused(tmp_path: Path, line: str) -> None:
    template = notebook(tmp_path / "t.ipynb", parameters=line)
    with pytest.raises(ReportError, match="may hold only lines such as"):
        declared(template)


def test_a_notebook_without_the_cell_or_no_notebook_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no cell tagged parameters"):
        declared(notebook(tmp_path / "t.ipynb", "1", parameters=None))
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(ReportError, match="cannot be read as a notebook"):
        declared(tmp_path / "broken.ipynb")
