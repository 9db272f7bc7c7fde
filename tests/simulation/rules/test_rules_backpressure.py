"""workbench.simulation.rules.backpressure by hand: sageserve.md section 7.3 with a dead band and our own rates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.simulation_cases import MIX, replica
from workbench import performance
from workbench.domain import Policy
from workbench.simulation import rules as r

CHIRON = r.rules_of(Policy(key="c", label="c", siloed=True, mixed_share=0.25, scale_by="back_pressure"))


def press(busy: float, *, ready: int, held: int | None = None, own: int = 10, floor_ready: int | None = None) -> int:
    """A pool of ``own`` replicas, all ready, in a pair of ``ready``."""
    kept = own if floor_ready is None else floor_ready
    return int(r.pressure_step(CHIRON, busy, ready, held or ready, own, own, kept, kept, True))


def batch(queued: float, left_s: float, *, each: float = 0.5, ready: int = 4, starting: int = 0) -> int:
    held = ready + starting
    return int(r.batch_step(CHIRON, queued, left_s, each, each * ready, each * held, ready, held, ready, held))


def test_over_six_tenths_of_both_pools_busy_one_is_added_under_four_tenths_one_is_taken() -> None:
    assert press(18.1, ready=30) == 1
    assert press(18.0, ready=30) == 0
    assert press(12.0, ready=30) == 0
    assert press(11.9, ready=30) == -1


def test_replicas_that_are_starting_count_before_more_are_added() -> None:
    assert press(18.1, ready=30, held=31) == 0


def test_the_floor_of_two_holds_for_each_pool() -> None:
    assert press(0.0, ready=5, own=2) == 0
    assert press(0.0, ready=5, own=3) == -1
    assert press(0.0, ready=5, own=1) == 1


def test_the_smallest_pair_does_not_flap() -> None:
    """Five replicas under 0.4: the four that stay are at most half busy, so none comes back."""
    assert press(1.99, ready=5, own=3) == -1
    assert press(1.99, ready=4, own=2) == 0


@settings(deadline=None)
@given(busy=st.floats(0, 60), ready=st.integers(5, 60))
def test_what_one_step_does_the_next_does_not_undo(busy: float, ready: int) -> None:
    change = press(busy, ready=ready, own=ready - 2)
    after = press(busy, ready=ready + change, own=ready - 2 + change)
    assert change * after >= 0


def test_a_pool_that_never_had_a_replica_grows_only_when_wanted() -> None:
    none = r.rules_of(Policy(key="c", label="c", siloed=True, scale_by="back_pressure", floor_replicas=0))
    assert r.pressure_step(none, 0.0, 4, 4, 0, 0, 0, 0, False) == 0
    assert r.pressure_step(none, 0.0, 4, 4, 0, 0, 0, 0, True) == 1
    assert r.batch_step(none, 0.0, r.NEVER, 0.5, 0.0, 0.0, 0, 0, 0, 0) == 0
    assert r.batch_step(none, 1.0, 60.0, 0.5, 0.0, 0.0, 0, 0, 0, 0) == 1


def test_a_queue_that_takes_longer_than_its_oldest_request_has_adds_one() -> None:
    """Four replicas at half a request a second drain 7,200 an hour."""
    assert batch(7201.0, 3600.0) == 1
    assert batch(7200.0, 3600.0) == 0
    assert batch(7201.0, 3600.0, starting=1) == 0
    assert batch(1.0, 0.0) == 1  # past its deadline


def test_one_is_taken_where_the_others_need_less_than_half_of_what_is_left() -> None:
    """Three replicas drain 5,400 an hour."""
    assert batch(2699.0, 3600.0) == -1
    assert batch(2700.0, 3600.0) == 0
    assert batch(0.0, r.NEVER) == -1
    assert batch(0.0, r.NEVER, ready=2) == 0


@settings(deadline=None)
@given(queued=st.floats(0, 1e6), left_s=st.floats(1, 1e5), ready=st.integers(3, 50), each=st.floats(0.01, 10))
def test_a_batch_step_is_not_undone_by_the_next(queued: float, left_s: float, ready: int, each: float) -> None:
    change = batch(queued, left_s, each=each, ready=ready)
    assert change * batch(queued, left_s, each=each, ready=ready + change) >= 0


def test_the_rate_of_a_filled_replica_is_that_of_the_performance_model() -> None:
    """Where work is the limit, fill / work seconds; filled to the last slot, the greatest rate there is."""
    one = replica()
    held, reserved = MIX.kv_held_tokens, MIX.kv_reserved_tokens
    prompt_s = performance.prompt_s_per_token(one, MIX.input_tokens) * MIX.input_tokens
    work_s = prompt_s + MIX.output_tokens * (one.decode_per_request_s + one.decode_per_token_s * held)
    decode_s = MIX.output_tokens * one.decode_base_s

    def rate(fill: float) -> float:
        return float(r.drain_rps(fill, one.batch_cap, one.kv_cache_tokens, held, reserved, work_s, decode_s))

    assert rate(0.85) == pytest.approx(0.85 / work_s)
    assert rate(1.0) == pytest.approx(performance.max_rps(one, MIX), rel=1e-3)
    assert rate(0.6) == pytest.approx(performance.sustained(one, MIX, signal_fraction=0.6).rps, rel=1e-3)


def test_busy_replicas_by_hand() -> None:
    def busy(ready: float, inside: float, share: float) -> float:
        return float(r.busy_replicas(ready, inside, min(inside, ready), share))

    assert busy(10.0, 6.0, 1.0) == pytest.approx(6.0)  # six requests on ten idle replicas: one each
    assert busy(10.0, 40.0, 1.0) == pytest.approx(10.0)
    assert busy(10.0, 6.0, 0.5) == pytest.approx(3.0)
    assert busy(10.0, 20.0, 0.5) == pytest.approx(10.0 * (1.0 - 0.25))  # two each, none interactive on a quarter
    assert busy(10.0, 25.0, 0.5) == pytest.approx(10.0 * (1.0 - 0.5 * 0.25 - 0.5 * 0.125))
    assert busy(10.0, 1000.0, 0.02) == pytest.approx(10.0 * (1.0 - math.exp(-2.0)), rel=0.01)
    assert busy(0.0, 5.0, 1.0) == 0.0
    assert busy(10.0, 0.0, 1.0) == 0.0


@settings(deadline=None)
@given(ready=st.integers(1, 50), inside=st.floats(0, 500), share=st.floats(0, 1))
def test_busy_replicas_are_never_more_than_replicas_or_interactive_requests(
    ready: int, inside: float, share: float
) -> None:
    busy = r.busy_replicas(float(ready), inside, min(inside, float(ready)), share)
    assert -1e-9 <= busy <= min(float(ready), inside * share) * (1 + 1e-9) + 1e-9


def test_a_look_counts_whole_until_one_mean_time_has_passed() -> None:
    assert r.mean_weight(CHIRON, 110.0, 10.0) == 1.0
    assert r.mean_weight(CHIRON, 120.0, 10.0) == pytest.approx(1.0 / 12.0)
    assert r.mean_weight(CHIRON, 600.0, 300.0) == 1.0
    at_once = r.rules_of(Policy(key="c", label="c", pressure_mean_s=0.0))
    assert r.mean_weight(at_once, 0.0, 10.0) == 1.0
