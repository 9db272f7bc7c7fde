"""A headless Chromium, a small study, and the two servers of the workbench on ports of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.sharing import copied
from workbench.reporting import serving
from workbench.results import Study

ROOT = Path(__file__).resolve().parents[2]
STUDIES = "studies"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
PATIENCE_S = 90.0
TOKEN = "a-token-for-one-test"

Start = Callable[[Sequence[str], int], None]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; a test that needs one skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs chromium or google-chrome, and neither is on the path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def small_data(small_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one study."""
    folder = tmp_path_factory.mktemp("data")
    copied(small_study, folder / STUDIES)
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server with folders of its own, wait until its port answers, and end it with its kernels afterwards."""
    own = {name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own["JUPYTER_RUNTIME_DIR"] = str(tmp_path / "runtime")
    running: list[subprocess.Popen[bytes]] = []

    def begin(command: Sequence[str], port: int) -> None:
        with (tmp_path / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | own, stdout=log, stderr=log, start_new_session=True
            )
        running.append(process)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.2)
        pytest.fail(f"the server did not answer: {(tmp_path / 'server.log').read_text()[-2000:]}")

    yield begin
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture
def app(start: Start, small_data: Path) -> str:
    """The address of the dashboard as ``workbench app`` serves it."""
    port = free_port()
    start([sys.executable, "-m", "workbench", "app", "--port", str(port), "--data-dir", str(small_data)], port)
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def lab(start: Start, small_data: Path, tmp_path: Path) -> str:
    """The address of the dashboard's notebook in JupyterLab, started as ``workbench lab`` does."""
    folder, port = tmp_path / "notebooks", free_port()
    folder.mkdir()
    made = serving.with_studies(ROOT / "notebooks" / serving.DASHBOARD, studies=small_data / STUDIES, folder=folder)
    own = ["--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"]
    start([*serving.lab_command(folder), *own], port)
    return f"http://127.0.0.1:{port}/lab/tree/{made.name}?token={TOKEN}&reset"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
