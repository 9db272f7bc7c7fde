"""Scaling by arrivals, workbench.simulation.rules.staffing: replicas for a load and spare ones by its root."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.domain import Policy
from workbench.simulation import rules as r

#: A load of 4 replicas is staffed with 4 / 0.8 + 1 x 2 = 7 at least and 4 / 0.8 + 1.5 x 2 = 8 at most.
RULES = r.rules_of(
    Policy(key="a", label="a", scale_by="arrivals", staffed_load_fraction=0.8, spare_ratio=1.0, spare_in_ratio=1.5)
)


def step(
    load: float, held: int, *, ready: int | None = None, budget: int = 0, is_full: bool = False, rules: r.Rules = RULES
) -> int:
    own = held if ready is None else ready
    return int(r.arrivals_step(rules, load, is_full, own, own, held, budget))


def test_a_large_pool_has_the_smaller_share_of_spare_replicas() -> None:
    assert [r.staffed(RULES, load, 1.0) for load in (0.0, 1.0, 4.0, 64.0)] == pytest.approx([0.0, 2.25, 7.0, 88.0])


@pytest.mark.parametrize(
    ("held", "budget", "change"),
    [
        (6, 0, 1),  # under the least
        (7, 0, 0),
        (8, 0, 0),
        (9, 0, -1),  # the eight that stay are the most
        (6, -3, 1),  # a plan that is too low gives way
        (9, 3, -1),  # and one that is too high
        (7, 1, 1),  # between the two the plan decides
        (8, 1, 0),
        (8, -1, -1),
        (7, -1, 0),
    ],
)
def test_load_decides_at_both_ends_and_the_plan_between_them(held: int, budget: int, change: int) -> None:
    assert step(4.0, held, budget=budget) == change


def test_what_is_starting_counts_and_cannot_be_taken() -> None:
    assert step(4.0, 7, ready=3) == 0
    assert step(4.0, 9, ready=0) == 0


def test_a_full_pool_grows_whatever_arrives() -> None:
    assert step(0.0, 5, is_full=True) == 1


def test_without_arrivals_the_floor_is_left() -> None:
    assert [step(0.0, held) for held in (1, 2, 3)] == [1, 0, -1]


@settings(deadline=None, max_examples=80)
@given(
    load=st.floats(0, 500),
    held=st.integers(0, 600),
    starting=st.integers(0, 5),
    budget=st.integers(-20, 20),
    floor=st.integers(0, 4),
)
def test_no_step_leaves_less_than_floor_and_least_or_is_undone_by_the_next(
    load: float, held: int, starting: int, budget: int, floor: int
) -> None:
    rules = RULES._replace(floor=floor)
    ready = max(held - starting, 0)
    change = step(load, held, ready=ready, budget=budget, rules=rules)
    if change < 0:
        assert ready - 1 >= floor
        assert held - 1 >= r.staffed(rules, load, rules.spare)
    if change != 0:
        left = budget - change if budget * change > 0 else budget
        is_back = left * change < 0  # only a plan that asks for the opposite takes a step back
        assert is_back or step(load, held + change, ready=max(ready + min(change, 0), 0), budget=left, rules=rules) in (
            0,
            change,
        )
