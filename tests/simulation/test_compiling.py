"""workbench.simulation.compiling: compiled code is kept for exactly the sources it came from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numba import config
from numba.core.errors import NumbaError

from workbench.simulation import compiling

KEPT_CODE = """
import sys
from workbench.simulation.latency import normal_cdf
print(normal_cdf(0.0), "numba.np.linalg" in sys.modules)
"""


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_a_module_depends_on_what_it_imports_itself_or_through_others(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", __init__="", d="from house import a")
    write(tmp_path, a="from house.b import x\nimport numpy", b="from house.deep import d", c="import house.b")
    names = [
        source.relative_to(tmp_path).as_posix() for source in compiling.sources_of(tmp_path / "a.py", tmp_path, "house")
    ]
    assert names == ["a.py", "b.py", "deep/__init__.py", "deep/d.py"]


def test_another_text_in_a_source_it_needs_is_another_folder_and_in_no_other(tmp_path: Path) -> None:
    write(tmp_path, a="from house import b", b="y = 1", c="z = 1")
    first = compiling.folder_of(tmp_path / "a.py", tmp_path, "house")
    write(tmp_path, c="z = 2")
    assert compiling.folder_of(tmp_path / "a.py", tmp_path, "house") == first
    write(tmp_path, b="y = 2")
    second = compiling.folder_of(tmp_path / "a.py", tmp_path, "house")
    assert second != first


def test_code_of_an_older_text_goes_when_nobody_can_use_it_any_more(tmp_path: Path) -> None:
    write(tmp_path, a="x = 1", a_b="x = 1")
    other = compiling.folder_of(tmp_path / "a_b.py", tmp_path, "house")
    first = compiling.folder_of(tmp_path / "a.py", tmp_path, "house")
    for folder in (first, other):
        os.utime(folder, (0, 0))
    write(tmp_path, a="x = 2")
    second = compiling.folder_of(tmp_path / "a.py", tmp_path, "house")
    assert [folder.is_dir() for folder in (first, second, other)] == [False, True, True]


def test_sources_that_cannot_be_written_beside_use_temporary_files(tmp_path: Path) -> None:
    write(tmp_path, a="x = 1")
    (tmp_path / "__pycache__").write_text("a file in the way", encoding="utf-8")
    assert tmp_path not in compiling.folder_of(tmp_path / "a.py", tmp_path, "house").parents


def test_the_setting_of_other_code_is_left_alone() -> None:
    before = config.CACHE_DIR

    @compiling.kernel
    def double(x: float) -> float:
        return 2.0 * x

    assert double(2.0) == 4.0
    assert before == config.CACHE_DIR


def test_a_kernel_that_makes_an_array_does_not_compile() -> None:
    @compiling.kernel
    def greedy(size: int) -> float:
        return float(np.zeros(size).sum())

    with pytest.raises((NumbaError, RuntimeError)):
        greedy(3)


def test_whole_numbers_of_every_width_are_handed_on_in_one() -> None:
    @compiling.kernel
    def passed(number: int) -> int:
        return compiling.whole(number)

    assert [passed(np.int16(-7)), passed(np.int32(-7)), passed(-7)] == [-7, -7, -7]


def test_compiling_is_announced_once_and_not_where_the_code_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_folder", lambda file: str(tmp_path))
    told: list[float] = []

    def doubled() -> Callable[[float], float]:
        @compiling.kernel
        def double(x: float) -> float:
            return 2.0 * x

        return double

    with compiling.announced(lambda: told.append(1.0)):
        assert doubled()(2.0) == 4.0
        assert doubled()(np.float32(2.0)) == 4.0
    assert told == [1.0]
    with compiling.announced(lambda: told.append(2.0)):
        assert doubled()(3.0) == 6.0
    assert told == [1.0]


def test_a_kernel_is_called_by_python_and_by_kernels() -> None:
    @compiling.kernel
    def signed(x: float, is_less: bool) -> float:
        return -x if is_less else x

    @compiling.inlined
    def twice(x: float) -> float:
        return 2.0 * x

    @compiling.kernel
    def both(x: float) -> float:
        return signed(twice(x), True) + 10.0 * signed(x, False)

    assert (both(3.0), signed(3.0, True), twice(3.0)) == (24.0, -3.0, 6.0)
    assert len(signed.signatures) == 1  # type: ignore[attr-defined]


def test_kept_code_runs_without_what_compiling_needs() -> None:
    """Numba's linear algebra imports that of SciPy, which no kernel needs."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KEPT_CODE]
    subprocess.run(command, cwd=root, check=True)
    found = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["0.5", "False"]
