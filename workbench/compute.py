"""Map work over the processes of this machine: the same results in the same order whatever the number of workers.

Workers are fresh interpreters and never forks: Polars and the linear algebra below NumPy keep threads and locks that
do not survive a fork. Each gets its share of the cores for the threads of its own libraries. A task and its result
travel by pickle, so a task is a small frozen value and the function stands at the top of a module. Callers name what is
to be done and how many workers may do it, never how: another kind of worker can be added behind :func:`map_tasks`.
"""

from __future__ import annotations

import copyreg
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from workbench.errors import ComputeError, WorkbenchError

Task = TypeVar("Task")
Made = TypeVar("Made")
Progress = Callable[[int, int], None]
Hear = Callable[[Any], None]

GLANCE_S = 0.5  # Polars lets the system resume a wait after Ctrl-C, so a wait without end would not see it
TELLS_EVERY_S = 0.5  # at most; a bar that people watch needs no more
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def _frozen(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# the frozen mappings of a fleet travel to a worker as frozen mappings
copyreg.pickle(MappingProxyType, lambda frozen: (_frozen, (dict(frozen),)))


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_tasks(
    function: Callable[[Task], Made],
    tasks: Sequence[Task],
    *,
    about: Callable[[Task], str] = str,
    workers: int | None = None,
    progress: Progress | None = None,
    hear: Hear | None = None,
) -> list[Made]:
    """Return what ``function`` makes of each task, in the order of the tasks.

    ``workers`` is the most processes to use (default: one per core, never more than tasks); with one the work is done
    in this process. ``progress`` is called with the tasks done and the tasks in all. ``about`` says in words what a
    task is: an error of the user carries it in its message, any other as a note, and ends the rest of the work.
    ``hear`` is called with what other processes :func:`tell` while they work.

    Raises what the function raises, and ComputeError where workers is not positive or a worker process died.
    """
    if workers is not None and workers < 1:
        raise ComputeError(f"workers must be 1 or more, got {workers}; leave it out for one per core.")
    processes = min(workers or cores(), len(tasks))
    if processes <= 1:
        return _here(function, tasks, about=about, progress=progress)
    return _in_processes(function, tasks, about=about, processes=processes, progress=progress, hear=hear)


def _here(
    function: Callable[[Task], Made],
    tasks: Sequence[Task],
    *,
    about: Callable[[Task], str],
    progress: Progress | None,
) -> list[Made]:
    made = []
    for task in tasks:
        with _telling(about(task)):
            made.append(function(task))
        if progress is not None:
            progress(len(made), len(tasks))
    return made


def _in_processes(
    function: Callable[[Task], Made],
    tasks: Sequence[Task],
    *,
    about: Callable[[Task], str],
    processes: int,
    progress: Progress | None,
    hear: Hear | None,
) -> list[Made]:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    told = None if hear is None else context.SimpleQueue()
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(max(1, cores() // processes), told)
    )
    is_whole = False
    try:
        futures: dict[Future[Made], int] = {pool.submit(function, task): place for place, task in enumerate(tasks)}
        made: dict[int, Made] = {}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=GLANCE_S, return_when=FIRST_COMPLETED)
            while hear is not None and told is not None and not told.empty():
                hear(told.get())
            for future in done:
                place = futures[future]
                with _telling(about(tasks[place])):
                    made[place] = future.result()
                if progress is not None:
                    progress(len(made), len(tasks))
        is_whole = True
        return [made[place] for place in range(len(tasks))]
    except BrokenProcessPool as error:
        raise ComputeError(
            f"a worker process died while {processes} of them worked on {len(tasks)} tasks. It ran out of memory, or "
            "the call stands in a script outside of `if __name__ == '__main__':`, which every worker reads again; ask "
            "for fewer workers, or for one to work in this process."
        ) from error
    finally:
        pool.shutdown(wait=is_whole, cancel_futures=True)
        if not is_whole:  # nobody waits for what is half done
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()


@contextmanager
def _telling(about: str) -> Iterator[None]:
    """Let an error say what it was about: in its message if a person is to read it, else as a note."""
    try:
        yield
    except WorkbenchError as error:
        raise type(error)(f"{about}: {error}") from error
    except Exception as error:
        error.add_note(f"This happened at: {about}.")
        raise


class _Ear:
    """The way from this process to the one that gave it work, if it listens, and when it was last told something."""

    told: Any = None
    at_s = -math.inf


def tell(news: Callable[[], Any]) -> None:
    """Tell the process that listens to this one how far its task is; not more often than a person can read.

    ``news`` is only made where it is sent. In a process that nobody listens to it does nothing.
    """
    now_s = time.monotonic()
    if _Ear.told is not None and now_s - _Ear.at_s >= TELLS_EVERY_S:
        _Ear.at_s = now_s
        _Ear.told.put(news())


def _begin(threads: int, told: Any) -> None:
    """Prepare a worker before it imports anything: its share of the cores, its listener, no traceback at Ctrl-C."""
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    _Ear.told = told
