"""workbench.catalog.loading: the packaged catalog holds together; an own folder adds to it; faults come at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench import catalog, performance
from workbench.domain import FitError
from workbench.errors import CatalogError

MODEL = """
[[model]]
key = "{key}"
label = "Mine"
parameters_b = {parameters_b}
layers = 40
kv_heads = 8
head_dim = 128
weight_bytes_per_parameter = 2.0
kv_bytes_per_element = 2.0
source = "my own"
date = "2026-11"
"""

PROFILE = """
[[profile]]
model = "{model}"
gpu = "{gpu}"
gpus_per_replica = 2
prefill_tokens = [100, 1000]
prefill_s = {prefill_s}
decode_base_s = 0.02
decode_per_request_s = 0.0001
decode_per_token_s = 1e-7
batch_cap = 256
validity = {{ prompt_tokens_min = 100, prompt_tokens_max = 1000, batch_max = 32, kv_tokens_max = 16000 }}
prefill_fit = {{ r2 = 0.99, mape_fraction = 0.05 }}
decode_fit = {{ r2 = 0.97, mape_fraction = 0.03 }}
basis = "measured"
source = "my own"
date = "2026-11"
"""


def test_the_packaged_catalog_serves_the_old_models_where_measured_and_the_others_everywhere():
    known = catalog.load()
    old, small = {"llama2_70b", "bloom_176b"}, {"llama31_8b", "llama31_70b", "llama32_3b", "qwen3_32b"}
    assert set(known.models) == old | small
    everywhere = {(model, gpu) for model in small for gpu in known.gpus} - {("llama32_3b", "a100_80gb")}
    measured = {(model, gpu) for model in old for gpu in ("a100_80gb", "h100_80gb")}
    measured |= {("llama31_8b", "a100_80gb"), ("llama32_3b", "a100_80gb")}
    assert set(known.profiles) == everywhere | measured
    assert {key for key, profile in known.profiles.items() if profile.basis == "measured"} == measured
    assert [tier.priority for tier in sorted(known.tiers.values(), key=lambda tier: tier.priority)] == [0, 1, 2]
    assert known.tier("interactive_fast").ttft_slo_s == 1.0
    assert known.tier("interactive_normal").ttft_slo_s == 60.0
    assert known.tier("non_interactive").deadline_s == 86_400.0


def test_every_fact_says_its_source():
    known = catalog.load()
    by_key = [known.gpus, known.vms, known.models, known.profiles, known.tiers, known.regions]
    rows = [fact for facts in by_key for fact in facts.values()] + [*known.prices, *known.network_latencies]
    assert all(row.source and row.date for row in rows)


def test_latency_is_known_between_all_regions_and_mirrored_only_where_said():
    known = catalog.load()
    assert set(known.network_latency_s) == {(a, b) for a in known.regions for b in known.regions}
    assert known.network_latency_s["us_west", "us_east"] == 0.072
    assert known.network_latency_s["us_east", "us_west"] == 0.069
    mirrored = {(row.from_region, row.to_region) for row in known.network_latencies if "mirror" in row.source}
    assert mirrored == {("us_central", "us_east"), ("us_central", "us_west")}


def test_the_packaged_catalog_is_read_once_and_cannot_be_changed():
    assert catalog.load() is catalog.load()
    with pytest.raises(TypeError):
        catalog.load().gpus["new"] = None  # type: ignore[index]


def test_a_folder_adds_a_model_and_its_profile(tmp_path: Path):
    (tmp_path / "models.toml").write_text(MODEL.format(key="mine_13b", parameters_b=13))
    (tmp_path / "profiles.toml").write_text(PROFILE.format(model="mine_13b", gpu="h100_80gb", prefill_s=[0.02, 0.1]))
    known = catalog.load(tmp_path)
    assert known.model("mine_13b").weights_gb == 26.0
    assert known.profile("mine_13b", "h100_80gb").batch_cap == 256
    assert "llama2_70b" in known.models
    assert "mine_13b" not in catalog.load().models


def test_the_example_folder_adds_a_model_a_gpu_and_a_profile_that_a_replica_can_be_made_of(repo_root: Path):
    known = catalog.load(repo_root / "data" / "catalog_example")
    kind = performance.replica(
        known.model("llama31_8b_fp8"), known.gpu("h100_80gb"), known.profile("llama31_8b_fp8", "h100_80gb")
    )
    # half the weights: (85.899 x 0.9 - 8.03) GB of 131,072 bytes
    assert kind.kv_cache_tokens == pytest.approx(528_557, rel=1e-5)
    assert (kind.chunk_tokens, kind.basis) == (8192, "estimated")
    assert known.gpu("a100_40gb").memory_gb == pytest.approx(42.949)


def test_rows_beside_the_data_are_found_and_their_absence_is_no_fault(tmp_path: Path):
    assert catalog.load_beside(tmp_path) is catalog.load()
    own = tmp_path / catalog.OWN_FOLDER
    own.mkdir()
    (own / "models.toml").write_text(MODEL.format(key="mine_13b", parameters_b=13))
    assert catalog.load_beside(tmp_path).model("mine_13b").weights_gb == 26.0


def test_a_folder_overrides_a_packaged_row_whole(tmp_path: Path):
    (tmp_path / "prices.csv").write_text(
        "vm,provider_region,kind,usd_per_vm_hour,source,date\n"
        "azure_nd96isr_h100_v5,eastus,on_demand,60.5,contract,2026-10-01\n"
    )
    price = catalog.load(tmp_path).usd_per_vm_hour("h100_80gb", "eastus")
    assert (price.usd_per_vm_hour, price.price.source, price.candidates) == (60.5, "contract", 2)


def test_all_faults_of_a_folder_are_reported_together(tmp_path: Path):
    (tmp_path / "model.toml").write_text("")
    (tmp_path / "models.toml").write_text(MODEL.format(key="a", parameters_b=0) + 'colour = "red"\n')
    (tmp_path / "profiles.toml").write_text(PROFILE.format(model="llama31_8b", gpu="h100", prefill_s=[0.02, 0.1]))
    (tmp_path / "gpus.toml").write_text("[[gpuss]]\nkey = 'x'\n")
    (tmp_path / "prices.csv").write_text(
        "vm,provider_region,kind,usd_per_vm_hour,source,date\nazure_nd96,eastus,on_demand,sixty,contract,2026\n"
    )
    with pytest.raises(CatalogError) as caught:
        catalog.load(tmp_path)
    for part in (
        "unknown file model.toml; did you mean 'models.toml'?",
        "unknown key colour",
        "names the unknown gpu h100; did you mean 'h100_80gb'?",
        "gpus.toml: unknown table gpuss; did you mean 'gpu'?",
        "prices 1: usd_per_vm_hour must be a number, got 'sixty'",
    ):
        assert part in str(caught.value)


def test_a_profile_beyond_the_hardware_is_refused(tmp_path: Path):
    # 2 x 68.977e9 x 1000 operations in 1 ms on 2 x 989 TFLOP/s is 69.7 times the peak; base 20 ms is under 20.6 ms
    (tmp_path / "profiles.toml").write_text(
        PROFILE.format(model="llama2_70b", gpu="h100_80gb", prefill_s=[0.0005, 0.001])
    )
    with pytest.raises(CatalogError, match=r"(?s)implies 69\.7 times the dense peak.*faster than reading the weights"):
        catalog.load(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(CatalogError, match="is no folder"):
        catalog.load(tmp_path / "nowhere")


def test_parts_of_a_profile_are_named_with_their_place(tmp_path: Path):
    good = PROFILE.format(model="llama31_8b", gpu="h100_80gb", prefill_s=[0.02, 0.1])
    for found, told in (
        (good.replace("r2 = 0.99", "r2 = 1.99"), "fit error: r2 must be 1 or less, got 1.99"),
        (good.replace("batch_max = 32", "batch_mux = 32"), "validity.unknown key batch_mux; did you mean 'batch_max'"),
        (good.replace("batch_max = 32", "batch_max = 1.5"), "validity.batch_max must be a whole number, got 1.5"),
        (good.replace("{ r2 = 0.97, mape_fraction = 0.03 }", "0.03"), "decode_fit must be an inline table { r2 = ...,"),
        (good.replace("prompt_tokens_min = 100", "prompt_tokens_min = 0"), "prompt_tokens_min 0 must be positive"),
        ("\n".join(line for line in good.splitlines() if "validity" not in line), "validity is missing"),
    ):
        (tmp_path / "profiles.toml").write_text(found)
        with pytest.raises(CatalogError, match=re.escape(told)):
            catalog.load(tmp_path)


def test_settings_and_held_out_errors_may_be_left_out_or_given(tmp_path: Path):
    good = PROFILE.format(model="llama31_8b", gpu="h100_80gb", prefill_s=[0.02, 0.1])
    (tmp_path / "profiles.toml").write_text(good)
    profile = catalog.load(tmp_path).profile("llama31_8b", "h100_80gb")
    assert (profile.chunk_tokens, profile.prefill_held_out) == (0, None)
    more = "chunk_tokens = 2048\ndecode_held_out = { r2 = 0.9, mape_fraction = 0.04 }\n"
    (tmp_path / "profiles.toml").write_text(good + more)
    profile = catalog.load(tmp_path).profile("llama31_8b", "h100_80gb")
    assert (profile.chunk_tokens, profile.decode_held_out) == (2048, FitError(r2=0.9, mape_fraction=0.04))
