"""workbench.simulation.compiling: compiled code is kept for exactly the sources it came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from numba import config

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
