"""Start Jupyter's two servers on the notebooks: JupyterLab to work in, and the dashboard as a page.

Both run under this interpreter, listen on this machine only and keep Jupyter's own token. Nothing is fetched from the
network: the news and the check for a newer version are switched off.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import ReportError
from workbench.reporting.parameters import declared
from workbench.reporting.places import DASHBOARD, notebooks_folder

LAB_SETTINGS = Path(__file__).parent / "lab_settings"
APP_PAGE, APP_TEMPLATE = Path(__file__).parent / "app_page", "workbench"  # a folder of Jupyter data, a template in it
STUDIES = "studies_dir"
IDLE_KERNEL_S = 600


def start_lab(*, data_dir: Path, notebooks_dir: Path | None = None) -> int:
    """Run JupyterLab on the notebooks until it is stopped, and return its exit code.

    The notebooks read ``../data/studies``; where ``data_dir`` is another folder, what to write into their parameters
    cell is said on standard error. Raises ReportError where the folder of notebooks is not there.
    """
    notebooks = notebooks_folder(notebooks_dir)
    sys.stderr.write(hint(data_dir, notebooks))
    return _serve(lab_command(notebooks), cwd=notebooks)


def start_app(*, data_dir: Path, port: int, notebooks_dir: Path | None = None) -> int:
    """Serve the dashboard as a page on a port of this machine until it is stopped, and return the exit code.

    The page reads the studies under ``data_dir``. Raises ReportError where the dashboard's notebook is not there.
    """
    notebook = notebooks_folder(notebooks_dir) / DASHBOARD
    if not notebook.is_file():
        raise ReportError(f"there is no dashboard at {notebook}; run from a checkout whose notebooks are whole.")
    with tempfile.TemporaryDirectory(prefix="workbench-app-") as scratch:
        page = with_studies(notebook, studies=data_dir.resolve() / "studies", folder=Path(scratch))
        return _serve(app_command(page, port=port), cwd=notebook.parent)


def hint(data_dir: Path, notebooks: Path) -> str:
    """Return what to write into the notebooks where the studies are not those beside them; else nothing."""
    if data_dir.resolve() == notebooks.parent / "data":
        return ""
    return f'In the notebooks set {STUDIES} = "{data_dir.resolve() / "studies"}".\n'


def lab_command(notebooks: Path) -> list[str]:
    """Return the command that runs JupyterLab on a folder."""
    return [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={notebooks}",
        f"--LabApp.app_settings_dir={LAB_SETTINGS}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(["--allow-root"] if _is_root() else []),
    ]


def app_command(notebook: Path, *, port: int) -> list[str]:
    """Return the command that serves a notebook as a page; kernels of closed pages are ended after a while."""
    return [
        *(sys.executable, "-m", "voila", str(notebook)),
        f"--Voila.port={port}",
        f"--template={APP_TEMPLATE}",
        "--no-browser",
        f"--MappingKernelManager.cull_idle_timeout={IDLE_KERNEL_S}",
        "--MappingKernelManager.cull_interval=60",
    ]


def environment() -> dict[str, str]:
    """Return this process's environment with the folder of the page's template among those Jupyter looks in."""
    places = (str(APP_PAGE), os.environ.get("JUPYTER_PATH", ""))
    return dict(os.environ) | {"JUPYTER_PATH": os.pathsep.join(place for place in places if place)}


def with_studies(notebook: Path, *, studies: Path, folder: Path) -> Path:
    """Write a copy of a notebook whose parameter ``studies_dir`` names a folder, and return the copy."""
    import nbformat
    import papermill

    copy = papermill.iorw.load_notebook_node(
        str(notebook)
    )  # unlike nbformat it gives every cell the tags asked for below
    if STUDIES in declared(notebook):
        copy = papermill.parameterize.parameterize_notebook(
            copy, {STUDIES: str(studies)}, kernel_name="python3", language="python"
        )
    made = folder / notebook.name
    nbformat.write(copy, made)  # type: ignore[no-untyped-call]
    return made


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _serve(command: Sequence[str], *, cwd: Path) -> int:
    """Run a server in the foreground; Ctrl-C is the server's to answer, as Jupyter asks before it stops."""
    with subprocess.Popen(command, cwd=cwd, env=environment()) as server:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:
                continue
