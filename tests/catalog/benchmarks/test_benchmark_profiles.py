"""workbench.catalog.benchmarks.profiles: a server of known speed is found again from the files about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.benchmarks.benchmark_cases import (
    ASKED,
    BASE_S,
    PER_PROMPT_TOKEN_S,
    PER_REQUEST_S,
    PER_TOKEN_S,
    guidellm_report,
    lengths,
    serve,
    sweep,
    vllm_files,
    written,
)
from workbench import catalog, performance
from workbench.catalog import fit_benchmarks
from workbench.domain import Profile
from workbench.errors import CatalogError


def true_iteration_s(requests: float, kv_tokens: float) -> float:
    return BASE_S + PER_REQUEST_S * requests + PER_TOKEN_S * kv_tokens


def fitted_iteration_s(profile: Profile, requests: float, kv_tokens: float) -> float:
    return profile.decode_base_s + profile.decode_per_request_s * requests + profile.decode_per_token_s * kv_tokens


def files(folder: Path, tool: str, levels: dict) -> tuple[str, list[Path]]:
    if tool.startswith("guidellm"):
        return "guidellm", [written(folder, "benchmarks.json", guidellm_report(levels, version=tool.split()[1]))]
    return "vllm", vllm_files(folder, levels)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("tool", ["vllm", "guidellm 0.5", "guidellm 0.3"])
def test_a_server_of_known_speed_is_found_again(tmp_path: Path, tool: str, noise: float):
    name, paths = files(tmp_path, tool, sweep(noise=noise))
    found = fit_benchmarks(paths, format=name, **ASKED)
    profile = found.profile
    assert profile.decode_base_s == pytest.approx(BASE_S, rel=0.01)
    assert profile.decode_per_request_s == pytest.approx(PER_REQUEST_S, rel=0.05)
    assert profile.decode_per_token_s == pytest.approx(PER_TOKEN_S, rel=0.08)
    for tokens, seconds in zip(profile.prefill_tokens, profile.prefill_s, strict=True):
        assert seconds == pytest.approx(BASE_S + PER_PROMPT_TOKEN_S * tokens, rel=1e-6 if noise == 0 else 0.04)
    assert found.notes == ()
    for error in (profile.decode_held_out, profile.prefill_held_out):
        assert error is not None
        assert error.r2 > 0.97
        assert error.mape_fraction < 0.05


def test_what_a_profile_rests_on_is_said(tmp_path: Path):
    found = fit_benchmarks(vllm_files(tmp_path, sweep()), format="vllm", **ASKED)
    profile = found.profile
    assert (found.runs, found.requests, profile.basis, profile.date) == (7, 912, "measured", "2026-03-14")
    assert profile.source == "own benchmarks by vllm bench serve, 7 levels of load, 912 requests"
    assert 55 < profile.validity.batch_max <= 64
    assert profile.validity.prompt_tokens_max > 5000


def test_a_file_of_means_tells_how_long_an_iteration_takes_if_not_why(tmp_path: Path):
    means = fit_benchmarks(vllm_files(tmp_path, sweep(), starts=False), format="vllm", **ASKED)
    assert means.notes == ("7 of 7 levels of load by their means, without the instants of requests",)
    for requests, context in ((1, 3000), (8, 300), (32, 3000), (55, 3000)):
        held = requests * context
        assert fitted_iteration_s(means.profile, requests, held) == pytest.approx(
            true_iteration_s(requests, held), rel=0.04
        )


def test_sums_without_any_request_do_as_well(tmp_path: Path):
    levels = sweep() | {1: serve(1, [(500, 40)] * 30)}
    short = vllm_files(tmp_path, levels, detailed=False)
    long = tmp_path / "long"
    long.mkdir()
    found = fit_benchmarks(
        [*short, *vllm_files(long, {1: serve(1, [(4000, 40)] * 30)}, detailed=False)], format="vllm", **ASKED
    )
    assert found.profile.prefill_tokens == (500.0, 4000.0)
    assert found.profile.prefill_s[1] == pytest.approx(BASE_S + 4000 * PER_PROMPT_TOKEN_S, rel=1e-6)
    assert fitted_iteration_s(found.profile, 32, 96_000) == pytest.approx(true_iteration_s(32, 96_000), rel=0.03)


def test_batch_and_context_that_grew_together_are_not_told_apart(tmp_path: Path):
    same = sweep(prompts=((500, 500),)) | {1: serve(1, lengths(60, prompts=(450, 1100), outputs=(20, 60)))}
    found = fit_benchmarks(vllm_files(tmp_path, same), format="vllm", **ASKED)
    assert "time per KV token is at its lower bound" in found.notes[0]
    assert found.notes[0] in found.profile.source
    assert found.profile.decode_per_token_s == pytest.approx(131_072 / 3350e9)
    # at contexts of the benchmark the iteration is right all the same
    assert fitted_iteration_s(found.profile, 32, 32 * 550) == pytest.approx(true_iteration_s(32, 32 * 550), rel=0.02)


def test_the_fitted_row_serves_a_study(tmp_path: Path):
    profile = fit_benchmarks(vllm_files(tmp_path, sweep()), format="vllm", **ASKED).profile
    catalog.add_profile(profile, tmp_path / "catalog")
    known = catalog.load_beside(tmp_path)
    again = known.profile("llama31_8b", "h100_80gb")
    kind = performance.replica(known.model("llama31_8b"), known.gpu("h100_80gb"), again)
    assert kind.decode_base_s == pytest.approx(profile.decode_base_s, rel=1e-4)
    assert kind.validity == again.validity


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({8: 8, 32: 32}, "no request ran alone, so queueing cannot be told from prefill"),
        ({1: 1}, "batches of 1.0 to 1.0 requests are too alike"),
    ],
)
def test_too_few_kinds_of_load_are_refused_with_what_to_run(tmp_path: Path, levels: dict, told: str):
    served = {
        streams: serve(streams, lengths(12 + 4 * streams, prompts=(100, 6000), outputs=(20, 60))) for streams in levels
    }
    if 1 not in levels:  # a client that starts with all at once leaves nobody alone
        for requests in served.values():
            requests.sort(key=lambda request: request.start_s)
            del requests[-max(levels) :]
    with pytest.raises(CatalogError, match=told):
        fit_benchmarks(vllm_files(tmp_path, served, starts=1 in levels), format="vllm", **ASKED)


def test_prompts_of_one_length_are_refused(tmp_path: Path):
    levels = {1: serve(1, [(500, 40)] * 20), 8: serve(8, [(500, 40)] * 60)}
    with pytest.raises(CatalogError, match=r"500 to 500 tokens, too alike .* --max-concurrency 1 at lengths"):
        fit_benchmarks(vllm_files(tmp_path, levels), format="vllm", **ASKED)


def test_a_server_on_more_gpus_than_said_is_impossible(tmp_path: Path):
    wrong = ASKED | {"model": catalog.load().model("llama31_70b"), "gpus_per_replica": 1}
    with pytest.raises(CatalogError, match=r"(?s)of \d+ prefill points of llama31_70b are impossible.*number of GPUs"):
        fit_benchmarks(vllm_files(tmp_path, sweep()), format="vllm", **wrong)
