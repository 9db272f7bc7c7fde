"""Compile the kernels, and keep what was compiled only as long as every source it came from is the same.

Numba keeps compiled code by the file of the function alone, so a kernel would go on running an old rule after the rule
changed in another file. Here the kept code of a module lies in a folder named after the text of that module and of
every module of its package that it imports, itself or through others: an edit compiles again what it may have changed
and nothing else.

Kernels allocate nothing and own nothing: their arrays belong to the caller for as long as the call runs. So numba's
counting of references is switched off, an atomic count per array and call, which took more than half of the replay's
time. A kernel that makes an array does not compile.

An engine is one kernel made of a hundred. Compiled each as if Python called it, they took twice as long as the whole
has to: every one got a wrapper that takes its arguments out of Python objects, and was optimised to the last before it
was optimised again inside those that call it. So a kernel that is called by another one is compiled as a part: without
wrapper, lightly optimised, once for numbers of a type and not again for each constant. The same kernel called by Python
is compiled in full.

Kept code is loaded without what numba needs to compile, which took longer to import than the code takes to load.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numba import config, njit, types

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
    for node in _statements(ast.parse(text).body):
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


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield what a module does when it is imported: compiled code knows nothing that a function imports for itself."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(ast.iter_child_nodes(node))


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


BORROWED: dict[str, Any] = {"_nrt": False}
PART: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
LIGHTLY = 1  # LLVM's level for parts: what calls them is optimised with them in it, at the full level
_compile: Any = njit  # whose types know neither all of its terms nor its settings
_settings: Any = config
_listeners: list[Callable[[], None]] = []


@contextmanager
def announced(tell: Callable[[], None]) -> Iterator[None]:
    """Call ``tell`` once if inside something is to be compiled, before it is."""
    _listeners.append(tell)
    try:
        yield
    finally:
        if tell in _listeners:
            _listeners.remove(tell)


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function when it is first called, and keep the code in the folder of its sources."""
    return kept(function, BORROWED)


def kept(function: Callable[Parameters, Result], terms: dict[str, Any]) -> Callable[Parameters, Result]:
    """Compile a function as :func:`kernel` does, on other terms."""
    if _settings.DISABLE_JIT:
        return function
    folder = _folder(function.__code__.co_filename)
    with _setting("CACHE_DIR", folder):
        in_full = _compile(cache=True, no_cfunc_wrapper=True, **terms)(function)
    with _setting("CACHE_DIR", f"{folder}/parts"):
        part = _compile(cache=True, **PART, **terms)(function)
    in_full._cache.load_overload = functools.partial(_load, in_full._cache)
    return _either(in_full, part)


def merged(function: Callable[Parameters, Result], terms: dict[str, Any]) -> Callable[Parameters, Result]:
    """Make a function part of what calls it as :func:`inlined` does, on other terms."""
    if _settings.DISABLE_JIT:
        return function
    return _either(_compile(forceinline=True, **terms)(function), _compile(forceinline=True, **PART, **terms)(function))


def _either(in_full: Any, part: Any) -> Callable[..., Any]:
    """Return a function that is compiled in full when Python calls it, and as a part when a kernel does."""
    in_full.get_call_template, in_full.get_overload = _lightly(part), part.get_overload
    called: Callable[..., Any] = in_full
    return called


@contextmanager
def _setting(name: str, value: object) -> Iterator[None]:
    """Set one of numba's settings for as long as it is needed: they belong to other code too."""
    before = getattr(_settings, name)
    setattr(_settings, name, value)
    try:
        yield
    finally:
        setattr(_settings, name, before)


def _load(cache: Any, signature: object, target: object) -> object:
    """Return the kept code for a signature, None where there is none: what the target lacks, compiling brings in."""
    with cache._guard_against_spurious_io_errors():
        found = cache._load_overload(signature, target)
        if found is not None:
            return found
    while _listeners:
        _listeners.pop()()
    return None


def _lightly(part: Any) -> Callable[..., object]:
    """Return what numba asks of a part for the types of its arguments; constants are numbers of their type."""
    compiled_for = part.get_call_template

    def template(arguments: Sequence[Any], named: dict[str, Any]) -> object:
        with _setting("OPT", LIGHTLY):
            return compiled_for(tuple(map(types.unliteral, arguments)), named)

    return template


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function part of every kernel that calls it: for inner loops, where a call costs more than its work."""
    return merged(function, BORROWED)


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
    return merged(function, SIDE_BY_SIDE)


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
