"""The shape of every notebook: thin, in one order, stripped, and each name assigned in one place.

Read as JSON and parsed, never run, so that a slip is seen in milliseconds.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {
    path.relative_to(ROOT / "notebooks").as_posix(): path
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
    if not {"scratch", ".ipynb_checkpoints"} & set(path.parts)
}
TOUR = [name for name in NOTEBOOKS if "/" not in name]
MOST_CODE_CELLS, MOST_LINES = 25, 15
LOGIC = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.Lambda, ast.While, ast.For)
PLACE = re.compile(r"[\"'](/|~|[A-Z]:\\)")


@cache
def read(name: str) -> Any:
    """One notebook."""
    return nbformat.read(NOTEBOOKS[name], as_version=nbformat.NO_CONVERT)


def code(name: str) -> list[Any]:
    """The code cells of a notebook in order."""
    return [cell for cell in read(name).cells if cell.cell_type == "code"]


def parameters(name: str) -> Any:
    """The one cell that is tagged as the parameters."""
    (cell,) = [cell for cell in read(name).cells if "parameters" in cell.metadata.get("tags", [])]
    return cell


def assigned(source: str) -> set[str]:
    """The names that a cell assigns, imports left out; ``_`` is nobody's name."""
    stored = {node.id for node in ast.walk(ast.parse(source)) if _is_stored(node)}
    inner = {
        target.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.comprehension)
        for target in ast.walk(node.target)
        if isinstance(target, ast.Name)
    }
    return stored - inner - {"_"}


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def test_the_tour_is_there() -> None:
    assert TOUR == ["01_traces.ipynb", "03_forecast.ipynb", "04_plan.ipynb", "05_simulate.ipynb", "06_dashboard.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_file_is_a_valid_notebook_with_its_kernel_and_cell_ids(name: str) -> None:
    nbformat.validate(read(name))
    assert read(name).metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in read(name).cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_without_outputs(name: str) -> None:
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code(name))
    assert "widgets" not in read(name).metadata


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_holds_calls_and_no_logic(name: str) -> None:
    found = [
        f"{cell.id}: {type(node).__name__}"
        for cell in code(name)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, LOGIC)
    ]
    assert found == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_thin(name: str) -> None:
    assert len(code(name)) <= MOST_CODE_CELLS
    assert [cell.id for cell in code(name) if len(cell.source.splitlines()) > MOST_LINES] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_name_is_assigned_in_one_cell(name: str) -> None:
    seen: dict[str, list[str]] = {}
    for cell in code(name):
        for target in assigned(cell.source):
            seen.setdefault(target, []).append(cell.id)
    assert {target: ids for target, ids in seen.items() if len(ids) > 1} == {}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_parameters_are_annotated_literals_with_a_comment_each(name: str) -> None:
    source = parameters(name).source
    for line, node in zip(source.splitlines(), ast.parse(source).body, strict=True):
        assert isinstance(node, ast.AnnAssign), line
        ast.literal_eval(node.value)
        assert line.partition("  # ")[2].strip(), f"{line} lacks a trailing comment"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_place_of_a_machine_is_written_down(name: str) -> None:
    assert [cell.id for cell in code(name) if PLACE.search(cell.source)] == []


@pytest.mark.parametrize("name", TOUR)
def test_its_first_cells_stand_in_order(name: str) -> None:
    title, second, third, *rest = read(name).cells
    assert title.cell_type == "markdown"
    assert re.match(r"# \d\. .+\?\n", title.source), "the title is the question that is answered"
    assert second is parameters(name)
    tree = ast.parse(third.source)
    assert any(isinstance(node, ast.ImportFrom) and node.module == "workbench" for node in tree.body)
    opening = next(cell for cell in rest if cell.cell_type == "code")
    assert re.search(
        r"study = studies\.open_study\(study_id|open_store\(Path\(store_path\), read_only=True\)", opening.source
    )


@pytest.mark.parametrize("name", TOUR)
def test_its_last_cell_answers_in_words(name: str) -> None:
    last = read(name).cells[-1]
    assert last.cell_type == "code"
    assert "print(" in last.source or "dashboards.what_if(" in last.source, (
        "the page's own sentence is the answer there"
    )


@pytest.mark.parametrize("name", TOUR)
def test_every_figure_says_what_it_was_drawn_from(name: str) -> None:
    silent = [
        ast.unparse(node.func)
        for cell in code(name)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("charts.")
        if "source" not in {keyword.arg for keyword in node.keywords}
    ]
    assert silent == []


def test_a_template_holds_no_widget() -> None:
    for name in set(NOTEBOOKS) - set(TOUR):
        assert not any("dashboards" in cell.source or "ipywidgets" in cell.source for cell in code(name))
