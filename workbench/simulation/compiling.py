"""Compile the kernels, and keep what was compiled only as long as every source it came from is the same.

Numba keeps compiled code by the file of the function alone, so a kernel would go on running an old rule after the rule
changed in another file. Here the kept code of a module lies in a folder named after the text of that module and of
every module of its package that it imports, itself or through others: an edit compiles again what it may have changed
and nothing else.

Kernels allocate nothing and own nothing: their arrays belong to the caller for as long as the call runs. So numba's
counting of references is switched off, an atomic count per array and call, which took more than half of the replay's
time. A kernel that makes an array does not compile.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numba import config, njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

PACKAGE = Path(__file__).parent
NAME = __name__.rpartition(".")[0]
IN_USE_S = 3600.0  # code kept this recently may belong to a process that still runs an older text


def sources_of(module: Path, package: Path, name: str) -> list[Path]:
    """Return a module and every module of the package, imported under ``name``, that it needs, in a fixed order."""
    known, waiting = {module}, [module]
    while waiting:
        found = set(_imported(waiting.pop().read_bytes(), package, name)) - known
        known |= found
        waiting += found
    return sorted(known)


@functools.cache
def _imported(text: bytes, package: Path, name: str) -> tuple[Path, ...]:
    """Return the files of the package that a text imports; what it takes from a package may be a module of it.

    Many modules need the same ones, and to parse each anew took longer than to load the compiled code.
    """
    files: list[Path] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for full in names:
            if full.startswith(f"{name}."):
                file = package.joinpath(*full.removeprefix(f"{name}.").split("."))
                files += (path for path in (file.with_suffix(".py"), file / "__init__.py") if path.is_file())
    return tuple(files)


def folder_of(module: Path, package: Path, name: str) -> Path:
    """Return the folder of a module's compiled code: beside its package's sources, else a fresh temporary one.

    Folders of the module's other texts are removed once they are no longer in use: nothing would read them again.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in sources_of(module, package, name):
        digest.update(source.read_bytes())
    kernels = package / "__pycache__" / "kernels"
    place = "-".join(module.relative_to(package).with_suffix("").parts)
    beside = kernels / f"{place}-{digest.hexdigest()}"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        for old in kernels.glob(f"{place}-" + "[0-9a-f]" * 16):
            if old != beside and time.time() - old.stat().st_mtime > IN_USE_S:
                shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="workbench-kernels-"))  # nobody else's, and gone with the temporary files
    return beside


@functools.cache
def _folder(file: str) -> str:
    """Return where the kernels of a file are kept; those of a file outside the package depend on all of it."""
    module = Path(file)
    return str(folder_of(module if module.is_relative_to(PACKAGE) else PACKAGE / "__init__.py", PACKAGE, NAME))


SETTING = "CACHE_DIR"
BORROWED: dict[str, Any] = {"_nrt": False}


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function when it is first called, and keep the code in the folder of its sources."""
    return kept(function, BORROWED)


def kept(function: Callable[Parameters, Result], terms: dict[str, Any]) -> Callable[Parameters, Result]:
    """Compile a function as :func:`kernel` does, on other terms."""
    before = getattr(config, SETTING)
    setattr(config, SETTING, _folder(function.__code__.co_filename))
    try:
        compiled: Callable[Parameters, Result] = njit(cache=True, **terms)(function)
    finally:
        setattr(config, SETTING, before)
    return compiled


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function part of every kernel that calls it: for inner loops, where a call costs more than its work."""
    merged: Callable[Parameters, Result] = njit(forceinline=True, **BORROWED)(function)
    return merged


#: For loops over numbers side by side. A division by nought gives infinity, because a test of the divisor would end the
#: vector; a product and a sum may be fused, which is the same for every number.
SIDE_BY_SIDE: dict[str, Any] = {"_nrt": False, "error_model": "numpy", "fastmath": {"contract", "nnan", "nsz"}}


def vectors(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function of loops over numbers side by side to vector instructions, kept as :func:`kernel`'s code is.

    A loop is kept short: the processor works at several turns of it at a time only while they fit into its window.
    """
    return kept(function, SIDE_BY_SIDE)


def within(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function part of every such loop that calls it."""
    merged: Callable[Parameters, Result] = njit(forceinline=True, **SIDE_BY_SIDE)(function)
    return merged


@inlined
def whole(number: int) -> int:
    """Return a number in the one width that kernels hand on: each further width would compile its callees again."""
    return int(np.int64(number))


@inlined
def place(number: int) -> int:
    """Return a number as an index that never counts from the end: otherwise every access asks whether it does.

    It is for indices only: in sums with numbers that have a sign it would make fractions of them.
    """
    return int(np.uint64(number))
