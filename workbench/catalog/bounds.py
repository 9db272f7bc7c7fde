"""What no hardware can beat: the floors that every measured or estimated time is held against.

A profile in the wrong unit looks like a very fast GPU, and a plan made from it looks very cheap. Peak arithmetic and
memory bandwidth are the cheapest test that catches it, so nothing enters the catalog below these floors. Parameters
are taken as all used by every token; for a model of experts give the active ones.
"""

from __future__ import annotations

from workbench.domain import Gpu, Profile, ServedModel
from workbench.units import BYTES_PER_GB

ROUNDING = 1e-3  # a time that was written with few digits may lie this far under its own floor


def prefill_floor_s(model: ServedModel, gpu: Gpu, gpus: int, tokens: float) -> float:
    """Return the least seconds a prompt of so many tokens can take: 2 x parameters x tokens at the dense peak.

    Weights narrower than two bytes may run on faster units, so the BF16 peak is scaled by 2 / bytes for them.
    """
    faster = max(1.0, 2.0 / model.weight_bytes_per_parameter)
    return 2.0 * model.parameters_b * 1e9 * tokens / (gpus * gpu.peak_bf16_tflops * 1e12 * faster)


def decode_floor_s(model: ServedModel, gpu: Gpu, gpus: int) -> float:
    """Return the least seconds of a decode iteration: the weights read once at full bandwidth."""
    return model.weights_gb / (gpus * gpu.bandwidth_gb_s)


def kv_read_floor_s_per_token(model: ServedModel, gpu: Gpu, gpus: int) -> float:
    """Return the least seconds a decode iteration spends on one token of KV cache: its bytes read at full bandwidth."""
    return model.kv_bytes_per_token / (gpus * gpu.bandwidth_gb_s * BYTES_PER_GB)


def impossible_prefill(model: ServedModel, gpu: Gpu, gpus: int, tokens: float, seconds: float) -> str | None:
    """Say why a prompt cannot have been processed in the time, or None where it can."""
    floor_s = prefill_floor_s(model, gpu, gpus, tokens)
    if seconds >= floor_s * (1 - ROUNDING):
        return None
    peak = gpus * gpu.peak_bf16_tflops
    return (
        f"prefill of {tokens:,.0f} tokens in {seconds:.3g} s implies {floor_s / seconds:,.1f} times the dense peak of "
        f"{gpus} x {gpu.key} ({peak:,.0f} TFLOP/s; {floor_s:.3g} s at least): check the unit and the number of GPUs"
    )


def impossible_decode(
    model: ServedModel, gpu: Gpu, gpus: int, seconds: float, *, requests: float = 1.0, kv_tokens: float = 0.0
) -> str | None:
    """Say why a decode iteration of so many requests that hold so many KV tokens cannot have taken the time, or None.

    It reads the weights and the KV cache once, and computes one token for every request.
    """
    read_s = decode_floor_s(model, gpu, gpus) + kv_tokens * kv_read_floor_s_per_token(model, gpu, gpus)
    computed_s = prefill_floor_s(model, gpu, gpus, requests)
    if seconds >= max(read_s, computed_s) * (1 - ROUNDING):
        return None
    if computed_s > read_s:
        return (
            f"a decode iteration of {seconds:.3g} s is faster than computing a token for {requests:,.0f} requests at "
            f"the dense peak of {gpus} x {gpu.key} ({computed_s:.3g} s at least): check the unit and the batch"
        )
    cache = f" and {kv_tokens:,.0f} tokens of KV cache" if kv_tokens else ""
    return (
        f"a decode iteration of {seconds:.3g} s is faster than reading the weights{cache} once "
        f"({model.weights_gb:,.1f} GB of weights at {gpus} x {gpu.bandwidth_gb_s:,.0f} GB/s, {read_s:.3g} s at "
        "least): check the unit, whether the time is of one iteration, and the number of GPUs"
    )


def impossible_in_profile(profile: Profile, model: ServedModel, gpu: Gpu) -> list[str]:
    """List every impossible number of a profile: its prefill points, and its decode alone and at its validity's end."""
    gpus, valid = profile.gpus_per_replica, profile.validity
    knots = zip(profile.prefill_tokens, profile.prefill_s, strict=True)
    findings = [impossible_prefill(model, gpu, gpus, tokens, seconds) for tokens, seconds in knots]
    at_the_end_s = (
        profile.decode_base_s
        + profile.decode_per_request_s * valid.batch_max
        + profile.decode_per_token_s * valid.kv_tokens_max
    )
    decode = impossible_decode(model, gpu, gpus, profile.decode_base_s) or impossible_decode(
        model, gpu, gpus, at_the_end_s, requests=valid.batch_max, kv_tokens=valid.kv_tokens_max
    )
    return [finding for finding in (*findings, decode) if finding]
