"""A cut must hold for every whole plan, and break what it was made for."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_cases import problem

from workbench.planning.cutting import broken_cuts
from workbench.planning.problem import Problem

POOL = ("east", "m")


def one_pool(need: float, theta: tuple[float, ...], now: tuple[int, ...]) -> Problem:
    kinds = [f"g{place}" for place in range(len(theta))]
    return problem(
        now={("east", "m", kind): count for kind, count in zip(kinds, now, strict=True)},
        demand={POOL: need},
        theta={("m", kind): tps for kind, tps in zip(kinds, theta, strict=True)},
    )


def test_one_kind_is_rounded_up() -> None:
    """150 tokens/s at 100 a replica: one and a half started is cut off by started >= 2."""
    given_problem = one_pool(150.0, (100.0,), (0,))
    (place,) = given_problem.places
    (cut,) = broken_cuts(given_problem, started={place: 1.5}, removed={place: 0.0}, local_gap={POOL: 0.0})
    assert cut.started.tolist() == [1.0]
    assert cut.at_least == 2.0
    assert cut.activity(np.array([1.5]), np.array([0.0]), 0.0) == 1.5


def test_what_is_removed_is_rounded_down() -> None:
    """Five stand, two are needed: 3.5 removed is cut off by removed <= 3."""
    given_problem = one_pool(150.0, (100.0,), (5,))
    (place,) = given_problem.places
    (cut,) = broken_cuts(given_problem, started={place: 0.0}, removed={place: 3.5}, local_gap={POOL: 0.0})
    assert cut.removed[0] == -cut.started[0]
    assert cut.activity(np.array([0.0]), np.array([3.0]), 0.0) >= cut.at_least - 1e-9
    assert cut.activity(np.array([0.0]), np.array([3.5]), 0.0) < cut.at_least


def test_a_whole_plan_breaks_nothing() -> None:
    given_problem = one_pool(150.0, (100.0,), (0,))
    (place,) = given_problem.places
    assert broken_cuts(given_problem, started={place: 2.0}, removed={place: 0.0}, local_gap={POOL: 0.0}) == []


def test_a_part_of_a_rate_finds_what_the_rates_leave() -> None:
    """50 a + 20 b >= 60: whole plans have 2 a + b >= 3, the row divided by 25 and rounded, which no rate gives."""
    given_problem = one_pool(60.0, (50.0, 20.0), (0, 0))
    values = {
        "started": dict(zip(given_problem.places, (0.6, 1.5), strict=True)),
        "removed": dict.fromkeys(given_problem.places, 0.0),
        "local_gap": {POOL: 0.0},
    }
    assert broken_cuts(given_problem, **values) == []
    (cut,) = broken_cuts(given_problem, **values, parts=(1.0, 0.5))
    assert (cut.started.tolist(), cut.at_least) == ([2.0, 1.0], 3.0)


@settings(deadline=None, max_examples=60)
@given(
    theta=st.tuples(st.integers(20, 300), st.integers(20, 300)),
    now=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    need=st.integers(1, 900),
    started=st.tuples(*[st.floats(0, 4)] * 2),
    share=st.tuples(*[st.floats(0, 1)] * 2),
    gap=st.sampled_from([0.0, 60.0]),
    parts=st.sampled_from([(1.0,), (0.5,), (1 / 3, 2.0)]),
)
def test_every_whole_plan_keeps_every_cut(
    theta: tuple[int, int],
    now: tuple[int, int],
    need: int,
    started: tuple[float, float],
    share: tuple[float, float],
    gap: float,
    parts: tuple[float, ...],
) -> None:
    """All plans of up to 12 started of each kind and any removal that cover the need, with and without a gap."""
    given_problem = one_pool(float(need), (float(theta[0]), float(theta[1])), now)
    removed = {place: part * count for place, part, count in zip(given_problem.places, share, now, strict=True)}
    cuts = broken_cuts(
        given_problem,
        started=dict(zip(given_problem.places, started, strict=True)),
        removed=removed,
        local_gap={POOL: 0.0},
        parts=parts,
    )
    moves = itertools.product(range(13), range(13), range(now[0] + 1), range(now[1] + 1))
    for up_0, up_1, down_0, down_1 in moves:
        able = theta[0] * (now[0] + up_0 - down_0) + theta[1] * (now[1] + up_1 - down_1)
        if able + gap < need:
            continue
        for cut in cuts:
            left = cut.activity(np.array([up_0, up_1]), np.array([down_0, down_1]), gap)
            assert left >= cut.at_least - 1e-6
