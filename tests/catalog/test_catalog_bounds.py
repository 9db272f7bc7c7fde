"""Floors solved by hand and the refusals that follow from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench import catalog
from workbench.catalog import bounds

KNOWN = catalog.load()
LLAMA = KNOWN.model("llama2_70b")
H100 = KNOWN.gpu("h100_80gb")


def test_prefill_floor_is_two_operations_per_parameter_and_token_at_the_peak():
    # 2 x 68.977e9 x 1000 / (8 x 989e12) = 0.017436 s
    assert bounds.prefill_floor_s(LLAMA, H100, 8, 1000) == pytest.approx(0.0174360, rel=1e-5)


def test_narrow_weights_may_use_faster_units():
    narrow = replace(LLAMA, weight_bytes_per_parameter=1.0)
    assert bounds.prefill_floor_s(narrow, H100, 8, 1000) == pytest.approx(0.0174360 / 2, rel=1e-5)


def test_decode_floor_is_the_weights_read_once():
    # 137.954 GB / (8 x 3350 GB/s) = 5.1475 ms
    assert bounds.decode_floor_s(LLAMA, H100, 8) == pytest.approx(0.00514754, rel=1e-5)


def test_kv_floor_is_the_bytes_of_a_token_read_once():
    # 327,680 bytes / (8 x 3350e9 bytes/s)
    assert bounds.kv_read_floor_s_per_token(LLAMA, H100, 8) == pytest.approx(1.22269e-8, rel=1e-5)


def test_a_time_under_the_floor_is_named_with_its_ratio():
    text = bounds.impossible_prefill(LLAMA, H100, 8, 1000, 0.0174360 / 3)
    assert text is not None
    assert "implies 3.0 times the dense peak of 8 x h100_80gb" in text
    assert bounds.impossible_prefill(LLAMA, H100, 8, 1000, 0.02) is None


def test_a_profile_is_checked_knot_by_knot_and_at_its_base():
    profile = KNOWN.profile("llama2_70b", "h100_80gb")
    assert bounds.impossible_in_profile(profile, LLAMA, H100) == []
    fast = replace(profile, prefill_s=tuple(s / 1000 for s in profile.prefill_s), decode_base_s=1e-3)
    assert len(bounds.impossible_in_profile(fast, LLAMA, H100)) == len(profile.prefill_s) + 1


def test_a_batch_reads_its_kv_cache_and_computes_a_token_for_each():
    # weights 5.1475 ms, 500,000 tokens x 12.2269 ns; 2 x 68.977e9 x 1000 at the peak is 17.436 ms
    assert bounds.impossible_decode(LLAMA, H100, 8, 0.0052) is None
    text = bounds.impossible_decode(LLAMA, H100, 8, 0.0112, kv_tokens=500_000)
    assert text is not None
    assert "weights and 500,000 tokens of KV cache once" in text
    assert bounds.impossible_decode(LLAMA, H100, 8, 0.0113, kv_tokens=500_000) is None
    text = bounds.impossible_decode(LLAMA, H100, 8, 0.0174, requests=1000)
    assert text is not None
    assert "computing a token for 1,000 requests" in text
    assert bounds.impossible_decode(LLAMA, H100, 8, 0.0175, requests=1000) is None


def test_a_profile_must_be_possible_as_far_as_it_says_it_reaches():
    profile = KNOWN.profile("llama2_70b", "h100_80gb")
    far = replace(profile.validity, kv_tokens_max=1e9)
    flat = replace(profile, decode_per_token_s=0.0, validity=far)
    (finding,) = bounds.impossible_in_profile(flat, LLAMA, H100)
    assert "1,000,000,000 tokens of KV cache" in finding
    assert bounds.impossible_in_profile(replace(profile, validity=far), LLAMA, H100) == []
