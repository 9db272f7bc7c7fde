"""Build a report: run a template in a fresh kernel, export it, write down what it was made from.

Everything is written into a folder with a temporary name that is renamed when it is whole, so a report is either there
or not. A template that fails leaves its notebook, executed up to the failing cell, in a folder ending in ``-failed``.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workbench import __version__
from workbench.errors import ReportError
from workbench.reporting import monthly
from workbench.reporting.parameters import checked, declared
from workbench.reporting.places import template_file
from workbench.results import ReportFiles, Study

PINNED = ("ipykernel", "nbconvert", "papermill", "plotly", "polars")
CELL_LIMIT_S = 600


def build(
    template: str | Path, *, parameters: Mapping[str, Any], reports_dir: Path, now: datetime, name: str
) -> ReportFiles:
    """Run a template (its name or path) with parameters and return the files of the report.

    The report is the folder ``reports_dir/name`` with the executed notebook, an HTML page that needs no network, and a
    manifest; one of the same name is replaced as a whole. ``now`` is written into it and enters no number.

    Raises ReportError for a template that is not there, for parameters it does not take (before anything is run), for
    a cell that fails (naming the cell and where the partial notebook lies), and where the folder cannot be written.
    """
    path = template_file(template)
    values = checked(path, parameters)
    folder, draft = reports_dir.resolve() / name, reports_dir.resolve() / f".{name}.{os.getpid()}"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        manifest = _write(path, values, draft, now=now, failed=folder.with_name(f"{name}-failed"))
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        _replace(draft, folder)
    except OSError as error:
        raise ReportError(
            f"the report cannot be written to {folder} ({error.strerror or error}); free space or choose another "
            "folder with --reports-dir."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return ReportFiles(
        notebook=folder / manifest["files"]["notebook"],
        html=folder / manifest["files"]["html"],
        manifest=folder / "manifest.json",
        parameters=values,
    )


def monthly_cost(study: Study, *, month: str | None = None, reports_dir: Path, now: datetime) -> ReportFiles:
    """Build the monthly cost report of a saved study; ``month`` is YYYY-MM, by default that of ``study.as_of``.

    The folder is named by date, template and study, and by the month where it is not the study's own. Raises
    ReportError for a month that is none, and where the report cannot be built.
    """
    own = f"{study.as_of:%Y-%m}"
    wanted = own if month is None else monthly.checked_month(month)
    name = f"{now:%Y-%m-%d}_monthly_cost_{study.id}" + ("" if wanted == own else f"_{wanted}")
    parameters = {"study_id": study.id, "studies_dir": str(study.folder.resolve().parent), "month": wanted}
    return build("monthly_cost", parameters=parameters, reports_dir=reports_dir, now=now, name=name)


def _write(path: Path, values: Mapping[str, Any], draft: Path, *, now: datetime, failed: Path) -> dict[str, Any]:
    """Run and export a template into a draft folder and return the manifest."""
    from workbench.reporting import exporting

    notebook, html = draft / path.name, draft / f"{path.stem}.html"
    began = time.perf_counter()
    try:
        executed = _run(path, values, notebook)
    except ReportError as error:
        _replace(draft, failed)
        raise ReportError(f"{error}. The notebook, executed so far, lies at {failed / path.name}.") from error.__cause__
    ran = time.perf_counter()
    study = values.get("study_id")
    made_from = f"template {path.stem}" + (f" and study {study}" if study else "")
    html.write_text(exporting.page(executed, made_at=now, made_from=made_from), encoding="utf-8")
    return {
        "template": path.stem,
        "template_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "study": study,
        "parameters": {name: parameter.default for name, parameter in declared(path).items()} | dict(values),
        "made_at": now.isoformat(timespec="seconds"),
        "files": {"notebook": notebook.name, "html": html.name},
        "timings_s": {"run": round(ran - began, 3), "export": round(time.perf_counter() - ran, 3)},
        "versions": {"workbench": __version__, "python": platform.python_version()}
        | {package: version(package) for package in PINNED},
    }


def _run(path: Path, values: Mapping[str, Any], output: Path) -> Any:
    """Execute a template in a fresh kernel of this interpreter, saving the notebook cell by cell."""
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from workbench.reporting.kernel import OwnKernel

    try:
        return papermill.execute_notebook(
            nbformat.read(path, as_version=4),  # type: ignore[no-untyped-call]
            _literal(output),
            parameters=dict(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=path.parent,
            execution_timeout=CELL_LIMIT_S,
            kernel_manager_class=OwnKernel,
        )
    except PapermillExecutionError as error:
        raise ReportError(
            f"template {path.stem} failed in cell [{error.exec_count}] ({_first_line(error.source)!r}) with "
            f"{error.ename}: {error.evalue}"
        ) from error
    except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
        raise ReportError(f"template {path.stem} did not finish: {error}") from error


def _literal(path: Path) -> str:
    """Return a path in which papermill finds no fields to fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _first_line(source: str) -> str:
    lines = [line for line in source.splitlines() if line.strip()]
    return lines[0] if lines else ""


def _replace(draft: Path, folder: Path) -> None:
    """Give a whole draft its name; what had that name goes."""
    old = draft.with_name(f"{draft.name}.old")
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
