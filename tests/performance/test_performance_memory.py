"""workbench.performance.memory: weights and KV room by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.performance.performance_cases import H100, KNOWN, LLAMA, PROFILE
from workbench import performance
from workbench.errors import CatalogError


def test_kv_bytes_weights_and_room_of_llama2():
    # 2 x 80 layers x 8 heads x 128 x 2 bytes; (8 x 85.899 GB x 0.9 - 137.954 GB) / 327,680 bytes
    assert LLAMA.kv_bytes_per_token == 327_680
    assert LLAMA.weights_gb == pytest.approx(137.954)
    assert performance.replica(LLAMA, H100, PROFILE).kv_cache_tokens == pytest.approx(1_466_430, rel=1e-5)


def test_usable_memory_is_an_argument():
    # all of it: (687.192 - 137.954) GB / 327,680 bytes
    whole = performance.replica(LLAMA, H100, PROFILE, usable_memory_fraction=1.0)
    assert whole.kv_cache_tokens == pytest.approx(1_676_141, rel=1e-5)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(CatalogError, match=r"138\.0 GB of weights do not fit in 77\.3 GB"):
        performance.replica(LLAMA, H100, replace(PROFILE, gpus_per_replica=1))
    with pytest.raises(CatalogError, match="the profile is of llama2_70b on h100_80gb"):
        performance.replica(LLAMA, KNOWN.gpu("a100_80gb"), PROFILE)


def test_settings_and_validity_of_the_profile_go_with_the_replica():
    kind = performance.replica(LLAMA, H100, replace(PROFILE, chunk_tokens=512, basis="estimated"))
    assert (kind.chunk_tokens, kind.validity, kind.basis) == (512, PROFILE.validity, "estimated")


def test_every_packaged_profile_leaves_room_for_eight_long_requests():
    for (model, gpu), profile in KNOWN.profiles.items():
        kind = performance.replica(KNOWN.model(model), KNOWN.gpu(gpu), profile)
        assert kind.kv_cache_tokens > 8 * 8192, (model, gpu)
