"""Measured times of one model on one GPU kind, read from a file whose unit the caller must state.

Files of the Splitwise layout (one row per run: prompt_size, batch_size, token_size, prompt_time, token_time) look
alike whether they hold seconds or milliseconds and whether ``token_time`` is one iteration or the whole output; a
published table mixes both (sageserve.md section 13, item 5). So neither is guessed: both are arguments, and points
that no hardware can reach are refused, which is how a wrong argument shows.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal, get_args

from workbench.catalog.bounds import impossible_decode, impossible_prefill
from workbench.domain import Gpu, ServedModel
from workbench.errors import CatalogError, nearest, together

Unit = Literal["s", "ms"]
TokenTime = Literal["one_iteration", "whole_output"]
PromptTime = Literal["whole_batch", "unknown"]

SECONDS_OF = {"s": 1.0, "ms": 1e-3}
COLUMNS = ("prompt_size", "batch_size", "token_size", "prompt_time", "token_time")


@dataclass(frozen=True, kw_only=True)
class PrefillPoint:
    """How long one prompt of so many tokens took alone; points of one ``run`` are held out together."""

    input_tokens: float
    seconds: float
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class DecodePoint:
    """How long one decode iteration took with so many running requests that held so many tokens of KV cache."""

    requests: float
    kv_tokens: float
    seconds: float
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Points of one model on one GPU kind and number of GPUs, in seconds."""

    prefill: tuple[PrefillPoint, ...]
    decode: tuple[DecodePoint, ...]

    def scaled(self, factor: float) -> Measurements:
        """Return the same points, every time multiplied by a factor."""
        return Measurements(
            prefill=tuple(replace(point, seconds=point.seconds * factor) for point in self.prefill),
            decode=tuple(replace(point, seconds=point.seconds * factor) for point in self.decode),
        )

    def medians(self) -> Measurements:
        """Return one point per prompt size, and per batch and context: the median of its repeats."""
        alone: dict[float, list[float]] = defaultdict(list)
        together: dict[tuple[float, float], list[float]] = defaultdict(list)
        for prompt in self.prefill:
            alone[prompt.input_tokens].append(prompt.seconds)
        for step in self.decode:
            together[step.requests, step.kv_tokens].append(step.seconds)
        return Measurements(
            prefill=tuple(PrefillPoint(input_tokens=tokens, seconds=median(alone[tokens])) for tokens in sorted(alone)),
            decode=tuple(
                DecodePoint(requests=requests, kv_tokens=kv_tokens, seconds=median(together[requests, kv_tokens]))
                for requests, kv_tokens in sorted(together)
            ),
        )


@dataclass(frozen=True)
class _Run:
    input_tokens: int
    requests: int
    output_tokens: int
    prefill_s: float
    decode_s: float


def import_measurements(
    path: Path,
    *,
    unit: Unit,
    token_time: TokenTime,
    model: ServedModel,
    gpu: Gpu,
    gpus_per_replica: int,
    where: Mapping[str, str] | None = None,
    context_max_tokens: int | None = None,
    prompt_time: PromptTime = "whole_batch",
) -> Measurements:
    """Read a measurement file of the Splitwise layout into points, one for every run, in seconds.

    ``where`` keeps the rows with these column values. Prefill points come from runs of one prompt; decode points from
    every run, at the mean KV cache of the run: requests x (prompt + output / 2). ``context_max_tokens`` leaves out
    decode points of longer contexts, where some engines leave their captured graphs and time jumps. ``prompt_time``
    says whether the prompt time of a batch covers all of it: then a run whose batch cannot have been read in that time
    is refused, since its decode time cannot be of that batch either; "unknown" leaves it unjudged.

    Raises CatalogError for a missing file or column, a value that is no number, no row left, and where the median of
    repeats is a time that the GPUs cannot have reached, naming the first and how many there are.
    """
    for name, given, known in (
        ("unit", unit, get_args(Unit)),
        ("token_time", token_time, get_args(TokenTime)),
        ("prompt_time", prompt_time, get_args(PromptTime)),
    ):
        if given not in known:
            raise CatalogError(f"import of {path.name}: {name} must be one of {', '.join(known)}, got {given!r}.")
    runs = _runs(path, SECONDS_OF[unit], token_time, where or {})
    points = Measurements(
        prefill=tuple(
            PrefillPoint(input_tokens=run.input_tokens, seconds=run.prefill_s) for run in runs if run.requests == 1
        ),
        decode=tuple(
            DecodePoint(
                requests=run.requests,
                kv_tokens=run.requests * (run.input_tokens + run.output_tokens / 2),
                seconds=run.decode_s,
            )
            for run in runs
            if context_max_tokens is None or run.input_tokens + run.output_tokens <= context_max_tokens
        ),
    )
    what = f"import of {path.name}"
    if prompt_time == "whole_batch":
        _refuse_unread(runs, model=model, gpu=gpu, gpus_per_replica=gpus_per_replica, what=what)
    refuse_impossible(points.medians(), model=model, gpu=gpu, gpus_per_replica=gpus_per_replica, what=what)
    return points


def refuse_impossible(points: Measurements, *, model: ServedModel, gpu: Gpu, gpus_per_replica: int, what: str) -> None:
    """Raise CatalogError where a point is faster than arithmetic or memory allows, prefill and decode both reported."""
    by_kind = {
        "prefill": [
            impossible_prefill(model, gpu, gpus_per_replica, point.input_tokens, point.seconds)
            for point in points.prefill
        ],
        "decode": [
            impossible_decode(
                model, gpu, gpus_per_replica, point.seconds, requests=point.requests, kv_tokens=point.kv_tokens
            )
            for point in points.decode
        ],
    }
    findings = [
        f"{len(wrong)} of {len(verdicts)} {kind} points of {model.key} are impossible, first: {wrong[0]}"
        for kind, verdicts in by_kind.items()
        for wrong in [[verdict for verdict in verdicts if verdict]]
        if wrong
    ]
    if findings:
        raise CatalogError(f"{what}: {together(findings)}")


def _refuse_unread(runs: list[_Run], *, model: ServedModel, gpu: Gpu, gpus_per_replica: int, what: str) -> None:
    """Raise CatalogError where the prompts of a batch cannot have been read in the time stored for them."""
    times: dict[tuple[int, int], list[float]] = defaultdict(list)
    for run in runs:
        if run.requests > 1:
            times[run.requests, run.input_tokens].append(run.prefill_s)
    unread = {
        (requests, tokens): verdict
        for (requests, tokens), seconds in sorted(times.items())
        for verdict in [impossible_prefill(model, gpu, gpus_per_replica, requests * tokens, median(seconds))]
        if verdict
    }
    if unread:
        (requests, tokens), verdict = next(iter(unread.items()))
        raise CatalogError(
            f"{what}: the prompts of {len(unread)} of {len(times)} batches of {model.key} cannot have been read, first "
            f"{requests} x {tokens:,} tokens: {verdict}; leave these runs out, or say prompt_time='unknown' where the "
            "time is not that of the whole batch."
        )


def _runs(path: Path, seconds: float, token_time: str, where: Mapping[str, str]) -> list[_Run]:
    if not path.is_file():
        raise CatalogError(f"import of {path.name}: no such file; looked for {path}.")
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        found = reader.fieldnames or []
        missing = [
            f"column {name} is missing; {nearest(name, found)}" for name in (*COLUMNS, *where) if name not in found
        ]
        if missing:
            raise CatalogError(f"import of {path.name}: {together(missing)}")
        rows = [row for row in reader if all(row[name] == value for name, value in where.items())]
    if not rows:
        raise CatalogError(f"import of {path.name}: no row where {dict(where)}.")
    try:
        return [_run(row, seconds, token_time) for row in rows]
    except ValueError as error:
        raise CatalogError(f"import of {path.name}: a value is not a number ({error}).") from error


def _run(row: Mapping[str, str], seconds: float, token_time: str) -> _Run:
    output_tokens = int(row["token_size"])
    iterations = max(1, output_tokens - 1) if token_time == "whole_output" else 1
    return _Run(
        input_tokens=int(row["prompt_size"]),
        requests=int(row["batch_size"]),
        output_tokens=output_tokens,
        prefill_s=float(row["prompt_time"]) * seconds,
        decode_s=float(row["token_time"]) * seconds / iterations,
    )
