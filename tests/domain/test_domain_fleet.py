"""workbench.domain.fleet: moments of request lengths by hand, and a fleet that holds more than it has is refused."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.domain import Fleet, Region, Replica, ServedModel, Tier, TokenMix
from workbench.errors import ScenarioError

SOURCE: dict[str, Any] = {"source": "a page", "date": "2026-03-02"}
EAST = Region(key="us_east", label="East US", utc_offset_h=-5.0, **SOURCE)
MODEL = ServedModel(
    key="llama2_70b",
    label="Llama 2 70B",
    parameters_b=69.0,
    layers=80,
    kv_heads=8,
    head_dim=128,
    weight_bytes_per_parameter=2.0,
    kv_bytes_per_element=2.0,
    **SOURCE,
)
FAST = Tier(
    key="interactive_fast",
    label="fast",
    ttft_slo_s=1.0,
    deadline_s=None,
    deferrable=False,
    priority=0,
    **SOURCE,
)
REPLICA = Replica(
    model="llama2_70b",
    gpu="h100_80gb",
    gpus=8,
    prefill_tokens=(128.0, 2048.0),
    prefill_s=(0.05, 0.14),
    decode_base_s=0.03,
    decode_per_request_s=2e-4,
    decode_per_token_s=2e-7,
    kv_cache_tokens=1e6,
    batch_cap=512,
)
POOL = ("us_east", "llama2_70b", "h100_80gb")
FLEET = Fleet(
    regions=(EAST,),
    models=(MODEL,),
    tiers=(FAST,),
    replicas=(REPLICA,),
    mixes={"llama2_70b": TokenMix(input_tokens=1000.0, output_tokens=200.0)},
    stock_gpus={("us_east", "h100_80gb"): 32},
    initial_replicas={POOL: 3},
    initial_lent_replicas={POOL: 1},
    usd_per_gpu_hour={("us_east", "h100_80gb"): 6.88},
    network_latency_s={("us_east", "us_east"): 0.0},
    price_note="list",
)


def mix_of(lengths: list[tuple[int, int]]) -> TokenMix:
    """The moments of a list of (prompt, generated) lengths, each equally likely."""
    prompt = fmean(p for p, _ in lengths)
    generated = fmean(o for _, o in lengths)
    return TokenMix(
        input_tokens=prompt,
        output_tokens=generated,
        input_square_ratio=fmean(p**2 for p, _ in lengths) / prompt**2,
        input_cube_ratio=fmean(p**3 for p, _ in lengths) / prompt**3,
        output_square_ratio=fmean(o**2 for _, o in lengths) / generated**2,
        cross_ratio=fmean(p * o for p, o in lengths) / (prompt * generated),
    )


def test_kv_tokens_of_two_requests_by_hand() -> None:
    # prompts of 100 and 300, outputs of 10 and 30: a request is seen in proportion to its output, so
    # held = (10 x 105 + 30 x 315) / 40 and reserved = (10 x 110 + 30 x 330) / 40
    mix = mix_of([(100, 10), (300, 30)])
    assert (mix.input_square_ratio, mix.input_cube_ratio) == (1.25, 1.75)
    assert (mix.output_square_ratio, mix.cross_ratio) == (1.25, 1.25)
    assert mix.kv_held_tokens == pytest.approx(262.5)
    assert mix.kv_reserved_tokens == pytest.approx(275.0)


def test_equal_requests_hold_their_prompt_and_half_their_output() -> None:
    mix = TokenMix(input_tokens=1000.0, output_tokens=200.0)
    assert mix.kv_held_tokens == 1100.0
    assert mix.kv_reserved_tokens == 1200.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=1, max_size=20))
def test_the_moments_give_what_counting_token_by_token_gives(lengths: list[tuple[int, int]]) -> None:
    mix = mix_of(lengths)
    steps = sum(generated for _, generated in lengths)
    held = sum(generated * (prompt + generated / 2) for prompt, generated in lengths) / steps
    reserved = sum(generated * (prompt + generated) for prompt, generated in lengths) / steps
    assert mix.kv_held_tokens == pytest.approx(held)
    assert mix.kv_reserved_tokens == pytest.approx(reserved)
    assert mix.kv_held_tokens < mix.kv_reserved_tokens


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"input_tokens": 0.0}, "input_tokens must be positive, got 0.0"),
        ({"input_tokens": float("nan")}, "input_tokens must be positive, got nan"),
        ({"output_tokens": -1.0}, "output_tokens must be positive, got -1.0"),
        ({"input_square_ratio": 0.9}, "moment ratios of a square cannot be below 1"),
        ({"output_square_ratio": 0.9}, "moment ratios of a square cannot be below 1"),
        ({"dispersion": -0.1}, "dispersion must not be negative"),
    ],
)
def test_a_token_mix_refuses_moments_that_no_lengths_have(changes: dict[str, float], finding: str) -> None:
    with pytest.raises(ScenarioError, match=f"^token mix: {finding}$"):
        replace(TokenMix(input_tokens=1000.0, output_tokens=200.0), **changes)


def test_a_fleet_finds_its_parts_by_key() -> None:
    assert FLEET.tier("interactive_fast") is FAST
    assert FLEET.replica("llama2_70b", "h100_80gb") is REPLICA


def test_serving_and_lent_replicas_may_fill_the_stock_exactly() -> None:
    assert replace(FLEET, initial_replicas={POOL: 4}, initial_lent_replicas={}).initial_replicas == {POOL: 4}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"initial_replicas": {POOL: 4}}, r"us_east starts with 40 GPUs of h100_80gb .* its stock is 32"),
        ({"stock_gpus": {}}, r"us_east starts with 32 GPUs of h100_80gb .* its stock is 0"),
        ({"replicas": (), "initial_replicas": {}}, "model llama2_70b fits no GPU kind"),
        ({"mixes": {}}, "model llama2_70b has no token mix"),
    ],
)
def test_a_fleet_refuses_what_cannot_stand(changes: dict[str, Any], finding: str) -> None:
    with pytest.raises(ScenarioError, match=f"^fleet: {finding}"):
        replace(FLEET, **changes)


def test_the_replicas_of_a_fleet_read_prompts_in_one_way() -> None:
    assert FLEET.chunk_tokens == 0
    chunked = replace(REPLICA, chunk_tokens=512)
    assert replace(FLEET, replicas=(chunked,)).chunk_tokens == 512
    mixed = replace(FLEET, replicas=(REPLICA, replace(chunked, gpu="a100_80gb")))
    with pytest.raises(ScenarioError, match=r"llama2_70b on h100_80gb 0, llama2_70b on a100_80gb 512.*one size"):
        _ = mixed.chunk_tokens
