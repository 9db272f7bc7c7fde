"""workbench.simulation.compiling: compiled code is kept for exactly the sources it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numba import config
from numba.core.errors import NumbaError

from workbench.simulation import compiling


def test_another_text_in_any_source_is_another_folder(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1", encoding="utf-8")
    (tmp_path / "b.py").write_text("y = 1", encoding="utf-8")
    first = compiling.folder_of(tmp_path)
    assert compiling.folder_of(tmp_path) == first
    (tmp_path / "b.py").write_text("y = 2", encoding="utf-8")
    second = compiling.folder_of(tmp_path)
    assert second != first
    assert [folder for folder in (first, second) if folder.is_dir()] == [second]


def test_sources_that_cannot_be_written_beside_use_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text("x = 1", encoding="utf-8")
    (tmp_path / "__pycache__").write_text("a file in the way", encoding="utf-8")
    assert tmp_path not in compiling.folder_of(tmp_path).parents


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
