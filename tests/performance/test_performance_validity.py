"""workbench.performance.validity: what lies beyond a profile's points is said, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.performance.performance_cases import H100, KNOWN, LLAMA, MIX, PROFILE, SMALL, mixes
from workbench import performance
from workbench.domain import TokenMix, Validity
from workbench.performance.validity import share_of_prompts_above

RANGE = Validity(prompt_tokens_min=100.0, prompt_tokens_max=2000.0, batch_max=8, kv_tokens_max=9000.0)
KNOWN_RANGE = replace(SMALL, validity=RANGE)


def test_a_load_inside_the_points_is_silent():
    # at one request a second 2.5 requests run and hold 2.7 thousand tokens
    assert performance.steady_state(KNOWN_RANGE, MIX, 1.0).extrapolated == ()
    assert performance.extrapolations(SMALL, MIX) == ()


def test_a_load_beyond_the_points_says_how_far():
    # saturated: ten slots of 1,050 tokens
    batch, kv_tokens = performance.extrapolations(KNOWN_RANGE, MIX, running=10.0)
    assert (batch.what, batch.reached, batch.valid) == ("batch", 10.0, 8)
    assert batch.text == "batches up to 10 are simulated, measured to 8"
    assert (kv_tokens.what, kv_tokens.reached, kv_tokens.valid) == ("kv_tokens", 10_500.0, 9000.0)
    assert performance.steady_state(KNOWN_RANGE, MIX, 9.0).extrapolated == (batch.text, kv_tokens.text)


def test_without_a_load_all_that_may_run_counts():
    found = performance.extrapolations(replace(KNOWN_RANGE, basis="estimated"), MIX)
    assert [beyond.text for beyond in found] == [
        "batches up to 10 may be simulated, estimated to 8",
        "up to 10,500 tokens of KV cache in use, estimated to 9,000",
    ]


def test_prompts_beyond_the_points_are_told_with_their_share():
    # a lognormal of mean 1000 and E[P2]/E[P]2 = e: P(P > 2000) = Phi(-(ln 2 + 1/2)) = 0.1164
    wide = replace(MIX, input_square_ratio=2.718281828)
    assert share_of_prompts_above(wide, 2000.0) == pytest.approx(0.1164, abs=1e-4)
    (beyond,) = performance.extrapolations(KNOWN_RANGE, wide, running=1.0)
    assert beyond.text == "about 12% of prompts are longer than the 2,000 tokens measured"
    assert share_of_prompts_above(MIX, 2000.0) == 0
    (equal,) = performance.extrapolations(KNOWN_RANGE, replace(MIX, input_tokens=2001.0), running=1.0)
    assert equal.text.startswith("about 100% of prompts")


def test_prompts_shorter_than_the_points_are_told():
    (short,) = performance.extrapolations(KNOWN_RANGE, replace(MIX, input_tokens=20.0), running=1.0)
    assert short.text == "prompts have 20 tokens on average, measured from 100"


def test_one_line_for_a_study():
    kind = performance.replica(LLAMA, H100, PROFILE)
    mix = TokenMix(input_tokens=1500, output_tokens=222)
    assert performance.validity_note(kind, mix) == (
        "llama2_70b on h100_80gb: batches up to 512 may be simulated, measured to 64; up to 824,832 tokens of KV cache "
        "in use, measured to 36,864. Beyond, the lines of the profile are continued."
    )
    assert performance.validity_note(replace(kind, validity=None), mix) is None


@settings(deadline=None)
@given(mix=mixes, share=st.floats(0.01, 0.99))
def test_what_a_load_reaches_is_never_more_than_what_may_run(mix: TokenMix, share: float):
    for model, gpu in (("llama2_70b", "h100_80gb"), ("qwen3_32b", "l40s_48gb")):
        kind = performance.replica(KNOWN.model(model), KNOWN.gpu(gpu), KNOWN.profile(model, gpu))
        load = performance.steady_state(kind, mix, share * performance.max_rps(kind, mix))
        may = {beyond.what: beyond.reached for beyond in performance.extrapolations(kind, mix)}
        for beyond in performance.extrapolations(kind, mix, running=load.running):
            assert beyond.reached <= may[beyond.what] * (1 + 1e-9)
