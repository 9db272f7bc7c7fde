"""workbench.performance.steady: one replica solved by hand, and the balances that its closed forms must keep.

Invariants: completions equal arrivals; the gap between tokens is the iteration stretched by prefill; every slot is
taken, or every chunk full, at the largest rate; the sustained rate puts the signal at the fraction; more load never
lowers the signal; more KV room never lowers the rate.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.performance.performance_cases import MIX, SMALL, mixes, replicas, shares
from workbench import performance
from workbench.domain import Replica, TokenMix
from workbench.errors import ScenarioError


def test_the_steady_state_by_hand():
    # w = 0.11 + 100 x 1 ms = 0.21 s; at 2 requests/s rho = 0.42, B = 2 x 100 x 0.02 / 0.58, gap = 0.02 / 0.58
    load = performance.steady_state(SMALL, MIX, 2.0)
    assert load.work_fraction == pytest.approx(0.42)
    assert load.running == pytest.approx(4 / 0.58)
    assert load.itl_s == pytest.approx(0.02 / 0.58)
    assert load.iteration_s == pytest.approx(0.02 + 0.001 * 4 / 0.58)
    assert load.kv_cache_used_fraction == pytest.approx(4 / 0.58 * 1050 / 11_000)
    assert load.batch_slots_used_fraction == pytest.approx(0.4 / 0.58)
    assert (load.signal_fraction, load.binding) == (load.batch_slots_used_fraction, "kv_cache")
    assert not load.is_saturated


def test_the_largest_rate_by_hand_and_what_happens_beyond():
    # 10 slots: 10 / (100 x 0.02 + 0.21 x 10) = 2.439 requests/s
    assert performance.max_rps(SMALL, MIX) == pytest.approx(10 / 4.1)
    beyond = performance.steady_state(SMALL, MIX, 5.0)
    assert beyond.is_saturated
    assert beyond.running == pytest.approx(10)
    assert beyond.work_fraction == pytest.approx(1.05)
    assert beyond.batch_slots_used_fraction == pytest.approx(1)


def test_the_sustained_rate_by_hand():
    # 7 of 10 slots: 7 / (2 + 0.21 x 7); with a room for 100 requests work binds: 0.7 / 0.21
    load = performance.sustained(SMALL, MIX)
    assert (load.rps, load.binding) == (pytest.approx(7 / 3.47), "kv_cache")
    roomy = performance.sustained(replace(SMALL, kv_cache_tokens=110_000.0), MIX)
    assert (roomy.rps, roomy.binding) == (pytest.approx(0.7 / 0.21), "work")
    capped = performance.sustained(replace(SMALL, batch_cap=4), MIX)
    assert (capped.rps, capped.binding) == (pytest.approx(2.8 / (2 + 0.21 * 2.8)), "batch_slots")


def test_a_kv_signal_that_is_never_reached_stops_at_the_slots():
    small_batch = replace(SMALL, batch_cap=4)
    load = performance.sustained(small_batch, MIX, signal="kv_cache")
    assert load.rps == pytest.approx(performance.max_rps(small_batch, MIX))
    assert load.signal_fraction == pytest.approx(4 * 1050 / 11_000)
    assert load.binding == "batch_slots"
    reached = performance.sustained(SMALL, MIX, signal="kv_cache")
    assert (reached.signal_fraction, reached.binding) == (pytest.approx(0.7), "kv_cache")


def test_work_that_costs_nothing_never_binds():
    free = replace(SMALL, prefill_s=(0.02, 0.02, 0.02), decode_per_request_s=0.0)
    assert performance.sustained(free, MIX).binding == "kv_cache"


def test_bad_arguments_are_refused():
    with pytest.raises(ScenarioError, match="did you mean 'kv_cache'"):
        performance.sustained(SMALL, MIX, signal="kv_cach")
    with pytest.raises(ScenarioError, match="signal_fraction must lie in 0-1, got 70"):
        performance.sustained(SMALL, MIX, signal_fraction=70)
    with pytest.raises(ScenarioError, match="rps must be 0 or more"):
        performance.steady_state(SMALL, MIX, float("nan"))
    with pytest.raises(ScenarioError, match="model m has no token mix"):
        performance.rates([SMALL], {"n": MIX})


@settings(deadline=None)
@given(kind=replicas, mix=mixes, share=shares)
def test_completions_equal_arrivals_and_prefill_stretches_the_iteration(kind: Replica, mix: TokenMix, share: float):
    rps = share * performance.max_rps(kind, mix)
    load = performance.steady_state(kind, mix, rps)
    assert load.running / (mix.output_tokens * load.itl_s) == pytest.approx(rps)
    prefill_share = rps * performance.prompt_s_per_token(kind, mix.input_tokens) * mix.input_tokens
    assert load.itl_s * (1 - prefill_share) == pytest.approx(load.iteration_s)


@settings(deadline=None)
@given(kind=replicas, mix=mixes)
def test_every_slot_is_taken_at_the_largest_rate(kind: Replica, mix: TokenMix):
    load = performance.steady_state(kind, mix, performance.max_rps(kind, mix))
    assert load.running == pytest.approx(performance.slots(kind, mix))
    assert load.signal_fraction == pytest.approx(1)
    assert not load.is_saturated


@settings(deadline=None)
@given(kind=replicas, mix=mixes, fraction=shares, signal=st.sampled_from(["largest", "kv_cache"]))
def test_the_sustained_rate_puts_the_signal_at_the_fraction(kind: Replica, mix: TokenMix, fraction: float, signal: str):
    load = performance.sustained(kind, mix, signal_fraction=fraction, signal=signal)
    is_capped = load.rps == pytest.approx(performance.max_rps(kind, mix))
    assert load.signal_fraction == pytest.approx(fraction) or (is_capped and load.signal_fraction < fraction)
    assert load.rps <= performance.max_rps(kind, mix) * (1 + 1e-9)


@settings(deadline=None)
@given(kind=replicas, mix=mixes, low=st.floats(0, 2), more=st.floats(0, 2))
def test_more_load_never_lowers_the_signal(kind: Replica, mix: TokenMix, low: float, more: float):
    largest = performance.max_rps(kind, mix)
    for signal in ("largest", "kv_cache"):
        light = performance.steady_state(kind, mix, low * largest, signal=signal)
        heavy = performance.steady_state(kind, mix, (low + more) * largest, signal=signal)
        assert heavy.signal_fraction >= light.signal_fraction * (1 - 1e-9)


@settings(deadline=None)
@given(kind=replicas, mix=mixes, factor=st.floats(1, 10))
def test_more_kv_room_never_lowers_the_rate(kind: Replica, mix: TokenMix, factor: float):
    roomy = replace(kind, kv_cache_tokens=kind.kv_cache_tokens * factor)
    for signal in ("largest", "kv_cache"):
        before = performance.sustained(kind, mix, signal=signal).rps
        assert performance.sustained(roomy, mix, signal=signal).rps >= before * (1 - 1e-9)
