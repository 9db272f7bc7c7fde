"""The system that is planned and simulated: what a replica can do, what requests look like, what stands where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from workbench.domain.facts import Region, ServedModel, Tier, Validity, refuse
from workbench.errors import ScenarioError


@dataclass(frozen=True, kw_only=True)
class Replica:
    """What one replica can do, derived from model, GPU and profile by :mod:`workbench.performance`.

    ``kv_cache_tokens`` is the room left beside the weights; ``chunk_tokens`` the prompt tokens an iteration may read, 0
    for whole prompts. ``validity`` says how far the ``basis`` of its speed reaches; null where nobody knows.
    """

    model: str
    gpu: str
    gpus: int
    prefill_tokens: tuple[float, ...]
    prefill_s: tuple[float, ...]
    decode_base_s: float
    decode_per_request_s: float
    decode_per_token_s: float
    kv_cache_tokens: float
    batch_cap: int
    chunk_tokens: int = 0
    validity: Validity | None = None
    basis: Literal["measured", "estimated"] = "measured"


@dataclass(frozen=True, kw_only=True)
class TokenMix:
    """The request lengths of one model, by the moments that the simulator and the planner need.

    ``input_tokens`` = E[P], ``output_tokens`` = E[O]; the others are second and third moments divided by the means:
    ``input_square_ratio`` = E[P^2]/E[P]^2, ``input_cube_ratio`` = E[P^3]/E[P]^3, ``output_square_ratio`` =
    E[O^2]/E[O]^2, ``cross_ratio`` = E[P O]/(E[P] E[O]). ``dispersion`` is the index of dispersion of arrivals at the
    scale of an iteration. ``input_quantile_ratios``, where they are known, are the quantiles of P over E[P] at the
    shares (i + 0.5) / k: lengths that come in two sizes are told by no moments.
    """

    input_tokens: float
    output_tokens: float
    input_square_ratio: float = 1.0
    input_cube_ratio: float = 1.0
    output_square_ratio: float = 1.0
    cross_ratio: float = 1.0
    dispersion: float = 1.0
    input_quantile_ratios: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        refuse(
            ScenarioError,
            "token mix",
            {
                f"input_tokens must be positive, got {self.input_tokens}": not self.input_tokens > 0,
                f"output_tokens must be positive, got {self.output_tokens}": not self.output_tokens > 0,
                "moment ratios of a square cannot be below 1": min(self.input_square_ratio, self.output_square_ratio)
                < 1 - 1e-9,
                "dispersion must not be negative": self.dispersion < 0,
                "input_quantile_ratios must be positive and rise": any(
                    not 0.0 < low <= high for low, high in pairwise((*self.input_quantile_ratios, math.inf))
                ),
            },
        )

    @property
    def kv_held_tokens(self) -> float:
        """Mean KV tokens a running request holds: E[O(P + O/2)] / E[O] (size-biased; simulation.md section 3)."""
        return self.cross_ratio * self.input_tokens + 0.5 * self.output_square_ratio * self.output_tokens

    @property
    def kv_reserved_tokens(self) -> float:
        """Mean KV tokens a running request reserves: E[O(P + O)] / E[O] (simulation.md section 3)."""
        return self.cross_ratio * self.input_tokens + self.output_square_ratio * self.output_tokens


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The system that is planned and simulated: what stands where at the start, what it costs, what else there is.

    Keys of the mappings: ``stock_gpus`` (region, gpu) = GPUs of the kind that the region can ever use, those in use
    included; ``initial_replicas`` and ``initial_lent_replicas`` (region, model, gpu): serving, and lent to the spot
    pool with the model still loaded; ``usd_per_gpu_hour`` (region, gpu);
    ``network_latency_s`` (from region, to region), one way, median.
    """

    regions: tuple[Region, ...]
    models: tuple[ServedModel, ...]
    tiers: tuple[Tier, ...]
    replicas: tuple[Replica, ...]
    mixes: Mapping[str, TokenMix]
    stock_gpus: Mapping[tuple[str, str], int]
    initial_replicas: Mapping[tuple[str, str, str], int]
    initial_lent_replicas: Mapping[tuple[str, str, str], int]
    usd_per_gpu_hour: Mapping[tuple[str, str], float]
    network_latency_s: Mapping[tuple[str, str], float]
    price_note: str

    def __post_init__(self) -> None:
        served = {replica.model for replica in self.replicas}
        in_use: dict[tuple[str, str], int] = {}
        gpus = {(replica.model, replica.gpu): replica.gpus for replica in self.replicas}
        for counts in (self.initial_replicas, self.initial_lent_replicas):
            for (region, model, gpu), count in counts.items():
                in_use[region, gpu] = in_use.get((region, gpu), 0) + count * gpus.get((model, gpu), 0)
        refuse(
            ScenarioError,
            "fleet",
            {f"model {model.key} fits no GPU kind": True for model in self.models if model.key not in served}
            | {f"model {model.key} has no token mix": True for model in self.models if model.key not in self.mixes}
            | {
                f"{region} starts with {used:,} GPUs of {gpu} (serving and lent) but its stock is {stock:,}": True
                for (region, gpu), used in in_use.items()
                for stock in [self.stock_gpus.get((region, gpu), 0)]
                if used > stock
            },
        )

    def tier(self, key: str) -> Tier:
        """Return the tier of a key."""
        return next(tier for tier in self.tiers if tier.key == key)

    @property
    def chunk_tokens(self) -> int:
        """Prompt tokens an iteration of its replicas may read, 0 for whole prompts.

        Raises ScenarioError where they differ: a replay reads the prompts of all replicas in one way.
        """
        chunks = {replica.chunk_tokens: replica for replica in self.replicas}
        if len(chunks) > 1:
            told = ", ".join(f"{kind.model} on {kind.gpu} {tokens}" for tokens, kind in sorted(chunks.items()))
            raise ScenarioError(
                f"fleet: its replicas read prompts in chunks of different size ({told}); give the replay one size."
            )
        return next(iter(chunks), 0)

    def replica(self, model: str, gpu: str) -> Replica:
        """Return what a replica of the model on the GPU kind can do."""
        return next(replica for replica in self.replicas if (replica.model, replica.gpu) == (model, gpu))
