"""How the shipped profiles were made from public measurements; run as a script, it prints profiles.toml.

``.venv/bin/python tests/catalog/profile_recipe.py > workbench/catalog/profiles.toml``
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from workbench import catalog
from workbench.catalog import DecodePoint, Measurements, PrefillPoint
from workbench.catalog.bounds import kv_read_floor_s_per_token
from workbench.domain import Profile

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SPLITWISE = DATA / "splitwise-sim" / "perf_model.csv"
SAGESERVE = DATA / "sageserve" / "original"
OPERATORS = DATA / "aiconfigurator" / "derived_dense_iteration_estimates.csv"

SERVER_OVER_OPERATORS = 1.2
GRAPH_CONTEXT_TOKENS = 8192

SPLITWISE_SOURCE = (
    "github.com/Mutinifni/splitwise-sim commit 8f99e7d, data/perf_model.csv (MIT; Patel et al., ISCA 2024), medians; "
    "engine of 2023"
)
SAGESERVE_SOURCE = (
    "github.com/shashwatj07/SageServe commit 0b95ca2, {file} (MIT), seconds and whole-output decode times converted; "
    "decode points of contexts above 8192 tokens left out"
)
OPERATOR_SOURCE = (
    "composed from operators measured with vLLM {vllm}, github.com/ai-dynamo/aiconfigurator commit 095f58a "
    "(Apache-2.0), a lower bound, times 1.2 (a measured server is 1.1-1.3 times slower); tensor parallel {gpus}"
)
OUTLIER_NOTE = (
    "; prompts of 2048 tokens left out, where one product of matrices of the source (n 12288, k 8192) takes 4.5 times "
    "what its neighbours say"
)
PCIE_NOTE = "; sums over GPUs go through PCIe and cost much time"
SCALED_SOURCE = (
    "measured times on a100_80gb x 2 times the ratio of the llama31_8b profiles {gpu} x 1 over a100_80gb x 2 at "
    "the same prompt, batch and context; no measurement on this GPU"
)
FLOOR_NOTE = ", and time per KV token at its lower bound"

SYSTEMS = {
    "a100_80gb": "a100_sxm", "h100_80gb": "h100_sxm", "h200_141gb": "h200_sxm", "l40s_48gb": "l40s",
    "b200_180gb": "b200_sxm",
}  # fmt: skip
OPERATOR_NAMES = {"llama31_8b": "Llama-3.1-8B", "llama31_70b": "Llama-3.1-70B", "qwen3_32b": "Qwen3-32B"}
#: GPUs per replica: the fewest that leave half as much room for KV cache as the weights take; of L40S, which have no
#: links of their own, the fewest that hold the weights; of Qwen3 32B two at least, below which the source interpolates.
OPERATOR_GPUS = {
    ("llama31_8b", "h100_80gb"): 1,
    ("llama31_8b", "h200_141gb"): 1,
    ("llama31_8b", "l40s_48gb"): 1,
    ("llama31_8b", "b200_180gb"): 1,
    ("llama31_70b", "a100_80gb"): 4,
    ("llama31_70b", "h100_80gb"): 4,
    ("llama31_70b", "h200_141gb"): 2,
    ("llama31_70b", "l40s_48gb"): 4,
    ("llama31_70b", "b200_180gb"): 2,
    ("qwen3_32b", "a100_80gb"): 2,
    ("qwen3_32b", "h100_80gb"): 2,
    ("qwen3_32b", "h200_141gb"): 2,
    ("qwen3_32b", "l40s_48gb"): 2,
    ("qwen3_32b", "b200_180gb"): 2,
}


def splitwise(model: str, hardware: str, gpu: str, stored: str) -> Profile:
    """Fit a large model at tensor parallel 8: milliseconds, one iteration."""
    known = catalog.load()
    points = catalog.import_measurements(
        SPLITWISE,
        unit="ms",
        token_time="one_iteration",
        model=known.model(model),
        gpu=known.gpu(gpu),
        gpus_per_replica=8,
        where={"model": stored, "hardware": hardware, "tensor_parallel": "8"},
    )
    return catalog.fit_profile(
        points,
        model=known.model(model),
        gpu=known.gpu(gpu),
        gpus_per_replica=8,
        basis="measured",
        source=SPLITWISE_SOURCE,
        date="2023",
    )


def sageserve_points(model: str, file: str) -> Measurements:
    """Read every run of a small model at tensor parallel 2: seconds, whole output."""
    known = catalog.load()
    return catalog.import_measurements(
        SAGESERVE / file,
        unit="s",
        token_time="whole_output",
        model=known.model(model),
        gpu=known.gpu("a100_80gb"),
        gpus_per_replica=2,
        context_max_tokens=GRAPH_CONTEXT_TOKENS,
        prompt_time="unknown",
    )


def sageserve(model: str, file: str) -> Profile:
    """Fit a small model on A100 at tensor parallel 2."""
    known = catalog.load()
    return catalog.fit_profile(
        sageserve_points(model, file),
        model=known.model(model),
        gpu=known.gpu("a100_80gb"),
        gpus_per_replica=2,
        basis="measured",
        source=SAGESERVE_SOURCE.format(file=file),
        date="2025-02-20",
    )


def operators(model: str, gpu: str, gpus: int) -> Profile:
    """Estimate a model from operator times in BF16; a prompt of one token costs a decode iteration."""
    wanted = (SYSTEMS[gpu], "bfloat16", OPERATOR_NAMES[model], str(gpus))
    with OPERATORS.open(newline="") as lines:
        row = next(
            row for row in csv.DictReader(lines) if (row["system"], row["dtype"], row["model"], row["tp"]) == wanted
        )
    decode = [(batch, 1024, float(row[f"decode_ms_b{batch}_ctx1024"])) for batch in (1, 8, 32, 64, 128, 256)]
    decode.append((32, 8192, float(row["decode_ms_b32_ctx8192"])))
    has_outlier = (model, gpu) == ("llama31_70b", "h100_80gb")
    sizes = (512, 8192) if has_outlier else (512, 2048, 8192)
    prefill = [(1.0, decode[0][2] / 1e3)]
    prefill += [(float(tokens), tokens / float(row[f"prefill_tok_s_{tokens}"])) for tokens in sizes]
    points = Measurements(
        prefill=tuple(PrefillPoint(input_tokens=tokens, seconds=seconds) for tokens, seconds in prefill),
        decode=tuple(
            DecodePoint(requests=batch, kv_tokens=batch * context, seconds=ms / 1e3) for batch, context, ms in decode
        ),
    )
    known = catalog.load()
    source = OPERATOR_SOURCE.format(vllm=row["vllm"], gpus=gpus) + (OUTLIER_NOTE if has_outlier else "")
    return catalog.fit_profile(
        points.scaled(SERVER_OVER_OPERATORS),
        model=known.model(model),
        gpu=known.gpu(gpu),
        gpus_per_replica=gpus,
        basis="estimated",
        source=source + (PCIE_NOTE if gpu == "l40s_48gb" and gpus > 1 else ""),
        date="2026",
    )


def scaled(points: Measurements, slow: Profile, fast: Profile) -> Profile:
    """Estimate Llama 3.2 3B on one GPU from its A100 points and the ratio of two profiles of Llama 3.1 8B."""
    known = catalog.load()
    points = points.medians()
    ratio = Measurements(
        prefill=tuple(
            PrefillPoint(
                input_tokens=point.input_tokens,
                seconds=point.seconds * _prefill(fast, point.input_tokens) / _prefill(slow, point.input_tokens),
            )
            for point in points.prefill
        ),
        decode=tuple(
            DecodePoint(
                requests=point.requests,
                kv_tokens=point.kv_tokens,
                seconds=point.seconds * _decode(fast, point) / _decode(slow, point),
            )
            for point in points.decode
        ),
    )
    model, gpu = known.model("llama32_3b"), known.gpu(fast.gpu)
    profile = catalog.fit_profile(
        ratio,
        model=model,
        gpu=gpu,
        gpus_per_replica=1,
        basis="estimated",
        source=SCALED_SOURCE.format(gpu=fast.gpu),
        date="2026",
    )
    is_at_floor = profile.decode_per_token_s <= kv_read_floor_s_per_token(model, gpu, 1) * (1 + 1e-9)
    return replace(profile, source=profile.source + FLOOR_NOTE) if is_at_floor else profile


def _prefill(profile: Profile, tokens: float) -> float:
    knots = list(zip(profile.prefill_tokens, profile.prefill_s, strict=True))
    for (left, low), (right, high) in pairwise(knots):
        if left <= tokens <= right:
            return low + (high - low) * (tokens - left) / (right - left)
    raise ValueError(f"{tokens} tokens lie outside the knots")


def _decode(profile: Profile, point: DecodePoint) -> float:
    return (
        profile.decode_base_s
        + profile.decode_per_request_s * point.requests
        + profile.decode_per_token_s * point.kv_tokens
    )


def every_profile() -> list[Profile]:
    """Fit all shipped profiles."""
    large = [
        splitwise(model, hardware, gpu, stored)
        for model, stored in (("llama2_70b", "llama2-70b"), ("bloom_176b", "bloom-176b"))
        for gpu, hardware in (("a100_80gb", "a100-80gb"), ("h100_80gb", "h100-80gb"))
    ]
    slow = sageserve("llama31_8b", "Llama-3.1-8B-tp-2.csv")
    small = sageserve("llama32_3b", "Llama-3.2-3B-tp-2.csv")
    composed = {key: operators(*key, gpus) for key, gpus in OPERATOR_GPUS.items()}
    points = sageserve_points("llama32_3b", "Llama-3.2-3B-tp-2.csv")
    from_ratio = [scaled(points, slow, fast) for (model, _), fast in composed.items() if model == slow.model]
    return [*large, slow, small, *composed.values(), *from_ratio]


if __name__ == "__main__":
    sys.stdout.write("# Fitted by tests/catalog/profile_recipe.py, which its test runs again. Seconds; batch_max and\n")
    sys.stdout.write("# prompt_tokens_max say how far the measurements reach, lines are extrapolated beyond.\n\n")
    sys.stdout.write("\n".join(catalog.profile_row(profile) for profile in every_profile()))
