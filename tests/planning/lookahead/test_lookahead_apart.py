"""Models planned apart at prices: workbench.planning.lookahead.apart and workbench.planning.lookahead.dividing."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.planning.lookahead.lookahead_worlds import world
from workbench.planning.checking_ahead import check_ahead
from workbench.planning.handover import to_pulp
from workbench.planning.lookahead import LookAhead, Outlook, outlook, plan_ahead
from workbench.planning.lookahead.apart import divide, is_divisible, shared_prices, shared_rows, solve_apart
from workbench.planning.lookahead.building import Programme, build
from workbench.planning.lookahead.dividing import columns_of_model, in_longer_windows, of_model, of_windows
from workbench.planning.lookahead.sessions import Session, is_acceptable

KEYS = [(f"region{r}", f"gpu{g}") for r in range(2) for g in range(2)]
CHOICES: dict[str, dict[str, object]] = {
    "plain": {},
    "spot": {
        "spot_gpus": dict.fromkeys(KEYS, 24.0),
        "spot_usd_per_gpu_hour": dict.fromkeys(KEYS, 0.5),
        "interactive_on_spot_fraction": 0.3,
    },
    "quota": {"quota_gpus": dict.fromkeys(KEYS, 160)},
    "reserve": {"lost_region_fraction": 0.4, "starts_per_window": 3},
}


def laid_out(hours: int = 8, *, seed: int = 1, **chosen: object) -> Outlook:
    made = world(3, 2, 2, hours, seed=seed, replicas_per_pool=5.0)
    options = LookAhead(integer_hours=1.0, **chosen)  # type: ignore[arg-type]
    return outlook(made.requirement, fleet=made.fleet, rates=made.rates, options=options)


def relaxed_usd(programme: Programme) -> float:
    session = Session(programme.matrix, to_pulp(programme.matrix), whole=False, threads=1)
    found = session.run(time_limit_s=60.0)
    assert found is not None
    assert found.is_proven
    return found.objective


def test_models_alone_have_every_column_of_the_whole_once() -> None:
    whole = build(laid_out(spot_gpus=CHOICES["spot"]["spot_gpus"], spot_usd_per_gpu_hour=dict.fromkeys(KEYS, 1.0)))
    seen = np.zeros(whole.matrix.cost.size, dtype=int)
    for model in range(3):
        alone = build(of_model(whole.outlook, model))
        at = columns_of_model(whole.outlook, whole.columns, model)
        for block in alone.columns.blocks:
            if block.index.size:
                seen[at[block.name]] += 1
                assert whole.matrix.cost[at[block.name]] == pytest.approx(alone.matrix.cost[block.index])
                assert whole.matrix.upper[at[block.name]] == pytest.approx(alone.matrix.upper[block.index])
    assert (seen == 1).all()


def test_longer_windows_hold_the_same_work_and_the_last_spans_the_rest() -> None:
    fine = laid_out(10)
    coarse = in_longer_windows(fine, 4)
    assert coarse.windows == 3
    assert coarse.starts == fine.starts[::4]
    sizes = np.array([4, 4, 2])
    for name in ("bound", "pooled", "arriving"):
        assert (getattr(coarse, name) * sizes).sum(axis=2) == pytest.approx(getattr(fine, name).sum(axis=2))
    last = fine.not_due[:, :, [3, 7, 9]] * fine.window_s
    assert coarse.not_due * coarse.window_s == pytest.approx(last)
    assert coarse.hold_usd[:, 0] == pytest.approx(fine.hold_usd[:, :4].sum(axis=1))


def test_the_first_windows_of_a_plan_cost_no_more_when_planned_anew() -> None:
    programme = build(laid_out())
    session = Session(programme.matrix, to_pulp(programme.matrix), whole=False, threads=1)
    found = session.run(time_limit_s=60.0)
    assert found is not None
    first, columns = of_windows(programme, found.values, slice(0, 3))
    later = np.ones(programme.matrix.cost.size, dtype=bool)
    later[columns] = False
    kept = float(programme.matrix.cost[later] @ found.values[later])
    assert relaxed_usd(first) + kept == pytest.approx(found.objective)
    assert first.columns.replicas.shape == (programme.columns.replicas.shape[0], 3)


@pytest.mark.parametrize("name", CHOICES)
def test_bound_and_plan_hold_the_relaxation_between_them(name: str) -> None:
    programme = build(laid_out(**CHOICES[name]))
    found = solve_apart(divide(programme), gap_fraction=0.005, deadline_s=time.perf_counter() + 60.0)
    assert found is not None
    assert is_acceptable(programme.matrix, found.values)
    exact = relaxed_usd(programme)
    assert found.bound <= exact * (1 + 1e-6)
    assert found.bound >= 0.9 * exact
    assert found.objective >= exact * (1 - 1e-6)


@given(seed=st.integers(0, 10_000), dearer=st.floats(0.0, 3.0))
@settings(max_examples=5, deadline=None)
def test_any_prices_give_a_bound(seed: int, dearer: float) -> None:
    programme = build(laid_out(6, seed=seed))
    divided = divide(programme)
    prices = shared_prices(divided, deadline_s=math.inf)
    assert prices is not None
    assert (prices >= 0).all()
    assert prices.size == shared_rows(programme).size
    exact = relaxed_usd(programme)
    for part in divided.parts:
        part.session.limit(part.shared, np.full(part.shared.size, np.inf))
    asked = prices * dearer
    bound = -float(asked @ divided.allowed)
    for part in divided.parts:
        matrix = part.programme.matrix
        of_row = np.zeros(matrix.right.size)
        of_row[part.shared] = asked
        paid = np.zeros(matrix.cost.size)
        np.add.at(paid, matrix.columns, np.repeat(of_row, np.diff(matrix.starts)) * matrix.coefficients)
        part.session.price(np.arange(paid.size), matrix.cost + paid)
        alone = part.session.run(time_limit_s=60.0)
        assert alone is not None
        bound += alone.bound
    assert bound <= exact * (1 + 1e-6)


def test_three_days_are_planned_apart_and_passes_the_check() -> None:
    made = world(4, 3, 3, 72)
    options = LookAhead(integer_hours=1.0)
    assert is_divisible(build(outlook(made.requirement, fleet=made.fleet, rates=made.rates, options=options)))
    plan = plan_ahead(made.requirement, fleet=made.fleet, rates=made.rates, options=options, gap_fraction=0.005)
    assert plan.status == "optimal"
    assert plan.gap_fraction is not None
    assert plan.gap_fraction <= 0.005
    found = check_ahead(plan, requirement=made.requirement, fleet=made.fleet, rates=made.rates, options=options)
    assert found.is_empty()


def test_what_models_share_beside_gpus_keeps_them_together() -> None:
    made = world(4, 3, 3, 72)
    for chosen in (LookAhead(), LookAhead(integer_hours=1.0, budget_usd=1e9)):
        ahead = outlook(made.requirement, fleet=made.fleet, rates=made.rates, options=chosen)
        assert not is_divisible(build(ahead))
    assert not is_divisible(build(laid_out()))


def test_no_time_gives_no_plan() -> None:
    divided = divide(build(laid_out(24)))
    assert solve_apart(divided, gap_fraction=0.005, deadline_s=time.perf_counter() - 1.0) is None
