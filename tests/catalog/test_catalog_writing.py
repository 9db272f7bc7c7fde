"""workbench.catalog.writing: a fitted profile written as a row is read back as the same profile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench import catalog


def test_a_written_profile_is_read_back(tmp_path: Path):
    profile = replace(catalog.load().profile("llama31_8b", "h100_80gb"), source='said "so"', decode_base_s=0.0123456789)
    (tmp_path / "profiles.toml").write_text(catalog.profile_row(profile))
    again = catalog.load(tmp_path).profile("llama31_8b", "h100_80gb")
    assert again == replace(profile, decode_base_s=again.decode_base_s)
    assert again.decode_base_s == pytest.approx(0.0123456789, rel=1e-4)
