"""What is published about the use of large language models at work, as data, each law with its source.

What the paper does not publish is our choice and says so. Both the synthetic week and the workload that can be varied
and made at any length read these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PAGE = "sageserve.md section 3.3"


@dataclass(frozen=True, kw_only=True)
class Hump:
    """One part of a length law: lognormal with this median and sigma, with this weight among the humps."""

    weight: float
    median_tokens: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class ModelLaw:
    """How one model is used: share of requests, share by region, prompt and output lengths, burstiness."""

    key: str
    share: float
    by_region: Mapping[str, float]
    prompt: tuple[Hump, ...]
    output: tuple[Hump, ...]
    burst_cv: float
    spikes_per_day: float
    spike_ratio: float
    source: str


@dataclass(frozen=True, kw_only=True)
class TierLaw:
    """How one tier arrives: share of requests, hourly shape by weekday (Monday first), none of it where flat."""

    key: str
    share: float
    weekday_peaks: tuple[float, ...]
    night: float
    weekend: float
    source: str


# 43 / 29 / 28 % over all models; one model has four times more load in East than in West (which one: our choice)
LEVEL = {"us_east": 0.3975, "us_central": 0.2875, "us_west": 0.315}
SKEWED = {"us_east": 0.56, "us_central": 0.30, "us_west": 0.14}
UTC_OFFSETS_H = {"us_east": -5.0, "us_central": -6.0, "us_west": -8.0}

# prompt medians of 4-6 thousand, P95 of 10-30 thousand, Bloom's second mode near 450; output medians of 90-200,
# Llama2's half at 10-30 tokens, P99 near 2 000. Shares by model and burstiness are our choice
MODELS: tuple[ModelLaw, ...] = (
    ModelLaw(
        key="llama2_70b",
        share=0.30,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=5000, sigma=0.80),),
        output=(
            Hump(weight=0.45, median_tokens=18, sigma=0.25),
            Hump(weight=0.525, median_tokens=220, sigma=0.50),
            Hump(weight=0.025, median_tokens=1800, sigma=0.15),
        ),
        burst_cv=0.35,
        spikes_per_day=3.0,
        spike_ratio=3.0,
        source=PAGE,
    ),
    ModelLaw(
        key="bloom_176b",
        share=0.20,
        by_region=SKEWED,
        prompt=(
            Hump(weight=0.25, median_tokens=450, sigma=0.25),
            Hump(weight=0.75, median_tokens=6500, sigma=0.70),
        ),
        output=(Hump(weight=1.0, median_tokens=130, sigma=1.17),),
        burst_cv=0.35,
        spikes_per_day=1.0,
        spike_ratio=2.0,
        source=PAGE,
    ),
    ModelLaw(
        key="llama31_8b",
        share=0.35,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=4500, sigma=0.70),),
        output=(Hump(weight=1.0, median_tokens=120, sigma=1.20),),
        burst_cv=0.20,
        spikes_per_day=0.0,
        spike_ratio=1.0,
        source=PAGE,
    ),
    ModelLaw(
        key="llama32_3b",
        share=0.15,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=4000, sigma=0.60),),
        output=(Hump(weight=1.0, median_tokens=95, sigma=1.28),),
        burst_cv=0.25,
        spikes_per_day=1.0,
        spike_ratio=2.0,
        source=PAGE,
    ),
)

# interactive : non-interactive 72 : 28 by requests (page); how the 72 part between fast and normal is our choice.
# Peaks Monday to Friday, night trough and weekend level in requests/s of all models, November 2024
BELLS = (21.0, 22.5, 17.0, 17.5, 19.0)
TIERS: tuple[TierLaw, ...] = (
    TierLaw(key="interactive_fast", share=0.45, weekday_peaks=BELLS, night=6.0, weekend=3.2, source=PAGE),
    TierLaw(key="interactive_normal", share=0.27, weekday_peaks=BELLS, night=8.0, weekend=3.2, source=PAGE),
    TierLaw(key="non_interactive", share=0.28, weekday_peaks=(), night=1.0, weekend=1.0, source=PAGE),
)

# RAG is 41.2 % of requests, then these in this order (page); the other four shares are our choice
APPS: Mapping[str, float] = {
    "rag": 0.412,
    "content_generation": 0.220,
    "workflows": 0.160,
    "chat": 0.120,
    "evaluation": 0.088,
}

MIDDAY_H = 13.0
BELL_WIDTH_H = 3.6
WEEKEND_NIGHT_FRACTION = 0.7
SPIKE_S = 300.0
LONGEST_PROMPT_TOKENS = 128_000
LONGEST_OUTPUT_TOKENS = 8_000
