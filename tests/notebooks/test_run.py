"""Every notebook runs from top to bottom: on a study of single requests, and on one of a series of sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from tests.notebooks.conftest import REQUESTS_TRACE, SERIES_TRACE, STORE, STUDIES
from tests.notebooks.test_shape import NOTEBOOKS, TOUR
from workbench.results import Study

pytestmark = pytest.mark.slow


def executed(name: str, study: Study, data: Path, folder: Path) -> Any:
    """One notebook after it ran on a study; a failing cell raises."""
    values = {"studies_dir": str(data / STUDIES), "study_id": study.id}
    if name.startswith("01_"):
        values = {"store_path": str(data / STORE), "trace": study.scenario.trace}
    if name.startswith("03_"):
        values |= {
            "methods": "seasonal_naive,last_value",
            "decide_by": "seasonal_naive",
            "every_hours": 12.0,
            "workers": 1,
        }
    if name.startswith("05_"):
        values["sizes"] = [1, 4] if study.scenario.trace == REQUESTS_TRACE else [4]
    made = folder / name
    papermill.execute_notebook(
        NOTEBOOKS[name], made, parameters=values, progress_bar=False, cwd=NOTEBOOKS[name].parent, start_timeout=120
    )
    return nbformat.read(made, as_version=4)


#: Those that read the trace itself say other things about a series of sums; the others only see a study.
OF_A_SERIES = ("01_traces.ipynb", "05_simulate.ipynb")


@pytest.mark.parametrize(
    ("name", "trace"),
    [*((name, REQUESTS_TRACE) for name in TOUR), *((name, SERIES_TRACE) for name in TOUR if name in OF_A_SERIES)],
)
def test_the_notebook_runs(
    name: str, trace: str, small_studies: dict[str, Study], small_data: Path, own_folder: Path
) -> None:
    notebook = executed(name, small_studies[trace], small_data, own_folder)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    noise = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert noise == [], "a notebook is not read with warnings in it"
    figures = [output for output in outputs if "application/vnd.plotly.v1+json" in output.get("data", {})]
    if name == "06_dashboard.ipynb":
        assert "application/vnd.jupyter.widget-view+json" in outputs[-1].data
    else:
        assert len(figures) >= 5
        assert len(outputs[-1].text.split()) > 20, "the last cell answers in words"
    if name == "01_traces.ipynb" and trace == SERIES_TRACE:
        assert_it_says_why_it_has_no_lengths(outputs)


def assert_it_says_why_it_has_no_lengths(outputs: list[Any]) -> None:
    said = " ".join(" ".join(output.text.split()) for output in outputs if output.output_type == "stream")
    told = [sentence for sentence in said.split("Not shown: ") if "lengths" in sentence]
    assert told, said
    assert f"Trace {SERIES_TRACE} is a series of sums and holds no single requests." in told[0]
