"""workbench.domain.facts: an impossible fact is refused where it is written, and the sizes that follow from facts."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from workbench.domain import FitError, Gpu, Profile, Region, ServedModel, Tier, Validity, Vm, VmPrice
from workbench.domain.facts import refuse
from workbench.errors import CatalogError, ScenarioError

SOURCE: dict[str, Any] = {"source": "a page", "date": "2026-03-02"}
GPU = Gpu(key="h100_80gb", label="H100", memory_gb=85.9, peak_bf16_tflops=989.0, bandwidth_gb_s=3350.0, **SOURCE)
VM = Vm(key="p5", label="8 H100", provider="aws", gpu="h100_80gb", gpus=8, **SOURCE)
PRICE = VmPrice(vm="p5", provider_region="us-east-1", kind="on_demand", usd_per_vm_hour=55.04, **SOURCE)
MODEL = ServedModel(
    key="llama31_8b",
    label="Llama 3.1 8B",
    parameters_b=8.03,
    layers=32,
    kv_heads=8,
    head_dim=128,
    weight_bytes_per_parameter=2.0,
    kv_bytes_per_element=2.0,
    **SOURCE,
)
PROFILE = Profile(
    model="llama31_8b",
    gpu="h100_80gb",
    gpus_per_replica=1,
    prefill_tokens=(128.0, 512.0, 2048.0),
    prefill_s=(0.01, 0.02, 0.05),
    decode_base_s=0.006,
    decode_per_request_s=0.0,
    decode_per_token_s=0.0,
    batch_cap=256,
    validity=Validity(prompt_tokens_min=128.0, prompt_tokens_max=2048.0, batch_max=64, kv_tokens_max=65_536.0),
    prefill_fit=FitError(r2=0.99, mape_fraction=0.02),
    decode_fit=FitError(r2=0.98, mape_fraction=0.02),
    basis="measured",
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
BATCH = replace(FAST, key="non_interactive", ttft_slo_s=None, deadline_s=86_400.0, deferrable=True, priority=2)


def refused(value: Any, finding: str, **changes: Any) -> None:
    """Check that the value with these changes is refused with this finding."""
    with pytest.raises(CatalogError, match=finding):
        replace(value, **changes)


@pytest.mark.parametrize("name", ["memory_gb", "peak_bf16_tflops", "bandwidth_gb_s"])
@pytest.mark.parametrize("number", [0.0, -1.0])
def test_a_gpu_without_memory_or_speed_is_refused(name: str, number: float) -> None:
    refused(GPU, rf"^gpu h100_80gb: {name} must be positive, got {number}$", **{name: number})


def test_a_vm_without_gpus_is_refused() -> None:
    refused(VM, "^vm p5: gpus must be 1 or more, got 0$", gpus=0)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"usd_per_vm_hour": 0.0}, "usd_per_vm_hour must be positive, got 0.0"),
        ({"kind": "monthly"}, "kind must be one of on_demand, spot, savings_plan, .*, got monthly"),
    ],
)
def test_a_price_of_nothing_or_of_an_unknown_kind_is_refused(changes: dict[str, Any], finding: str) -> None:
    refused(PRICE, f"^price of p5 in us-east-1: {finding}$", **changes)


@pytest.mark.parametrize(
    "name",
    ["parameters_b", "layers", "kv_heads", "head_dim", "weight_bytes_per_parameter", "kv_bytes_per_element"],
)
def test_a_model_without_size_is_refused(name: str) -> None:
    refused(MODEL, rf"^model llama31_8b: {name} must be positive, got 0$", **{name: 0})


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"prefill_tokens": (128.0,), "prefill_s": (0.01,)}, "two points or more"),
        ({"prefill_s": (0.01, 0.02)}, "as many times as sizes"),
        ({"prefill_tokens": (128.0, 128.0, 2048.0)}, "sizes must grow"),
        ({"prefill_s": (0.01, 0.02, 0.015)}, "times must not fall"),
        ({"prefill_s": (0.0, 0.02, 0.05)}, "prefill times must be positive"),
        ({"decode_base_s": 0.0}, "decode_base_s must be positive, got 0.0"),
        ({"decode_per_request_s": -1e-9}, "must not be negative"),
        ({"decode_per_token_s": -1e-9}, "must not be negative"),
        ({"gpus_per_replica": 0}, "gpus_per_replica must be 1 or more, got 0"),
        ({"batch_cap": 0}, "batch_cap must be 1 or more, got 0"),
        ({"chunk_tokens": -1}, "chunk_tokens must not be negative, got -1"),
        ({"decode_per_token_s": float("inf")}, "every size and time must be a finite number"),
        ({"prefill_s": (0.01, 0.02, float("inf"))}, "every size and time must be a finite number"),
    ],
)
def test_a_profile_that_no_replica_can_have_is_refused(changes: dict[str, Any], finding: str) -> None:
    refused(PROFILE, f"^profile of llama31_8b on h100_80gb x .*{finding}", **changes)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"prompt_tokens_min": 0.0}, "prompt_tokens_min 0 must be positive"),
        ({"prompt_tokens_min": 4096.0}, "prompt_tokens_min 4096 must be .* no more than prompt_tokens_max 2048"),
        ({"batch_max": 0}, "batch_max must be 1 or more, got 0"),
        ({"kv_tokens_max": float("nan")}, "kv_tokens_max must be positive, got nan"),
    ],
)
def test_a_validity_that_reaches_nowhere_is_refused(changes: dict[str, Any], finding: str) -> None:
    refused(PROFILE.validity, f"^validity: {finding}", **changes)


def test_a_fit_better_than_perfect_is_refused() -> None:
    refused(PROFILE.decode_fit, "^fit error: r2 must be 1 or less, got 1.1$", r2=1.1)
    refused(PROFILE.decode_fit, "^fit error: mape_fraction must not be negative, got nan$", mape_fraction=float("nan"))


@pytest.mark.parametrize(
    ("tier", "changes", "finding"),
    [
        (BATCH, {"deadline_s": None}, "a deferrable tier needs deadline_s"),
        (FAST, {"ttft_slo_s": None}, "a tier that cannot wait needs ttft_slo_s"),
        (FAST, {"ttft_slo_s": 0.0}, "ttft_slo_s must be positive"),
        (BATCH, {"deadline_s": -1.0}, "deadline_s must be positive"),
    ],
)
def test_a_tier_that_promises_nothing_is_refused(tier: Tier, changes: dict[str, Any], finding: str) -> None:
    refused(tier, f"^tier {tier.key}: {finding}$", **changes)


def test_a_region_may_stand_west_and_half_an_hour_off() -> None:
    india = Region(key="india", label="Central India", utc_offset_h=5.5, **SOURCE)
    assert replace(india, key="us_east", utc_offset_h=-5.0).utc_offset_h == -5.0


def test_weights_and_kv_cache_by_hand() -> None:
    assert MODEL.weights_gb == pytest.approx(16.06)
    # key and value of 32 layers x 8 heads x 128 numbers x 2 bytes: 128 KiB for each token
    assert MODEL.kv_bytes_per_token == 131_072.0
    assert replace(MODEL, kv_bytes_per_element=1.0).kv_bytes_per_token == 65_536.0


def test_several_findings_are_reported_together() -> None:
    with pytest.raises(CatalogError) as caught:
        replace(GPU, memory_gb=0.0, bandwidth_gb_s=-3.0)
    assert "memory_gb must be positive, got 0.0" in str(caught.value)
    assert "bandwidth_gb_s must be positive, got -3.0" in str(caught.value)


def test_refuse_raises_the_error_it_is_given_and_only_for_true_findings() -> None:
    refuse(ScenarioError, "fleet", {"nothing is wrong": False})
    with pytest.raises(ScenarioError, match=r"^fleet: this is wrong$"):
        refuse(ScenarioError, "fleet", {"this is wrong": True, "nothing is wrong": False})


def test_facts_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        GPU.memory_gb = 1.0  # type: ignore[misc]
