"""What is dear to make and changed by no test is made once in a test run: by the first worker that asks for it.

The others wait for it, and read what was pickled. The folder of the run is theirs together; pytest sweeps it.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

import workbench.compute  # noqa: F401 - frozen mappings can be pickled once it is imported
from workbench.results import Study

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what ``make`` returns for an empty folder, in which other workers find what it wrote there."""
    place = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    kept = place / f"{name}.pickle"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the process ends, whatever ends it
        if not kept.exists():
            folder = place / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            draft = kept.with_suffix(".draft")
            draft.write_bytes(pickle.dumps(make(folder)))
            draft.rename(kept)
    made: Made = pickle.loads(kept.read_bytes())
    return made


def copied(study: Study, root: Path) -> Study:
    """Return the study with its files copied under ``root``, so that what a test does to them stays its own."""
    folder = root / study.id
    shutil.copytree(study.folder, folder)
    return replace(study, folder=folder)
