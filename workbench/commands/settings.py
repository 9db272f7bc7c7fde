"""How ``--set KEY=VALUE`` of any verb is read: the value as in a TOML file, or as text where it is none."""

from __future__ import annotations

import tomllib
from typing import Any

from workbench.errors import ScenarioError


def setting(text: str, *, example: str) -> tuple[str, Any]:
    """Return the key and the value of one ``--set``.

    Raises ScenarioError with the example where there is no key or no sign of equality.

    >>> setting("demand.scale=4", example="demand.scale=4"), setting("baseline=siloed", example="demand.scale=4")
    (('demand.scale', 4), ('baseline', 'siloed'))
    """
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ScenarioError(f"--set takes KEY=VALUE such as {example}, got {text!r}.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
