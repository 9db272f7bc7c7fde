"""A fitted profile as the TOML row that puts it into a catalog folder.

A row is only ever added: where the folder already has one of the same model and GPU kind, the user says which to keep,
because the measurements behind the old one may be gone.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

from workbench.domain import Profile
from workbench.errors import CatalogError

FILE = "profiles.toml"
HEADING = "[[profile]]"


def profile_row(profile: Profile) -> str:
    """Return a profile as a ``[[profile]]`` row of profiles.toml, numbers to five significant digits."""
    lines = [
        f"{field.name} = {_toml(value)}"
        for field in fields(profile)
        for value in [getattr(profile, field.name)]
        if field.default is MISSING or value != field.default
    ]
    return "\n".join([HEADING, *lines, ""])


def add_profile(profile: Profile, folder: Path, *, replace: bool = False) -> Path:
    """Write a profile into a user's catalog folder, which is made where it is not there; return the file.

    Raises CatalogError where the folder has a row of the same model and GPU kind and ``replace`` is not set, and where
    its file cannot be read.
    """
    path = folder / FILE
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    kept, same = _without(text, profile, path)
    if same and not replace:
        raise CatalogError(
            f"{path}: a profile of {profile.model} on {profile.gpu} is there already; replace it (--replace) or write "
            "into another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text("\n\n".join([part for part in (kept.strip(), profile_row(profile).strip()) if part]) + "\n")
    beside.replace(path)
    return path


def _without(text: str, profile: Profile, path: Path) -> tuple[str, bool]:
    """Return the file's text without the row of the profile's model and GPU kind, and whether it had one."""
    head, *rows = ("\n" + text).split("\n" + HEADING)
    kept, same = [head], False
    for row in rows:
        try:
            found = tomllib.loads(row)
        except tomllib.TOMLDecodeError as error:
            raise CatalogError(f"{path} cannot be read ({error}); mend it or write into another folder.") from error
        if (found.get("model"), found.get("gpu")) == (profile.model, profile.gpu):
            same = True
        else:
            kept.append(row)
    return ("\n" + HEADING).join(kept), same


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if is_dataclass(value):
        parts = (f"{field.name} = {_toml(getattr(value, field.name))}" for field in fields(value))
        return "{ " + ", ".join(parts) + " }"
    if isinstance(value, float):
        return repr(value if value.is_integer() else float(f"{value:.5g}"))
    return json.dumps(value, ensure_ascii=False)
