"""A server in plain Python, one iteration after the other, and the files that two tools would have written about it.

The structures are those of ``vllm bench serve --save-detailed`` and of GuideLLM's ``benchmarks.json`` (0.3 and 0.5),
fields that nothing reads left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import catalog

KNOWN = catalog.load()
MODEL, GPU = KNOWN.model("llama31_8b"), KNOWN.gpu("h100_80gb")
ASKED: dict[str, Any] = {"model": MODEL, "gpu": GPU, "gpus_per_replica": 1}

#: seconds: base, per request, per KV token; a prompt's marginal time per token
BASE_S, PER_REQUEST_S, PER_TOKEN_S, PER_PROMPT_TOKEN_S = 0.0075, 6e-5, 6e-8, 3e-5
EPOCH_S = 1_760_000_000.0


@dataclass
class Served:
    """One request as the client saw it."""

    prompt: int
    output: int
    start_s: float
    first_s: float = 0.0
    end_s: float = 0.0
    done: int = 0


def serve(streams: int, lengths: Sequence[tuple[int, int]], *, noise: float = 0.0, seed: int = 1) -> list[Served]:
    """Serve the requests with so many at once: the next is sent when one is done."""
    drawn = random.Random(seed)
    waiting = [Served(prompt, output, 0.0) for prompt, output in lengths]
    fresh, running, done, now = [waiting.pop(0) for _ in range(min(streams, len(waiting)))], [], [], 0.0
    while fresh or running:
        held = sum(request.prompt + request.done for request in running)
        took = BASE_S + PER_REQUEST_S * len(running) + PER_TOKEN_S * held
        took += sum(PER_PROMPT_TOKEN_S * request.prompt for request in fresh)
        now += took * (1.0 + noise * drawn.uniform(-1.0, 1.0))
        for request in running:
            request.done += 1
        for request in fresh:
            request.first_s, request.done = now, 1
        running, fresh = running + fresh, []
        for request in [request for request in running if request.done == request.output]:
            request.end_s = now
            running.remove(request)
            done.append(request)
            if waiting:
                fresh.append(waiting.pop(0))
                fresh[-1].start_s = now
    return done


def lengths(count: int, *, prompts: tuple[int, int], outputs: tuple[int, int], seed: int = 1) -> list[tuple[int, int]]:
    """Lengths of prompts and outputs, each drawn between two bounds."""
    drawn = random.Random(seed)
    return [(drawn.randint(*prompts), drawn.randint(*outputs)) for _ in range(count)]


def sweep(*, noise: float = 0.0, prompts: tuple[tuple[int, int], ...] = ((200, 400), (2000, 4000))) -> dict[int, list]:
    """Serve six levels of load, prompts short and long in turn."""
    return {
        streams: serve(
            streams,
            lengths(16 + 6 * streams, prompts=prompts[turn % len(prompts)], outputs=(40, 160), seed=streams),
            noise=noise,
            seed=streams,
        )
        for turn, streams in enumerate((2, 4, 8, 16, 32, 64))
    } | {1: serve(1, lengths(60, prompts=(100, 6000), outputs=(20, 60)), noise=noise)}


def vllm_result(served: list[Served], streams: int, *, detailed: bool = True, starts: bool = True) -> dict[str, Any]:
    """Return what ``vllm bench serve`` saves."""
    count, span = len(served), max(request.end_s for request in served)
    gaps = [(request.end_s - request.first_s) / (request.output - 1) for request in served]
    ttfts = sorted(request.first_s - request.start_s for request in served)
    result: dict[str, Any] = {
        "date": "20260314-101500",
        "backend": "vllm",
        "model_id": "meta-llama/Llama-3.1-8B-Instruct",
        "num_prompts": count,
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": streams,
        "duration": span,
        "completed": count,
        "failed": 0,
        "total_input_tokens": sum(request.prompt for request in served),
        "total_output_tokens": sum(request.output for request in served),
        "request_throughput": count / span,
        "mean_ttft_ms": sum(ttfts) / count * 1e3,
        "median_ttft_ms": ttfts[count // 2] * 1e3,
        "mean_tpot_ms": sum(gaps) / count * 1e3,
        "mean_itl_ms": sum(gaps) / count * 1e3,
    }
    if detailed:
        result |= {
            "input_lens": [request.prompt for request in served],
            "output_lens": [request.output for request in served],
            "ttfts": [request.first_s - request.start_s for request in served],
            "itls": [[gap] * (request.output - 1) for gap, request in zip(gaps, served, strict=True)],
            "generated_texts": ["x"] * count,
            "errors": [""] * count,
        }
    if detailed and starts:
        result["start_times"] = [1000.0 + request.start_s for request in served]
    return result


def guidellm_report(levels: dict[int, list[Served]], *, version: str = "0.5") -> dict[str, Any]:
    """Return what GuideLLM saves; 0.3 keeps strategy and instants in other places than 0.5."""
    is_new = version == "0.5"
    start, end = ("request_start_time", "request_end_time") if is_new else ("start_time", "end_time")

    def level(streams: int, served: list[Served]) -> dict[str, Any]:
        strategy: dict[str, Any] = {"type_": "concurrent", "streams": streams}
        strategy = {"type_": "synchronous"} if streams == 1 else strategy
        totals = {"successful": len(served), "incomplete": 0, "errored": 0, "total": len(served)}
        rate = len(served) / max(request.end_s for request in served)
        return {
            "type_": "generative_benchmark",
            "config" if is_new else "args": {"strategy": strategy},
            "run_stats": {"requests_made": totals},
            "metrics": {
                "requests_per_second": {"successful": {"mean": rate}},
                **({"request_totals": totals} if is_new else {}),
            },
            "requests": {
                "successful": [
                    {
                        "request_id": str(number),
                        "prompt_tokens": request.prompt,
                        "output_tokens": request.output,
                        start: EPOCH_S + request.start_s,
                        end: EPOCH_S + request.end_s,
                        "request_latency": request.end_s - request.start_s,
                        "time_to_first_token_ms": (request.first_s - request.start_s) * 1e3,
                        "inter_token_latency_ms": (request.end_s - request.first_s) / (request.output - 1) * 1e3,
                    }
                    for number, request in enumerate(served)
                ],
                "incomplete": [],
                "errored": [],
            },
        }

    return {"benchmarks": [level(streams, served) for streams, served in levels.items()]}


def written(folder: Path, name: str, content: object) -> Path:
    """Write a document as JSON."""
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def vllm_files(folder: Path, levels: dict[int, list[Served]], **how: bool) -> list[Path]:
    """Write a file for every level of load."""
    return [
        written(folder, f"c{streams}.json", vllm_result(served, streams, **how)) for streams, served in levels.items()
    ]
