"""workbench.planning.explaining.surcharging: what a surcharge proves, against the programme with its limit as a row."""

from __future__ import annotations

import time

import numpy as np
import pulp
import pytest
from numpy.typing import NDArray

from tests.planning.lookahead.lookahead_worlds import world
from workbench.planning.explaining.surcharging import Search, search_within, with_fewest
from workbench.planning.handover import to_pulp
from workbench.planning.lookahead import LookAhead, outlook, solve_outlook
from workbench.planning.lookahead.solving import PRICED_GAPS

SLACK = 0.02


def searched(seed: int, *, time_s: float = 60.0) -> Search | None:
    """Return the search of a small world, of which only the first hour is whole."""
    small = world(2, 3, 2, 12, seed=seed, replicas_per_pool=3.0)
    ahead = outlook(small.requirement, fleet=small.fleet, rates=small.rates, options=LookAhead(integer_hours=1))
    return search_within(solve_outlook(ahead, gap_fraction=0.0), SLACK, time.perf_counter() + time_s)


def fewest_by_row(search: Search, is_meant: NDArray[np.bool_]) -> float:
    """Return the least mean GPUs of some keys in fractions, the limit of cost being a row."""
    ahead, columns = search.programme.outlook, search.programme.columns
    handed = to_pulp(search.programme.matrix)
    programme, variables = handed.programme, handed.variables
    programme += programme.objective <= search.limit_usd
    programme.setObjective(
        pulp.lpSum(
            ahead.place_gpus[place] / ahead.windows * variables[column]
            for place in np.flatnonzero(is_meant[ahead.place_key])
            for column in columns.replicas[place]
        )
    )
    programme.solve(pulp.HiGHS(msg=False, mip=False))
    return float(pulp.value(programme.objective))


@pytest.mark.parametrize("seed", [1, 3])
def test_what_a_surcharge_proves_is_nearly_what_the_limit_as_a_row_allows(seed: int) -> None:
    search = searched(seed)
    assert search is not None
    assert search.limit_usd == pytest.approx(search.best.objective_usd * (1.0 + SLACK), rel=0.01)
    region = np.array([key[0] == "region0" for key in search.programme.outlook.keys])
    for is_meant in (region, ~region):
        solved, least_gpus = with_fewest(search, is_meant)
        assert solved is not None
        assert least_gpus is not None
        fewest = fewest_by_row(search, is_meant)
        assert least_gpus <= fewest + 1e-6
        assert least_gpus == pytest.approx(fewest, abs=0.02 * fewest + 0.05)
        assert solved.objective_usd <= search.limit_usd * (1.0 + 1e-9)


def test_no_gap_may_grow_and_nothing_more_be_left_over() -> None:
    search = searched(1)
    assert search is not None
    upper, values = search.programme.matrix.upper, search.best.values
    gaps = [block.index.ravel() for block in search.programme.columns.blocks if block.name in PRICED_GAPS]
    for closed in (*gaps, search.programme.columns.waiting[..., -1].ravel()):
        assert np.all(upper[closed] <= values[closed] + 1e-9)


def test_without_time_there_is_no_search() -> None:
    assert searched(1, time_s=0.0) is None
