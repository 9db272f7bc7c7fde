"""What a person reads when something is wrong: the nearest known word, and all findings of one pass together."""

from __future__ import annotations

import inspect

import pytest

from workbench import errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.WorkbenchError) and kind is not errors.WorkbenchError
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_caught_as_one(kind: type[errors.WorkbenchError]) -> None:
    with pytest.raises(errors.WorkbenchError, match=r"^what, where, what to do\.$"):
        raise kind("what, where, what to do.")


def test_mistakes_in_values_are_value_errors_too() -> None:
    assert {kind.__name__ for kind in KINDS if issubclass(kind, ValueError)} == {
        "CatalogError",
        "ScenarioError",
        "TableError",
    }


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("horizn", ["seed", "horizon"], "did you mean 'horizon'? known: horizon, seed"),
        ("h100", ["h100_80gb", "a100_80gb"], "did you mean 'h100_80gb'? known: a100_80gb, h100_80gb"),
        ("zzz", ["seed", "horizon"], "known: horizon, seed"),
        ("day", ["today", "daytime", "days"], "did you mean 'days' or 'daytime'? known: days, daytime, today"),
        ("anything", [], "known: none"),
    ],
)
def test_nearest(word: str, known: list[str], expected: str) -> None:
    assert errors.nearest(word, known) == expected


def test_nearest_reads_any_iterable_once() -> None:
    assert errors.nearest("seeds", iter({"seed": 1, "title": 2})) == "did you mean 'seed'? known: seed, title"


def test_together_keeps_one_finding_on_its_line_and_lists_several() -> None:
    assert errors.together(["a is wrong"]) == "a is wrong"
    several = errors.together(finding for finding in ("a is wrong", "b is missing"))
    assert [line.strip() for line in several.strip().splitlines()] == ["- a is wrong", "- b is missing"]
