"""workbench.catalog.writing: a fitted profile written as a row is read back as the same profile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench import catalog
from workbench.errors import CatalogError


def test_a_written_profile_is_read_back(tmp_path: Path):
    profile = replace(catalog.load().profile("llama31_8b", "h100_80gb"), source='said "so"', decode_base_s=0.0123456789)
    (tmp_path / "profiles.toml").write_text(catalog.profile_row(profile))
    again = catalog.load(tmp_path).profile("llama31_8b", "h100_80gb")
    assert again == replace(profile, decode_base_s=again.decode_base_s)
    assert again.decode_base_s == pytest.approx(0.0123456789, rel=1e-4)


PROFILE = catalog.load().profile("llama31_8b", "h100_80gb")


def test_rows_are_added_one_after_the_other(tmp_path: Path):
    folder = tmp_path / "catalog"
    catalog.add_profile(PROFILE, folder)
    other = replace(PROFILE, gpu="b200_180gb", decode_base_s=0.03)
    path = catalog.add_profile(other, folder)
    assert path == folder / "profiles.toml"
    assert path.read_text().count("[[profile]]") == 2
    known = catalog.load(folder)
    assert known.profile("llama31_8b", "h100_80gb") == PROFILE
    assert known.profile("llama31_8b", "b200_180gb").decode_base_s == 0.03


def test_a_row_of_the_same_kind_is_kept_unless_it_is_to_be_replaced(tmp_path: Path):
    (tmp_path / "profiles.toml").write_text("# ours\n\n" + catalog.profile_row(replace(PROFILE, source="the old one")))
    with pytest.raises(CatalogError, match="a profile of llama31_8b on h100_80gb is there already; replace it"):
        catalog.add_profile(PROFILE, tmp_path)
    assert "the old one" in (tmp_path / "profiles.toml").read_text()
    path = catalog.add_profile(PROFILE, tmp_path, replace=True)
    assert path.read_text() == "# ours\n\n" + catalog.profile_row(PROFILE)


def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "profiles.toml"
    path.write_text("[[profile]]\nmodel =\n")
    with pytest.raises(CatalogError, match="cannot be read"):
        catalog.add_profile(PROFILE, tmp_path, replace=True)
    assert path.read_text() == "[[profile]]\nmodel =\n"


def test_settings_that_are_not_set_are_not_written(tmp_path: Path):
    assert "chunk_tokens" not in catalog.profile_row(PROFILE)
    assert "chunk_tokens = 256\n" in catalog.profile_row(replace(PROFILE, chunk_tokens=256))
    assert "held_out" not in catalog.profile_row(PROFILE)
