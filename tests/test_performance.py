"""One replica, solved by hand, and the balances that its closed forms must keep for any replica and mix.

Invariants: completions equal arrivals; the gap between tokens is the iteration stretched by prefill; every slot is
taken at the largest rate; the sustained rate puts the signal at the fraction; more load never lowers the signal; more
KV room never lowers the rate.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import catalog, performance
from workbench.domain import Replica, TokenMix
from workbench.errors import CatalogError, ScenarioError

KNOWN = catalog.load()
LLAMA = KNOWN.model("llama2_70b")
H100 = KNOWN.gpu("h100_80gb")
PROFILE = KNOWN.profile("llama2_70b", "h100_80gb")

# prefill 30 ms + 0.1 ms per token to 2,000 tokens, then 0.2 ms; decode 20 ms + 1 ms per request; room for 11,000 tokens
SMALL = Replica(
    model="m",
    gpu="g",
    gpus=1,
    prefill_tokens=(1000.0, 2000.0, 3000.0),
    prefill_s=(0.13, 0.23, 0.43),
    decode_base_s=0.02,
    decode_per_request_s=0.001,
    decode_per_token_s=0.0,
    kv_cache_tokens=11_000.0,
    batch_cap=512,
)
MIX = TokenMix(input_tokens=1000, output_tokens=100)

replicas = st.builds(
    lambda base, per_request, per_token, room, cap, slope, bend: replace(
        SMALL,
        prefill_s=(base + 1000 * slope, base + 2000 * slope, base + (2000 + 1000 * bend) * slope),
        decode_base_s=base,
        decode_per_request_s=per_request,
        decode_per_token_s=per_token,
        kv_cache_tokens=room,
        batch_cap=cap,
    ),
    st.floats(0.002, 0.1),
    st.floats(0.0, 1e-3),
    st.floats(1e-9, 1e-6),
    st.floats(2e4, 5e6),
    st.integers(4, 1024),
    st.floats(1e-6, 5e-4),
    st.floats(1.0, 3.0),
)
mixes = st.builds(
    lambda prompt, output, square, cross: TokenMix(
        input_tokens=prompt, output_tokens=output, output_square_ratio=square, cross_ratio=cross
    ),
    st.floats(10, 8000),
    st.floats(2, 1000),
    st.floats(1.0, 4.0),
    st.floats(0.5, 2.0),
)
shares = st.floats(0.01, 0.99)


def test_kv_bytes_weights_and_room_of_llama2():
    # 2 x 80 layers x 8 heads x 128 x 2 bytes; (8 x 85.899 GB x 0.9 - 137.954 GB) / 327,680 bytes
    assert LLAMA.kv_bytes_per_token == 327_680
    assert LLAMA.weights_gb == pytest.approx(137.954)
    assert performance.replica(LLAMA, H100, PROFILE).kv_cache_tokens == pytest.approx(1_466_430, rel=1e-5)


def test_usable_memory_is_an_argument():
    # all of it: (687.192 - 137.954) GB / 327,680 bytes
    whole = performance.replica(LLAMA, H100, PROFILE, usable_memory_fraction=1.0)
    assert whole.kv_cache_tokens == pytest.approx(1_676_141, rel=1e-5)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(CatalogError, match=r"138\.0 GB of weights do not fit in 77\.3 GB"):
        performance.replica(LLAMA, H100, replace(PROFILE, gpus_per_replica=1))
    with pytest.raises(CatalogError, match="the profile is of llama2_70b on h100_80gb"):
        performance.replica(LLAMA, KNOWN.gpu("a100_80gb"), PROFILE)


@pytest.mark.parametrize(
    ("tokens", "seconds"),
    [(0, 0.03), (500, 0.08), (1000, 0.13), (1500, 0.18), (2500, 0.33), (3000, 0.43), (4000, 0.63)],
)
def test_prefill_follows_its_lines_and_continues_the_last(tokens: float, seconds: float):
    assert performance.prefill_s(SMALL, tokens) == pytest.approx(seconds)


def test_a_prompt_in_a_mixed_iteration_does_not_pay_the_fixed_part_again():
    # fixed part 30 ms, of which the iteration pays its own 20 ms: (130 - 20) ms / 1000 and (430 - 20) ms / 3000
    assert performance.prompt_s_per_token(SMALL, 1000) == pytest.approx(1.1e-4)
    assert performance.prompt_s_per_token(SMALL, 3000) == pytest.approx(0.41 / 3000)


def test_a_fixed_part_below_zero_counts_as_none():
    steep = replace(SMALL, prefill_s=(0.05, 0.20, 0.43))
    assert performance.prompt_s_per_token(steep, 1000) == pytest.approx(0.05 / 1000)
    assert performance.prefill_s(steep, 500) == pytest.approx(0.025)


def test_slots_are_the_smaller_of_cap_and_reserved_room():
    assert performance.slots(SMALL, MIX) == pytest.approx(11_000 / 1100)
    assert performance.slots(replace(SMALL, batch_cap=4), MIX) == 4


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


@settings(deadline=None)
@given(kind=replicas, tokens=st.floats(1, 20_000), more=st.floats(0, 20_000))
def test_a_longer_prompt_never_takes_less(kind: Replica, tokens: float, more: float):
    assert performance.prefill_s(kind, tokens + more) >= performance.prefill_s(kind, tokens) * (1 - 1e-12)
    assert performance.prompt_s_per_token(kind, tokens) >= 0


def test_rates_of_the_packaged_fleet():
    kinds = [performance.replica(KNOWN.model(m), KNOWN.gpu(g), p) for (m, g), p in KNOWN.profiles.items()]
    mix = TokenMix(input_tokens=4500, output_tokens=222, output_square_ratio=2)
    frame = performance.rates(kinds, dict.fromkeys(KNOWN.models, mix))
    assert frame.height == 8
    by_gpu = {(row["model"], row["gpu"]): row["rps"] / row["gpus_per_replica"] for row in frame.iter_rows(named=True)}
    for model in KNOWN.models:
        assert by_gpu[model, "h100_80gb"] > by_gpu[model, "a100_80gb"]
    for gpu in ("a100_80gb", "h100_80gb"):
        assert by_gpu["bloom_176b", gpu] < by_gpu["llama2_70b", gpu] < by_gpu["llama31_8b", gpu]
        assert by_gpu["llama31_8b", gpu] < by_gpu["llama32_3b", gpu]


@pytest.mark.parametrize("gpu", ["a100_80gb", "h100_80gb"])
def test_no_profile_beats_the_best_public_record(gpu: str):
    """MLPerf v4.1 Offline: eight H100 give 24,199 output tokens/s on Llama 2 70B in FP8; BF16 stays below."""
    kind = performance.replica(LLAMA, KNOWN.gpu(gpu), KNOWN.profile("llama2_70b", gpu))
    chat = TokenMix(input_tokens=294, output_tokens=294)
    assert 1000 < performance.max_rps(kind, chat) * chat.output_tokens < 24_199
