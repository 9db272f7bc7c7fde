"""What hardware, models, regions and tiers are: the rows of the catalog, each with its source and date.

A fact refuses to be impossible where it is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.errors import CatalogError, together

PRICE_KINDS = ("on_demand", "spot", "savings_plan", "reserved_1y", "reserved_3y")


def refuse(error: type[Exception], what: str, findings: Mapping[str, bool]) -> None:
    """Raise one error that lists every finding that is true."""
    wrong = [text for text, is_wrong in findings.items() if is_wrong]
    if wrong:
        raise error(f"{what}: " + together(wrong))


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One kind of accelerator. Dense BF16 peak and memory bandwidth bound what a profile can claim."""

    key: str
    label: str
    memory_gb: float
    peak_bf16_tflops: float
    bandwidth_gb_s: float
    source: str
    date: str

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            f"gpu {self.key}",
            {
                f"memory_gb must be positive, got {self.memory_gb}": not self.memory_gb > 0,
                f"peak_bf16_tflops must be positive, got {self.peak_bf16_tflops}": not self.peak_bf16_tflops > 0,
                f"bandwidth_gb_s must be positive, got {self.bandwidth_gb_s}": not self.bandwidth_gb_s > 0,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Vm:
    """One kind of machine that is rented whole: a number of GPUs of one kind."""

    key: str
    label: str
    provider: str
    gpu: str
    gpus: int
    source: str
    date: str

    def __post_init__(self) -> None:
        refuse(CatalogError, f"vm {self.key}", {f"gpus must be 1 or more, got {self.gpus}": self.gpus < 1})


@dataclass(frozen=True, kw_only=True)
class VmPrice:
    """What an hour of one machine costs, in one provider region, under one way of paying."""

    vm: str
    provider_region: str
    kind: str
    usd_per_vm_hour: float
    source: str
    date: str

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            f"price of {self.vm} in {self.provider_region}",
            {
                f"usd_per_vm_hour must be positive, got {self.usd_per_vm_hour}": not self.usd_per_vm_hour > 0,
                f"kind must be one of {', '.join(PRICE_KINDS)}, got {self.kind}": self.kind not in PRICE_KINDS,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Region:
    """A place where requests come from and replicas stand; ``utc_offset_h`` is its standard time."""

    key: str
    label: str
    utc_offset_h: float
    source: str
    date: str


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model with its weights and attention layout, which decide memory.

    KV bytes per token = 2 (key and value) x layers x kv_heads x head_dim x bytes per element; grouped-query attention
    is in ``kv_heads`` (simulation.md section 1).
    """

    key: str
    label: str
    parameters_b: float
    layers: int
    kv_heads: int
    head_dim: int
    weight_bytes_per_parameter: float
    kv_bytes_per_element: float
    source: str
    date: str

    def __post_init__(self) -> None:
        numbers = (
            "parameters_b",
            "layers",
            "kv_heads",
            "head_dim",
            "weight_bytes_per_parameter",
            "kv_bytes_per_element",
        )
        refuse(
            CatalogError,
            f"model {self.key}",
            {f"{name} must be positive, got {getattr(self, name)}": not getattr(self, name) > 0 for name in numbers},
        )

    @property
    def weights_gb(self) -> float:
        """Size of the weights of one replica."""
        return self.parameters_b * self.weight_bytes_per_parameter

    @property
    def kv_bytes_per_token(self) -> float:
        """KV cache bytes one token occupies."""
        return 2.0 * self.layers * self.kv_heads * self.head_dim * self.kv_bytes_per_element


@dataclass(frozen=True, kw_only=True)
class FitError:
    """How far a fit lies from the times it is judged on: share of their variance explained, mean relative error."""

    r2: float
    mape_fraction: float

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            "fit error",
            {
                f"r2 must be 1 or less, got {self.r2}": not self.r2 <= 1,
                f"mape_fraction must not be negative, got {self.mape_fraction}": not self.mape_fraction >= 0,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Validity:
    """How far the points of a profile reach; beyond, its lines are extrapolated.

    Prompts of so many tokens, so many requests decoding together, and the tokens of KV cache they hold together.
    """

    prompt_tokens_min: float
    prompt_tokens_max: float
    batch_max: int
    kv_tokens_max: float

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            "validity",
            {
                f"prompt_tokens_min {self.prompt_tokens_min:g} must be positive and no more than prompt_tokens_max "
                f"{self.prompt_tokens_max:g}": not 0 < self.prompt_tokens_min <= self.prompt_tokens_max,
                f"batch_max must be 1 or more, got {self.batch_max}": self.batch_max < 1,
                f"kv_tokens_max must be positive, got {self.kv_tokens_max:g}": not self.kv_tokens_max > 0,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How fast one replica of a model runs on one GPU kind.

    Prefill is piecewise linear through ``prefill_tokens`` -> ``prefill_s``; a decode iteration of B requests that hold
    K tokens of KV cache takes ``decode_base_s + decode_per_request_s * B + decode_per_token_s * K`` (simulation.md
    section 1). ``batch_cap`` and ``chunk_tokens`` (prompt tokens an iteration may read, 0 for whole prompts) are the
    engine's settings. ``basis`` says measured or estimated; ``prefill_fit`` and ``decode_fit`` how far the fit lies
    from its own points, the ``held_out`` ones from points that it had not seen.
    """

    model: str
    gpu: str
    gpus_per_replica: int
    prefill_tokens: tuple[float, ...]
    prefill_s: tuple[float, ...]
    decode_base_s: float
    decode_per_request_s: float
    decode_per_token_s: float
    batch_cap: int
    chunk_tokens: int = 0
    validity: Validity
    prefill_fit: FitError
    decode_fit: FitError
    prefill_held_out: FitError | None = None
    decode_held_out: FitError | None = None
    basis: Literal["measured", "estimated"]
    source: str
    date: str

    def __post_init__(self) -> None:
        tokens, seconds = self.prefill_tokens, self.prefill_s
        pairs = list(zip(tokens, tokens[1:], seconds, seconds[1:], strict=False))
        numbers = (*tokens, *seconds, self.decode_base_s, self.decode_per_request_s, self.decode_per_token_s)
        refuse(
            CatalogError,
            f"profile of {self.model} on {self.gpu} x {self.gpus_per_replica}",
            {
                "prefill needs two points or more, as many times as sizes": len(tokens) < 2
                or len(tokens) != len(seconds),
                "prefill sizes must grow and times must not fall": any(
                    right <= left or slower < faster for left, right, faster, slower in pairs
                ),
                "prefill times must be positive": any(not second > 0 for second in seconds),
                "every size and time must be a finite number": not all(math.isfinite(number) for number in numbers),
                f"decode_base_s must be positive, got {self.decode_base_s}": not self.decode_base_s > 0,
                "decode times per request and token must not be negative": not min(
                    self.decode_per_request_s, self.decode_per_token_s
                )
                >= 0,
                f"gpus_per_replica must be 1 or more, got {self.gpus_per_replica}": self.gpus_per_replica < 1,
                f"batch_cap must be 1 or more, got {self.batch_cap}": self.batch_cap < 1,
                f"chunk_tokens must not be negative, got {self.chunk_tokens}": self.chunk_tokens < 0,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Tier:
    """A promise to a class of requests: time to first token, or completion by a deadline when it may wait."""

    key: str
    label: str
    ttft_slo_s: float | None
    deadline_s: float | None
    deferrable: bool
    priority: int
    source: str
    date: str

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            f"tier {self.key}",
            {
                "a deferrable tier needs deadline_s": self.deferrable and self.deadline_s is None,
                "a tier that cannot wait needs ttft_slo_s": not self.deferrable and self.ttft_slo_s is None,
                "ttft_slo_s must be positive": self.ttft_slo_s is not None and self.ttft_slo_s <= 0,
                "deadline_s must be positive": self.deadline_s is not None and self.deadline_s <= 0,
            },
        )
