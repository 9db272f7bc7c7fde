"""workbench.performance.rates: what the planner takes a replica for, over the packaged catalog."""

from __future__ import annotations

import pytest

from tests.performance.performance_cases import KNOWN, MIX, SMALL
from workbench import performance
from workbench.domain import TokenMix
from workbench.errors import ScenarioError


def test_a_model_without_a_mix_is_refused():
    with pytest.raises(ScenarioError, match="model m has no token mix"):
        performance.rates([SMALL], {"n": MIX})


def test_rates_of_the_packaged_profiles_order_as_models_and_gpus_do():
    kinds = [performance.replica(KNOWN.model(m), KNOWN.gpu(g), p) for (m, g), p in KNOWN.profiles.items()]
    mix = TokenMix(input_tokens=4500, output_tokens=222, output_square_ratio=2)
    frame = performance.rates(kinds, dict.fromkeys(KNOWN.models, mix))
    assert frame.height == len(KNOWN.profiles)
    by_gpu = {(row["model"], row["gpu"]): row["rps"] / row["gpus_per_replica"] for row in frame.iter_rows(named=True)}
    for model in KNOWN.models:
        assert by_gpu[model, "h100_80gb"] > by_gpu[model, "a100_80gb"]
        if (model, "b200_180gb") in by_gpu:
            assert by_gpu[model, "b200_180gb"] > by_gpu[model, "h100_80gb"] > by_gpu[model, "l40s_48gb"]
    for gpu in ("a100_80gb", "h100_80gb"):
        assert by_gpu["bloom_176b", gpu] < by_gpu["llama2_70b", gpu] < by_gpu["llama31_8b", gpu]
    for gpu in KNOWN.gpus:
        assert by_gpu["llama31_70b", gpu] < by_gpu["qwen3_32b", gpu] < by_gpu["llama31_8b", gpu]
        assert by_gpu["llama31_8b", gpu] < by_gpu["llama32_3b", gpu]
