"""The shape of the house: imports run downward through one door per library, and every room is whole.

A room is whole when its module says what it decides, its public names say what they do, a test file mirrors it and
somebody uses it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.reading import (
    MODULES,
    PACKAGE,
    ROOT,
    imported,
    prefixes,
    public_definitions,
    tracked_texts,
    tree_of,
    used_modules,
)

HEAVY = {
    "dask",
    "highspy",
    "ipywidgets",
    "matplotlib",
    "nbconvert",
    "nbformat",
    "numba",
    "pandas",
    "papermill",
    "plotly",
    "prophet",
    "pulp",
    "statsmodels",
}
NAMELESS = {"utils", "util", "common", "helpers", "helper", "core", "misc", "base"}
ENTRY_POINTS = {"workbench", "workbench.__main__"}
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
MACHINE = re.compile(
    r"(?<![\w.$}/~-])/(root|home|Users|work|opt|mnt|srv)/\w"  # a folder of one machine
    r"|\b(pypi|pythonhosted|anaconda)\.(org|com)\b|--(extra-)?index-url|file:" + "//"  # where packages come from
)


def test_imports_run_downward_and_through_one_door_for_each_library() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_module_says_what_it_decides() -> None:
    silent = [module for module, path in MODULES.items() if not ast.get_docstring(tree_of(path))]
    assert silent == [], "modules without a docstring"


def test_public_names_say_what_they_do() -> None:
    silent = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in public_definitions(tree_of(path))
        if not ast.get_docstring(node)
    ]
    assert silent == [], "public names without a docstring"


def test_a_test_file_mirrors_the_module() -> None:
    unnamed = [module for module in MODULES if not any(_mentions(mirror, module) for mirror in _mirrors(module))]
    assert unnamed == [], "modules that no test file in the folder of their tests names"


def test_somebody_uses_the_module() -> None:
    unused = sorted(MODULES.keys() - ENTRY_POINTS - used_modules())
    assert unused == [], "modules that no other module and no notebook imports"


def test_a_module_is_named_after_its_work() -> None:
    assert [module for module in MODULES if NAMELESS & set(module.split("."))] == []


def test_nothing_is_left_to_be_done() -> None:
    left = {module: LEFT_OVER.findall(path.read_text()) for module, path in MODULES.items()}
    assert {module: found for module, found in left.items() if found} == {}


def test_values_are_frozen_and_made_by_keyword() -> None:
    loose = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator)
        and not {"frozen=True", "kw_only=True"} <= set(re.findall(r"\w+=\w+", ast.unparse(decorator)))
    ]
    assert loose == []


def test_no_file_names_a_machine_or_an_index() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a checkout: only git knows which files are kept")
    found = [
        f"{name}: {line.strip()[:100]}"
        for name, text in tracked_texts()
        for line in text.splitlines()
        if MACHINE.search(line)
    ]
    assert found == []


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import workbench; print(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"workbench", "__future__"}


def test_help_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "workbench", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in run.stderr.splitlines()}
    assert loaded & HEAVY == set()


def _mirrors(module: str) -> list[Path]:
    """The test files in the folder that mirrors a module's."""
    return sorted((ROOT / "tests" / MODULES[module].relative_to(PACKAGE).parent).glob("test_*.py"))


def _mentions(mirror: Path, module: str) -> bool:
    """Whether a test file imports a module or names it."""
    return module in _imported(mirror) or re.search(rf"\b{re.escape(module)}\b", _text(mirror)) is not None


@cache
def _imported(mirror: Path) -> frozenset[str]:
    return frozenset(prefix for name in imported(tree_of(mirror)) for prefix in prefixes(name))


@cache
def _text(mirror: Path) -> str:
    return mirror.read_text()
