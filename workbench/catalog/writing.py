"""A fitted profile as the TOML row that puts it into a catalog folder."""

from __future__ import annotations

import json
from dataclasses import fields

from workbench.domain import Profile


def profile_row(profile: Profile) -> str:
    """Return a profile as a ``[[profile]]`` row of profiles.toml, numbers to five significant digits."""
    lines = [f"{field.name} = {_toml(getattr(profile, field.name))}" for field in fields(profile)]
    return "\n".join(["[[profile]]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(float(f"{value:.5g}"))
    return json.dumps(value, ensure_ascii=False)
