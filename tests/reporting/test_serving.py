"""The commands that start Jupyter's servers, and what is refused before one is started."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.reporting.report_cases import notebook
from workbench.errors import ReportError
from workbench.reporting import serving, start_app, start_lab
from workbench.reporting.parameters import declared


def test_no_folder_of_notebooks_is_a_mistake_of_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no folder of notebooks"):
        start_lab(data_dir=tmp_path, notebooks_dir=tmp_path / "nowhere")
    with pytest.raises(ReportError, match="no dashboard at"):
        start_app(data_dir=tmp_path, port=8866, notebooks_dir=tmp_path)


def test_lab_runs_under_this_interpreter_without_news(tmp_path: Path) -> None:
    command = serving.lab_command(tmp_path)
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert not any("token" in word or "password" in word for word in command)
    settings = json.loads((serving.LAB_SETTINGS / "overrides.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_the_page_is_served_on_its_port(tmp_path: Path) -> None:
    command = serving.app_command(tmp_path / "x.ipynb", port=9001)
    assert command[:4] == [sys.executable, "-m", "voila", str(tmp_path / "x.ipynb")]
    assert "--Voila.port=9001" in command


def test_the_dashboard_reads_the_studies_that_are_meant(tmp_path: Path) -> None:
    page = notebook(tmp_path / "06_dashboard.ipynb", "1", parameters='studies_dir: str = "../data/studies"  # folder')
    (tmp_path / "scratch").mkdir()
    copy = serving.with_studies(page, studies=Path("/somewhere/studies"), folder=tmp_path / "scratch")
    sources = ["".join(cell["source"]) for cell in json.loads(copy.read_text())["cells"]]
    assert any('studies_dir = "/somewhere/studies"' in source for source in sources)
    assert list(declared(page)) == ["studies_dir"]


def test_a_server_is_run_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, sys; sys.exit(7 if os.path.samefile('.', sys.argv[1]) else 1)"]
    assert serving._serve([*command, str(tmp_path)], cwd=tmp_path) == 7


def test_lab_says_where_other_studies_are(tmp_path: Path) -> None:
    assert serving.hint(tmp_path / "data", tmp_path / "notebooks") == ""
    told = serving.hint(tmp_path / "other", tmp_path / "notebooks")
    assert f'studies_dir = "{tmp_path / "other" / "studies"}"' in told
