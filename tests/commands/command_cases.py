"""Calling the command line in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import workbench.__main__ as command_line


def call(*words: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["workbench", *map(str, words)])
    try:
        command_line.main()
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0
