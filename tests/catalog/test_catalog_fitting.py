"""Fits that give back what they were made from, and the shipped profiles fitted again from public data."""

from __future__ import annotations

from dataclasses import astuple, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_recipe import DATA, every_profile

from workbench import catalog
from workbench.catalog import DecodePoint, Measurements, PrefillPoint, fit_profile
from workbench.catalog.bounds import decode_floor_s, kv_read_floor_s_per_token
from workbench.catalog.fitting import decode_coefficients, prefill_knots
from workbench.domain import FitError, Profile, Validity
from workbench.errors import CatalogError

KNOWN = catalog.load()
SHAPES = [(batch, batch * context) for batch in (1, 8, 64) for context in (256, 1024, 4096)]


def prefill(*pairs: tuple[float, float]) -> tuple[PrefillPoint, ...]:
    return tuple(PrefillPoint(input_tokens=tokens, seconds=seconds) for tokens, seconds in pairs)


def decode(base: float, per_request: float, per_token: float, shapes=SHAPES) -> tuple[DecodePoint, ...]:
    return tuple(
        DecodePoint(requests=batch, kv_tokens=kv, seconds=base + per_request * batch + per_token * kv)
        for batch, kv in shapes
    )


def fit(points: Measurements, **changes) -> Profile:
    asked = {"basis": "measured", "source": "test", "date": "2026", "gpus_per_replica": 8} | changes
    return fit_profile(points, model=KNOWN.model("llama2_70b"), gpu=KNOWN.gpu("h100_80gb"), **asked)


GOOD = Measurements(prefill=prefill((512, 0.05), (2048, 0.14)), decode=decode(0.03, 2e-4, 1.7e-7))


@settings(deadline=None, max_examples=50)
@given(base=st.floats(0.006, 0.1), per_request=st.floats(0.0, 1e-3), per_token=st.floats(2e-8, 1e-6))
def test_exact_points_give_back_their_coefficients(base: float, per_request: float, per_token: float):
    found = decode_coefficients(decode(base, per_request, per_token), floors=(0.005, 1.2e-8))
    assert found == pytest.approx((base, per_request, per_token), rel=1e-5, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(times=st.lists(st.floats(0.006, 0.1), min_size=len(SHAPES), max_size=len(SHAPES)))
def test_coefficients_never_pass_their_floors(times: list[float]):
    points = tuple(
        DecodePoint(requests=batch, kv_tokens=kv, seconds=seconds)
        for (batch, kv), seconds in zip(SHAPES, times, strict=True)
    )
    base, per_request, per_token = decode_coefficients(points, floors=(0.005, 1.2e-8))
    assert base >= 0.005
    assert per_request >= 0
    assert per_token >= 1.2e-8


def test_time_per_token_that_a_sweep_cannot_show_falls_back_to_the_floor():
    points = decode(0.03, 2e-4, 0.0)
    assert decode_coefficients(points, floors=(0.005, 1.2e-8))[2] == pytest.approx(1.2e-8)


def test_knots_are_medians_that_do_not_fall():
    points = prefill((128, 0.06), (256, 0.05), (256, 0.04), (256, 0.09), (512, 0.08))
    assert prefill_knots(points) == pytest.approx({128: 0.055, 256: 0.055, 512: 0.08})


def test_a_fit_states_its_reach_and_its_error():
    profile = fit(GOOD)
    assert profile.batch_cap == 512
    assert profile.validity == Validity(
        prompt_tokens_min=512.0, prompt_tokens_max=2048.0, batch_max=64, kv_tokens_max=64 * 4096
    )
    for error in (profile.prefill_fit, profile.decode_fit):
        assert (error.r2, error.mape_fraction) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))
    assert profile.prefill_held_out is None  # two points are too few
    assert profile.decode_held_out is not None
    assert profile.decode_held_out.r2 == pytest.approx(1.0)
    assert fit(GOOD, basis="estimated").decode_held_out is None
    assert profile.decode_base_s == pytest.approx(0.03)


def test_too_few_or_impossible_points_are_refused():
    with pytest.raises(CatalogError, match="two prompt sizes and three decode points"):
        fit(replace(GOOD, decode=GOOD.decode[:2]))
    with pytest.raises(CatalogError, match=r"(?s)2 of 2 prefill points .* impossible.*9 of 9 decode points"):
        fit(GOOD.scaled(1e-3))


def assert_same_profile(shipped: Profile, again: Profile) -> None:
    for field in fields(Profile):
        expected, found = getattr(again, field.name), getattr(shipped, field.name)
        if isinstance(expected, FitError):
            assert astuple(found) == pytest.approx(astuple(expected), rel=1e-3, abs=1e-6)
        else:
            is_exact = expected is None or isinstance(expected, str | Validity)
            assert found == (expected if is_exact else pytest.approx(expected, rel=1e-4))


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_the_shipped_profiles_come_out_of_the_public_measurements_again():
    again = {(profile.model, profile.gpu): profile for profile in every_profile()}
    assert set(again) == set(KNOWN.profiles)
    for key, shipped in KNOWN.profiles.items():
        assert_same_profile(shipped, again[key])


def test_llama2_on_h100_agrees_with_the_published_fit():
    """simulation.md section 1: 29.9 ms, 0.206 ms per request, 1.74e-7 s per token."""
    profile = KNOWN.profile("llama2_70b", "h100_80gb")
    assert profile.decode_base_s == pytest.approx(0.0299, rel=0.01)
    assert profile.decode_per_request_s == pytest.approx(0.206e-3, rel=0.01)
    assert profile.decode_per_token_s == pytest.approx(1.74e-7, rel=0.01)


def test_shipped_profiles_lie_above_their_floors_and_say_when_they_lie_on_one():
    for profile in KNOWN.profiles.values():
        model, gpu = KNOWN.model(profile.model), KNOWN.gpu(profile.gpu)
        assert profile.decode_base_s > decode_floor_s(model, gpu, profile.gpus_per_replica)
        floor_s = kv_read_floor_s_per_token(model, gpu, profile.gpus_per_replica)
        assert profile.decode_per_token_s >= floor_s * (1 - 1e-4)
        is_at_floor = profile.decode_per_token_s == pytest.approx(floor_s, rel=1e-4)
        assert is_at_floor == ("lower bound" in profile.source and "per KV token" in profile.source)


def test_without_context_the_time_of_kv_tokens_is_what_the_hardware_needs():
    points = decode(0.03, 2e-4, 1e-7, shapes=[(batch, batch * 500) for batch in (1, 8, 64)])
    profile = fit(replace(GOOD, decode=points), has_context=False, chunk_tokens=1024)
    assert profile.decode_per_token_s == pytest.approx(327_680 / (8 * 3350e9))
    # the rest counts per request: 0.2 ms + 500 x (1e-7 s - the floor)
    assert profile.decode_per_request_s == pytest.approx(2e-4 + 500 * (1e-7 - profile.decode_per_token_s))
    assert profile.chunk_tokens == 1024


def test_errors_are_judged_on_every_repeat():
    twice = prefill((512, 0.05), (512, 0.07), (512, 0.06), (2048, 0.14))
    profile = fit(replace(GOOD, prefill=twice))
    assert profile.prefill_s == (0.06, 0.14)
    assert profile.prefill_fit.mape_fraction == pytest.approx((0.01 / 0.05 + 0.01 / 0.07) / 4)
