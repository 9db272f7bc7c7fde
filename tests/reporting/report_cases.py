"""Notebooks of a few cells, for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

PARAMETERS = """month: str = "2025-07"  # the month
hours: int = 24  # how many
share: float = 0.5  # of the whole
loud: bool = False  # say more
note: str | None = None  # a remark"""


def notebook(
    path: Path, *cells: str, parameters: str | None = PARAMETERS, prose: Sequence[str] = ("# A title",)
) -> Path:
    """Write a notebook: markdown cells, a cell tagged ``parameters`` unless it is None, then code cells."""
    made = [{"cell_type": "markdown", "id": f"m{i}", "metadata": {}, "source": text} for i, text in enumerate(prose)]
    if parameters is not None:
        made.append(code("p", parameters) | {"metadata": {"tags": ["parameters"]}})
    made += [code(f"c{i}", text) for i, text in enumerate(cells)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def code(identity: str, source: str) -> dict[str, object]:
    """Return a code cell that has not been run."""
    return {
        "cell_type": "code",
        "id": identity,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
