"""workbench.compute: the order of the tasks, errors that say what they were about, workers that are no copies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import polars as pl
import pytest

from workbench import compute
from workbench.errors import ComputeError, ForecastError


def square(number: int) -> tuple[int, int]:
    """The square of a number and the process that made it; small numbers take longest, so that they come last."""
    time.sleep(0.02 * max(0, 4 - number))
    return number * number, os.getpid()


def work_like(number: int) -> int:
    """Fail at 2 as a person's mistake does, at 3 as a defect does; count rows with Polars otherwise."""
    if number == 2:
        raise ForecastError("no history; ask for a later instant.")
    if number == 3:
        raise ZeroDivisionError("three")
    return pl.DataFrame({"n": range(number)}).group_by("n").len().height


def end_abruptly(number: int) -> int:
    """Die as a process does that ran out of memory."""
    os._exit(9)


def threads(_: int) -> str | None:
    """The threads that Polars may use in this worker."""
    return os.environ.get("POLARS_MAX_THREADS")


def pair(number: int, hundredth: int) -> tuple[int, int]:
    """What is told of a task."""
    return number, hundredth


def count_aloud(number: int) -> int:
    """Tell of every hundredth of a second, of which only what comes half a second after the last is heard."""
    for hundredth in range(60):
        compute.tell(partial(pair, number, hundredth))
        time.sleep(0.01)
    return number


def test_processes_tell_how_far_they_are_and_not_too_often() -> None:
    heard: list[tuple[int, int]] = []
    assert compute.map_tasks(count_aloud, [1, 2], workers=2, hear=heard.append) == [1, 2]
    assert {number for number, _ in heard} == {1, 2}
    assert len(heard) <= 4
    assert {(1, 0), (2, 0)} <= set(heard)
    assert compute.map_tasks(count_aloud, [1], hear=heard.append) == [1]
    assert len(heard) <= 4


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    made = compute.map_tasks(
        square, [1, 2, 3, 4, 5], workers=workers, progress=lambda done, total: seen.append((done, total))
    )
    assert [value for value, _ in made] == [1, 4, 9, 16, 25]
    assert seen == [(done, 5) for done in range(1, 6)]
    assert ({process for _, process in made} == {os.getpid()}) == (workers == 1)


def test_one_task_stays_in_this_process_and_none_makes_nothing() -> None:
    assert compute.map_tasks(square, [3], workers=8) == [(9, os.getpid())]
    assert compute.map_tasks(square, []) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_says_what_it_was_about(workers: int) -> None:
    with pytest.raises(ForecastError, match=r"^number 2: no history; ask for a later instant"):
        compute.map_tasks(work_like, [1, 2], about="number {}".format, workers=workers)
    with pytest.raises(ZeroDivisionError) as caught:
        compute.map_tasks(work_like, [1, 3], about="number {}".format, workers=workers)
    assert "This happened at: number 3." in caught.value.__notes__


def test_a_worker_that_dies_is_told_with_what_to_do() -> None:
    with pytest.raises(ComputeError, match=r"a worker process died .* ask for fewer workers"):
        compute.map_tasks(end_abruptly, [1, 2], workers=2)


def test_workers_share_the_cores() -> None:
    assert compute.cores() >= 1
    assert compute.map_tasks(threads, [1, 2], workers=2) == [str(max(1, compute.cores() // 2))] * 2


def kind_of(mapping: Mapping[str, int]) -> str:
    """What a mapping is on the other side."""
    return f"{type(mapping).__name__} {dict(mapping)}"


def test_frozen_mappings_travel_as_such() -> None:
    frozen = [MappingProxyType({"a": 1}), MappingProxyType({"b": 2})]
    assert compute.map_tasks(kind_of, frozen, workers=2) == ["mappingproxy {'a': 1}", "mappingproxy {'b': 2}"]


def nap(seconds: float) -> float:
    """Work for some time."""
    time.sleep(seconds)
    return seconds


def test_ctrl_c_ends_the_work_and_the_workers(repo_root: Path) -> None:
    """Polars, once used, lets the system resume what Ctrl-C interrupts: the wait for a result must end all the same."""
    program = (
        "import polars as pl; pl.DataFrame({'a': [1]}).lazy().select('a').collect()\n"
        "from tests.test_compute import nap\nfrom workbench import compute\n"
        "print('begun', flush=True)\ncompute.map_tasks(nap, [300.0, 300.0], workers=2)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=repo_root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode != 0
    assert error.count("Traceback") == 1, error
    assert error.rstrip().endswith("KeyboardInterrupt")


def test_no_workers_is_refused() -> None:
    with pytest.raises(ComputeError, match="workers must be 1 or more, got 0"):
        compute.map_tasks(square, [1], workers=0)
