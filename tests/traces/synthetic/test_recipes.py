"""workbench.traces.synthetic.recipes: a few words or a file become a workload, and a misspelt key is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from workbench.errors import TraceError
from workbench.traces.synthetic import Burst, Recipe, parse_burst, parse_growth, published, read_recipe, recipe_of


def test_bursts_in_words() -> None:
    assert parse_burst("3x20min/6h") == Burst(ratio=3.0, minutes=20.0, every_h=6.0)
    assert parse_burst(" 1.5x5min/0.5h@2h ") == Burst(ratio=1.5, minutes=5.0, every_h=0.5, first_h=2.0)
    assert parse_burst("3x20min/~6h@2h") == Burst(ratio=3.0, minutes=20.0, every_h=6.0, first_h=2.0, is_random=True)
    for text in ("3x20/6h", "3 times", "x20min/6h", "3..1x20min/6h"):
        with pytest.raises(TraceError, match="burst: found"):
            parse_burst(text)


def test_growth_in_words() -> None:
    assert parse_growth("5%/week") == pytest.approx(0.05)
    assert parse_growth("-0.1/week") == pytest.approx(-0.1)
    assert (1 + parse_growth("100%/month")) ** (365.25 / 7) == pytest.approx(2**12)
    for text in ("5%", "5%/day", "lots/week", "-100%/week", "1.2.3%/week"):
        with pytest.raises(TraceError, match="growth: found"):
            parse_growth(text)


def test_a_recipe_file_says_what_the_command_line_says(tmp_path: Path) -> None:
    path = tmp_path / "busy.toml"
    path.write_text(
        'requests = 10_000_000\nstart = 2025-07-09T00:00:00\ngrowth = "5%/week"\nbursts = ["3x20min/6h"]\n'
        "[tiers]\nnon_interactive = 0.5\n"
    )
    recipe = recipe_of(read_recipe(path), source=path.name)
    words = {"requests": 1e7, "start": "2025-07-09", "growth": "5%/week", "bursts": "3x20min/6h"}
    assert recipe == recipe_of(words | {"tiers.non_interactive": 0.5}, source="words")
    assert recipe.start == datetime(2025, 7, 9)
    workload = recipe.of(published())
    assert workload.shares("tier")["non_interactive"] == pytest.approx(0.5)
    assert workload.growth_per_week == pytest.approx(0.05)
    assert workload.bursts == (Burst(ratio=3.0, minutes=20.0, every_h=6.0),)


def test_an_empty_recipe_changes_nothing() -> None:
    assert Recipe().of(published()) == published()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"request": 5}, "unknown key request; did you mean 'requests'"),
        ({"requests": "many"}, "requests must be a number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"tiers": {"a": "b"}}, "tiers must be shares by key"),
        ({"bursts": 3}, "bursts must be texts"),
        ({"growth": 0.05}, "growth must be a text"),
        ({"start": "tomorrow"}, "start must be an instant"),
        ({"start": "2025-07-09T00:00+02:00"}, "without a time zone"),
        ({"requests": 5, "rps": 1}, "exclude each other"),
        ({"requests": -5}, "requests must be positive"),
        ({"days": 0}, "days must be positive"),
        ({"noise": -1}, "noise must be zero or more"),
    ],
)
def test_a_wrong_recipe_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        recipe_of(values, source="recipe.toml")


def test_a_recipe_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("requests = many")
    with pytest.raises(TraceError, match=r"bad\.toml: the recipe cannot be read"):
        read_recipe(tmp_path / "bad.toml")
