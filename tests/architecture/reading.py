"""What the architecture tests read: modules as parsed source, and who names whom."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workbench"


def module_name(path: Path) -> str:
    """The dotted name of a source file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed source of one file."""
    return ast.parse(path.read_text(), filename=str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every dotted name of ours that a source imports, lazily or not; ``from a import b`` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("workbench."):
            yield node.value


def notebook_sources() -> Iterator[ast.Module]:
    """The code of every notebook and template, magics left out."""
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        if "scratch" in path.parts or ".ipynb_checkpoints" in path.parts:
            continue
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                lines = "".join(cell["source"]).splitlines()
                yield ast.parse("\n".join(line for line in lines if not line.startswith(("%", "!"))))


@cache
def used_modules() -> frozenset[str]:
    """Every module of ours that another module or a notebook names; a package needs a user outside itself."""
    from_package = {
        prefix
        for module, path in MODULES.items()
        for name in imported(tree_of(path))
        for prefix in prefixes(name)
        if not f"{module}.".startswith(f"{prefix}.")
    }
    from_notebooks = {prefix for tree in notebook_sources() for name in imported(tree) for prefix in prefixes(name)}
    return frozenset(from_package | from_notebooks)


def prefixes(name: str) -> list[str]:
    """``a.b.c`` as a, a.b and a.b.c."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def public_definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions, classes and methods that a user of the module can name; of an overloaded one the last, which acts."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(mark) == "overload" for mark in node.decorator_list):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    method
                    for method in node.body
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_")
                )


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Every text file that is or would be under version control, with its content."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listing.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes())[:8192]:
            yield name, content.decode(errors="replace")
