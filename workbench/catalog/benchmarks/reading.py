"""Files of benchmarks, read by the name of the tool that wrote them; nothing is guessed from their content."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from workbench.catalog.benchmarks.guidellm import guidellm_runs
from workbench.catalog.benchmarks.runs import BenchmarkRun, Part
from workbench.catalog.benchmarks.vllm import vllm_run
from workbench.errors import CatalogError, nearest

FORMATS = ("vllm", "guidellm")


def read_benchmarks(paths: Iterable[Path], *, format: str) -> tuple[BenchmarkRun, ...]:
    """Read the levels of load of one server from files of ``vllm bench serve`` or GuideLLM.

    Raises CatalogError for an unknown format, a file that is not there or no JSON, and what the readers refuse.
    """
    if format not in FORMATS:
        raise CatalogError(f"benchmarks: format {format!r} is unknown; {nearest(format, FORMATS)}.")
    runs: list[BenchmarkRun] = []
    for path in paths:
        documents = _documents(path)
        runs += [run for part in documents for run in ([vllm_run(part)] if format == "vllm" else guidellm_runs(part))]
    if not runs:
        raise CatalogError("benchmarks: no file was given.")
    return tuple(runs)


def _documents(path: Path) -> list[Part]:
    """Return the JSON document of a file, or those of its lines where results were appended."""
    if not path.is_file():
        raise CatalogError(f"benchmarks: no such file {path}.")
    try:
        text = path.read_text(encoding="utf-8")
        whole = _parsed(text)
        found = [whole] if whole is not None else [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, OSError) as error:
        raise CatalogError(
            f"benchmarks: {path.name} is no JSON ({error}); give the file as the tool wrote it."
        ) from error
    if not found:
        raise CatalogError(f"benchmarks: {path.name} is empty.")
    names = [path.name] if len(found) == 1 else [f"{path.name} line {number}" for number in range(1, len(found) + 1)]
    return [Part(document, name) for document, name in zip(found, names, strict=True)]


def _parsed(text: str) -> object | None:
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise
        return None
