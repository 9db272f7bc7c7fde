"""A profile from the levels of load of one server and what they could not tell, or a refusal that says what to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.catalog.benchmarks.points import decode_points, prefill_points, tells_context_apart
from workbench.catalog.benchmarks.reading import read_benchmarks
from workbench.catalog.benchmarks.runs import BenchmarkRun
from workbench.catalog.fitting import BATCH_CAP, fit_profile, prefill_knots
from workbench.catalog.measurements import DecodePoint, Measurements, PrefillPoint
from workbench.domain import Gpu, Profile, ServedModel
from workbench.errors import CatalogError

LEAST_RATIO = 2.0  # between the longest and the shortest prompt, and the largest and the smallest batch
ROUNDS = 4  # the time of prompts rests on the base of an iteration and the other way round; settled after two
TOOLS = {"vllm": "vllm bench serve", "guidellm": "GuideLLM"}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FittedBenchmarks:
    """A profile with how many levels of load and requests it rests on and, in words, what they could not tell."""

    profile: Profile
    runs: int
    requests: int
    notes: tuple[str, ...]


def fit_benchmarks(
    paths: Iterable[Path],
    *,
    format: str,
    model: ServedModel,
    gpu: Gpu,
    gpus_per_replica: int,
    batch_cap: int = BATCH_CAP,
    chunk_tokens: int = 0,
) -> FittedBenchmarks:
    """Fit a profile to benchmark files of one server (``format`` vllm or guidellm).

    Its held-out errors leave whole levels of load out. Times are what the client saw, network included.

    Raises CatalogError for files that cannot be read, for points that are physically impossible, and where the files
    cannot tell what a profile needs: without requests that ran alone with prompts a factor of two apart, and without
    batches a factor of two apart.
    """
    runs = read_benchmarks(paths, format=format)
    prefill = prefill_points(runs)
    _refuse_unidentified_prefill(prefill, TOOLS[format])
    decode = _decode_without_prefill(runs, prefill)
    _refuse_unidentified_decode(decode, TOOLS[format])
    has_context = tells_context_apart(decode)
    count = sum(len(run.requests) for run in runs)
    notes = _notes(runs, has_context=has_context)
    profile = fit_profile(
        Measurements(prefill=prefill, decode=decode),
        model=model,
        gpu=gpu,
        gpus_per_replica=gpus_per_replica,
        basis="measured",
        source="; ".join(
            [f"own benchmarks by {TOOLS[format]}, {len(runs)} levels of load, {count:,} requests", *notes]
        ),
        date=max((run.date for run in runs if run.date != "undated"), default="undated"),
        batch_cap=batch_cap,
        chunk_tokens=chunk_tokens,
        has_context=has_context,
    )
    return FittedBenchmarks(profile=profile, runs=len(runs), requests=count, notes=notes)


def _decode_without_prefill(runs: Sequence[BenchmarkRun], prefill: Sequence[PrefillPoint]) -> tuple[DecodePoint, ...]:
    """Return decode points; the base of an iteration, which a prompt in one does not pay again, settles by turns."""
    knots = prefill_knots(prefill)
    sizes, times = np.array(list(knots)), np.array(list(knots.values()))
    slopes = np.diff(times) / np.diff(sizes)
    fixed_s = max(0.0, float(times[0] - sizes[0] * slopes[0]))
    base_s = fixed_s
    points: tuple[DecodePoint, ...] = ()
    for _ in range(ROUNDS):
        paid_s = min(fixed_s, base_s)

        def marginal_s(tokens: Floats, paid_s: float = paid_s) -> Floats:
            """Return the seconds that prompts add to an iteration that is paid for already."""
            place = np.clip(np.searchsorted(sizes, tokens, side="right") - 1, 0, len(slopes) - 1)
            found: Floats = np.maximum(times[place] + slopes[place] * (tokens - sizes[place]) - paid_s, 0.0)
            return found

        points = decode_points(runs, marginal_s)
        if len(points) < 3:
            return points
        columns = np.array([(1.0, point.requests, point.kv_tokens) for point in points])
        seconds = np.array([point.seconds for point in points])
        used = columns if tells_context_apart(points) else columns[:, :2]
        base_s = max(float(np.linalg.lstsq(used, seconds, rcond=None)[0][0]), 0.0)
    return points


def _refuse_unidentified_prefill(points: Sequence[PrefillPoint], tool: str) -> None:
    alone = "--max-concurrency 1" if "vllm" in tool else "the synchronous profile"
    if not points:
        raise CatalogError(
            f"benchmarks: no request ran alone, so queueing cannot be told from prefill; add a run of {tool} with "
            f"{alone} and prompts of several lengths."
        )
    shortest, longest = (f(point.input_tokens for point in points) for f in (min, max))
    if longest < LEAST_RATIO * shortest:
        raise CatalogError(
            f"benchmarks: prompts that ran alone have {shortest:,.0f} to {longest:,.0f} tokens, too alike to tell what "
            f"a token costs from what a prompt costs; add runs of {tool} with {alone} at lengths a factor of "
            f"{LEAST_RATIO:g} apart or more."
        )


def _refuse_unidentified_decode(points: Sequence[DecodePoint], tool: str) -> None:
    if len(points) < 3:
        raise CatalogError(
            f"benchmarks: {len(points)} spans of decoding, and a fit needs three; add runs of {tool} at more levels of "
            "load, with outputs of five tokens or more."
        )
    smallest, largest = (f(point.requests for point in points) for f in (min, max))
    if largest < LEAST_RATIO * smallest:
        raise CatalogError(
            f"benchmarks: batches of {smallest:.1f} to {largest:.1f} requests are too alike to tell what a request "
            f"adds to an iteration; add runs of {tool} at higher concurrency."
        )


def _notes(runs: Sequence[BenchmarkRun], *, has_context: bool) -> tuple[str, ...]:
    notes = []
    if not has_context:
        notes.append(
            "batch and KV cache grew together, so time per KV token is at its lower bound and the rest counts per "
            "request: runs with other prompt lengths at the same concurrency would tell them apart"
        )
    means = sum(not run.is_timeline for run in runs)
    if means:
        notes.append(f"{means} of {len(runs)} levels of load by their means, without the instants of requests")
    return tuple(notes)
