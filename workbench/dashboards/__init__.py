"""Dashboards: choices, what they lead to, and the widgets that show both.

``what_if`` is imported when it is first asked for, because the widgets and the plot library take a second to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.dashboards.app import what_if

__all__ = ["what_if"]


def __getattr__(name: str) -> object:
    if name == "what_if":
        from workbench.dashboards.app import what_if

        return what_if
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
