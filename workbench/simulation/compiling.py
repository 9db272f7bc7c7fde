"""Compile the kernels, and keep what was compiled only as long as every source it came from is the same.

Numba keeps compiled code by the file of the function alone, so a kernel would go on running an old rule after the rule
changed in another file. Here the kept code lies in a folder named after the text of the whole package.

Kernels allocate nothing and own nothing: their arrays belong to the caller for as long as the call runs. So numba's
counting of references is switched off, an atomic count per array and call, which took more than half of the replay's
time. A kernel that makes an array does not compile.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numba import config, njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def folder_of(package: Path) -> Path:
    """Return the folder of compiled code for a package's sources: beside them, else a fresh temporary one.

    Folders of other texts beside it are removed: nothing would read them again.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    beside = package / "__pycache__" / f"kernels-{digest.hexdigest()}"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        for old in beside.parent.glob("kernels-*"):
            if old != beside:
                shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="workbench-kernels-"))  # nobody else's, and gone with the temporary files
    return beside


FOLDER = str(folder_of(Path(__file__).parent))
SETTING = "CACHE_DIR"
BORROWED: dict[str, Any] = {"_nrt": False}


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function when it is first called, and keep the code in the folder of these sources."""
    before = getattr(config, SETTING)
    setattr(config, SETTING, FOLDER)
    try:
        compiled: Callable[Parameters, Result] = njit(cache=True, **BORROWED)(function)
    finally:
        setattr(config, SETTING, before)
    return compiled


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function part of every kernel that calls it: for inner loops, where a call costs more than its work."""
    merged: Callable[Parameters, Result] = njit(forceinline=True, **BORROWED)(function)
    return merged


@inlined
def whole(number: int) -> int:
    """Return a number in the one width that kernels hand on: each further width would compile its callees again."""
    return int(np.int64(number))
