"""Where notebooks are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reporting.report_cases import notebook
from workbench.errors import ReportError
from workbench.reporting import places


def test_the_folder_here_comes_first_then_that_of_the_checkout(own_folder: Path, repo_root: Path) -> None:
    assert places.notebooks_folder() == repo_root / "notebooks"
    (own_folder / "notebooks" / "templates").mkdir(parents=True)
    assert places.notebooks_folder() == own_folder / "notebooks"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"no folder of notebooks: looked at .*nowhere"):
        places.notebooks_folder(tmp_path / "nowhere")


def test_a_template_is_found_by_name_or_by_path(own_folder: Path) -> None:
    folder = own_folder / "notebooks" / "templates"
    folder.mkdir(parents=True)
    made = notebook(folder / "monthly.ipynb")
    assert places.template_file("monthly") == places.template_file(made) == made
    with pytest.raises(ReportError, match="did you mean 'monthly'"):
        places.template_file("monthlyy")
    with pytest.raises(ReportError, match=r"nothing\.ipynb does not exist"):
        places.template_file(Path("nothing.ipynb"))
