"""What differs from one scenario of a sweep to the next, as a value: load, lengths, policy, start, price, promises.

Everything else (fleet, plan, demand) is shared by all scenarios of a sweep and laid out once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError, nearest, together

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Variation:
    """One scenario of a sweep; what is left out stays as fleet, policy and demand say.

    ``load`` multiplies every rate, ``load_by_model`` and ``load_by_tier`` those of a model or tier on top;
    ``input_tokens`` and ``output_tokens`` multiply the mean lengths. ``policy`` takes the place of the sweep's one with
    other numbers: thresholds, cooldown, floor, times; its pools and its way to scale must be the same.
    ``initial_replicas`` is what every model starts with in each region and on each GPU kind where it starts with any;
    ``usd_per_gpu_hour`` the price everywhere; ``ttft_slo_s`` the promise by tier.

    Raises SimulationError for a factor that is negative or no number, a length, price or promise that is not positive.
    """

    load: float = 1.0
    load_by_model: Mapping[str, float] = field(default_factory=dict)
    load_by_tier: Mapping[str, float] = field(default_factory=dict)
    input_tokens: float = 1.0
    output_tokens: float = 1.0
    policy: Policy | None = None
    initial_replicas: int | None = None
    usd_per_gpu_hour: float | None = None
    ttft_slo_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loads = {"load": self.load}
        loads |= {f"load of {key}": value for key, value in (*self.load_by_model.items(), *self.load_by_tier.items())}
        sizes = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        sizes |= {f"ttft_slo_s of {key}": value for key, value in self.ttft_slo_s.items()}
        wrong = [f"{name} must be a number from 0 up, got {value}" for name, value in loads.items() if not _is(value)]
        wrong += [
            f"{name} must be a number above 0, got {value}"
            for name, value in sizes.items()
            if not (_is(value) and value > 0)
        ]
        if self.usd_per_gpu_hour is not None and not _is(self.usd_per_gpu_hour):
            wrong.append(f"usd_per_gpu_hour must be a number from 0 up, got {self.usd_per_gpu_hour}")
        start = self.initial_replicas
        if start is not None and not (start >= 0 and start == int(start)):
            wrong.append(f"initial_replicas must be a whole number from 0 up, got {start}")
        if wrong:
            raise SimulationError("variation: " + together(wrong))


def _is(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def checked(variations: Sequence[Variation], *, fleet: Fleet, policy: Policy) -> None:
    """Refuse a sweep of nothing, names that the fleet lacks, and policies that need other pools or another plan."""
    if not variations:
        raise SimulationError("a sweep needs one variation or more and got none; Variation() is the scenario as it is.")
    models, tiers = [model.key for model in fleet.models], [tier.key for tier in fleet.tiers]
    shape = _shape(policy)
    for i, variation in enumerate(variations):
        for names, known in (
            (variation.load_by_model, models),
            (variation.load_by_tier, tiers),
            (variation.ttft_slo_s, tiers),
        ):
            for name in names:
                if name not in known:
                    raise SimulationError(
                        f"variation {i} names '{name}', which the fleet lacks: {nearest(name, known)}."
                    )
        other = variation.policy
        if other is not None and _shape(other) != shape:
            raise SimulationError(
                f"variation {i}: policy {other.key} has other pools, or scales or follows a plan in another way, than "
                f"{policy.key}; sweep the two apart."
            )


def _shape(policy: Policy) -> tuple[object, ...]:
    """Return what all policies of a sweep share."""
    return policy.siloed, policy.deferrable_share, policy.mixed_share, policy.follow_plan, policy.scale_by


def fleet_of(fleet: Fleet, variation: Variation) -> Fleet:
    """Return the fleet of a variation: its replicas at the start, prices and promises."""
    if variation.initial_replicas is None and variation.usd_per_gpu_hour is None and not variation.ttft_slo_s:
        return fleet
    start, price = variation.initial_replicas, variation.usd_per_gpu_hour
    replicas = dict(fleet.initial_replicas)
    if start is not None:
        replicas = {cell: start if count > 0 else 0 for cell, count in replicas.items()}
    prices = dict(fleet.usd_per_gpu_hour) if price is None else dict.fromkeys(fleet.usd_per_gpu_hour, price)
    promises = variation.ttft_slo_s
    tiers = tuple(
        tier if tier.deferrable else replace(tier, ttft_slo_s=promises.get(tier.key, tier.ttft_slo_s))
        for tier in fleet.tiers
    )
    return replace(fleet, initial_replicas=replicas, usd_per_gpu_hour=prices, tiers=tiers)


def loads_of(fleet: Fleet, variations: Sequence[Variation]) -> Floats:
    """Return the factors on the rate by variation, model and tier."""
    loads = np.array([variation.load for variation in variations])
    by_model = by_key([each.load_by_model for each in variations], [model.key for model in fleet.models])
    by_tier = by_key([each.load_by_tier for each in variations], [tier.key for tier in fleet.tiers])
    return loads[:, None, None] * by_model[:, :, None] * by_tier[:, None, :]


def by_key(given: Sequence[Mapping[str, float]], keys: Sequence[str], usual: ArrayLike = 1.0) -> Floats:
    """Return a row of numbers per mapping, one for every key: the usual one where a mapping says nothing."""
    table = np.empty((len(given), len(keys)))
    table[:] = usual
    for numbers, own in zip(table, given, strict=True):
        for key, number in own.items():
            numbers[keys.index(key)] = number
    return table
