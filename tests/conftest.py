"""Fixtures that any test may use: literal frames, a seeded generator, the public data, a folder of its own."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from tests.sharing import copied, made_once
from workbench.results import Study
from workbench.tables import REQUESTS
from workbench.units import seed_for

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COLUMNS", None)  # a worker is given the width of a terminal that it has not

# a busy machine is no reason to fail; new examples are sought by whoever works on the code, and not by its landing
settings.register_profile("workbench", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("workbench")

ROOT = Path(__file__).resolve().parents[1]
MANY = 20  # tests of a file that is not begun last


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests, then many: at the end one core would wait for the other to finish.

    The very first asks for the study that most others look at, and the others that do so come late: until it is made,
    who asks for it waits.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    shared = {item.path for item in items if "small_study" in getattr(item, "fixturenames", ())}
    tests = Counter(item.path for item in items)
    first = next((item.path for item in items if item.path in slow & shared), None)

    def order(item: pytest.Item) -> tuple[bool, ...]:
        path = item.path
        return path != first, path not in slow, path in slow & shared, tests[path] < MANY

    items.sort(key=order)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test marked uncounted run without coverage looking on, which pytest-cov's own mark does in no worker.

    It must import none of our modules first: the lines that define its functions would count as missed.
    """
    if item.get_closest_marker("uncounted") is None:
        return (yield)
    looking = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(looking)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public traces, profiles and prices that lie beside the checkout; a test that needs them skips without."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the public data in shared/data beside the checkout, which is not there")
    return folder


@pytest.fixture
def requests() -> pl.DataFrame:
    """Four requests of one minute, small enough to add up by eye: 1000 tokens in, 100 out."""
    start = datetime(2026, 3, 2, 9, 0)
    return REQUESTS.conform(
        pl.DataFrame(
            {
                "arrived_at": [start + timedelta(seconds=seconds) for seconds in (0, 10, 20, 50)],
                "region": ["us_east", "us_east", "us_west", "us_west"],
                "model": ["llama31_8b", "llama31_8b", "llama31_8b", "llama2_70b"],
                "tier": ["interactive_fast", "non_interactive", "interactive_fast", "interactive_normal"],
                "app": ["chat", None, "chat", "code"],
                "tenant": [None, None, "a", "b"],
                "input_tokens": [100, 200, 300, 400],
                "output_tokens": [10, 20, 30, 40],
                "cached_tokens": [0, None, 100, None],
            },
            schema_overrides=REQUESTS.schema,
        )
    )


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded from the test's own name, so that no test changes the draws of another."""
    return np.random.default_rng(seed_for(7, request.node.nodeid))


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, the home and the place of every cache of Jupyter."""
    home = tmp_path / "home"
    work = tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(home / name.lower()))
    return work


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose store holds three synthetic days of 20,000 requests as trace ``small``."""
    from workbench.traces import ingest_frame, open_store, synthetic

    folder = tmp_path_factory.mktemp("small")
    with open_store(folder / "traces.duckdb") as store:
        frame = synthetic.week(seed=7, requests=20_000, days=3)
        ingest_frame(frame, store=store, name="small", source="three synthetic days", format="synthetic")
    return folder


@pytest.fixture(scope="session")
def small_study(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A whole study of the trace ``small``: seasonal naive forecast, four strategies, saved beside its store."""
    study = made_once(tmp_path_factory, "small_study", lambda folder: study_of(small_store, folder))
    return copied(study, small_store / "studies")


@pytest.fixture(scope="session")
def small_study_once(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same with one plan for the whole span, saved elsewhere."""
    study = made_once(tmp_path_factory, "once", lambda folder: study_of(small_store, folder, replan="once"))
    return copied(study, tmp_path_factory.mktemp("once") / "studies")


@pytest.fixture(scope="session")
def short_study(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three hours of an afternoon under the same four strategies, for what is run a second time to compare."""
    span = {"as_of": datetime(2025, 7, 11, 14), "simulate_hours": 3}
    study = made_once(tmp_path_factory, "short", lambda folder: study_of(small_store, folder, name="short", span=span))
    return copied(study, tmp_path_factory.mktemp("short") / "studies")


def study_of(folder: Path, root: Path, *, name: str = "small", replan: str = "hourly", **more: object) -> Study:
    """Run a study of the trace ``small`` of a store and save it under ``root``."""
    from workbench import catalog, scenarios, studies
    from workbench.traces import open_store

    content = {
        "name": name,
        "trace": "small",
        "demand": {"scale": 100.0},
        "forecast": {"method": "seasonal_naive"},
        "plan": {"replan": replan},
        **more,
    }
    with open_store(folder / "traces.duckdb", read_only=True) as store:
        return studies.run(
            scenarios.parse(content, source="test"),
            store,
            catalog=catalog.load(),
            root=root,
            now=datetime(2026, 1, 1),
        )
