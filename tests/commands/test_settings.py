"""One way to read --set for every verb: workbench.commands.settings."""

from __future__ import annotations

import pytest

from workbench.commands.settings import setting
from workbench.errors import ScenarioError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("demand.scale=4", ("demand.scale", 4)),
        ("tiers.fast=0.5", ("tiers.fast", 0.5)),
        ("baseline=siloed", ("baseline", "siloed")),
        ("title=a=b", ("title", "a=b")),
        ('models=["a", "b"]', ("models", ["a", "b"])),
        ("note=", ("note", "")),
    ],
)
def test_a_value_is_toml_or_text(text: str, expected: tuple[str, object]) -> None:
    assert setting(text, example="demand.scale=4") == expected


@pytest.mark.parametrize("text", ["", "demand.scale", "=4"])
def test_what_is_no_pair_is_an_error_with_the_example(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"--set takes KEY=VALUE such as demand\.scale=4, got"):
        setting(text, example="demand.scale=4")
