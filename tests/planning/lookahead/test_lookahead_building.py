"""workbench.planning.lookahead.building, .rows, .columns and .serving: LP text per constraint, rows of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tests.planning.lookahead.golden_ahead import GOLDEN, case, texts
from workbench.planning.lookahead.building import build
from workbench.planning.lookahead.columns import BOUND_RATIO, LATE_RATIO, POOLED_RATIO, RESERVE_RATIO, columns
from workbench.planning.lookahead.constraints import CONSTRAINTS
from workbench.planning.lookahead.rows import axes_of, numbered, only_first, rows
from workbench.planning.lookahead.serving import unions

TEXTS = texts()


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_of_each_constraint_is_as_reviewed(name: str) -> None:
    assert TEXTS[name] == (GOLDEN / name).read_text(encoding="utf-8"), (
        "changed on purpose? python -m tests.planning.lookahead.golden_ahead, and review the difference"
    )


def test_every_constraint_has_rows_in_the_golden_case_and_no_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.glob("*.lp")} == set(TEXTS)
    ahead = case()
    chosen = columns(ahead)
    for constraint in CONSTRAINTS:
        assert sum(block.right.size for block in constraint(ahead, chosen)) > 0, constraint.__name__


def test_terms_are_stretched_to_one_shape() -> None:
    made = rows("r", (("a", "b"), ("x", "y", "z")), "<=", 5.0, [(numbered(2, 3), np.arange(3), 2.0)])
    assert made.labels[:4] == ["r|a|x", "r|a|y", "r|a|z", "r|b|x"]
    assert made.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert made.columns.tolist() == [0, 1, 2, 0, 1, 2]
    assert made.coefficients.tolist() == [2.0] * 6
    assert made.right.tolist() == [5.0] * 6


def test_rows_are_found_by_the_name_of_their_constraint() -> None:
    programme = build(case())
    stock = programme.rows_of("stock")
    assert [name.split("|")[0] for name in programme.matrix.row_names[stock]] == ["stock"] * 4
    assert programme.rows_of("no such") == slice(0, 0)


def test_what_goes_wrong_is_dearer_the_more_it_matters() -> None:
    assert BOUND_RATIO > POOLED_RATIO > LATE_RATIO > RESERVE_RATIO


def test_sets_of_regions_are_united_where_they_hang_together() -> None:
    first, second, bridge = frozenset({0, 1}), frozenset({2, 3}), frozenset({1, 2})
    assert unions((first, second)) == [first, second]
    assert set(unions((first, second, bridge))) == {
        first,
        second,
        bridge,
        first | bridge,
        second | bridge,
        first | second,
    }


def test_rows_are_named_along_axes_and_start_from_what_stands() -> None:
    assert axes_of(case(), "m", "r", "t") == (("m",), ("east", "west"), ("0", "1"))
    assert only_first(np.array([5.0, 6.0]), (2, 3)).tolist() == [[5.0, 0.0, 0.0], [6.0, 0.0, 0.0]]
