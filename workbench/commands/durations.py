"""How lengths of time are written on the command line: 90s, 15min, 1h, 7d, and several of them with commas."""

from __future__ import annotations

import re

from workbench.errors import ScenarioError

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)")


def duration_s(text: str) -> float:
    """Return the seconds of a length of time.

    Raises ScenarioError where it is none.

    >>> duration_s("15min"), duration_s("1.5h"), duration_s("7d")
    (900.0, 5400.0, 604800.0)
    """
    found = DURATION.fullmatch(text.strip())
    if not found or not float(found[1]) > 0:
        raise ScenarioError(f"{text!r} is no length of time; write a number and s, min, h or d, such as 15min or 7d.")
    return float(found[1]) * SECONDS[found[2]]


def durations_s(text: str) -> tuple[float, ...]:
    """Return the seconds of several lengths of time with commas between them."""
    return tuple(duration_s(part) for part in text.split(","))
