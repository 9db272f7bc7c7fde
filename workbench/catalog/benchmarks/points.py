"""Levels of load into points of prefill and decode, and what they can tell apart.

A prompt's time is the time to the first token of requests that ran alone. A decode iteration's time is a request's gap
less what other prompts took of it: from its first to its last token it sees so many iterations, and every prompt whose
first token came in between made one of them longer by its marginal time. Batch and KV cache are means over that span.
Where a file has no instants the same is said of the mean request of a level of load, by Little's law: beside itself it
sees as many others decode as come a second times their decode time, and their prompts take rate x marginal time of
each second. That leaves out how the load rose and fell, so such files want many requests per level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from workbench.catalog.benchmarks.runs import BenchmarkRun, TimedRequest
from workbench.catalog.measurements import DecodePoint, PrefillPoint

MOST_SIZES = 8
MOST_SPANS = 20  # of a level of load: requests next to each other are taken together, so that no point is one request's
LEAST_GAPS = 4  # of a request, to say how long one is
Floats = npt.NDArray[np.float64]
Marginal = Callable[[Floats], Floats]


def prefill_points(runs: Sequence[BenchmarkRun]) -> tuple[PrefillPoint, ...]:
    """Return the time to the first token of every request that ran alone.

    Where there are more than eight lengths they are gathered into eight groups of like length, each time moved to the
    middle of its group along the line through all.
    """
    alone = [request for run in runs for request in _alone(run)]
    if not alone:
        return ()
    tokens = np.array([request.input_tokens for request in alone])
    seconds = np.array([request.ttft_s for request in alone])
    if np.unique(tokens).size > MOST_SIZES:
        slope = max(float(np.polyfit(tokens, seconds, 1)[0]), 0.0)
        middle = _middle_of_groups(tokens)
        seconds = np.maximum(seconds + slope * (middle - tokens), seconds.min())
        tokens = middle
    return tuple(
        PrefillPoint(input_tokens=float(size), seconds=float(time)) for size, time in zip(tokens, seconds, strict=True)
    )


def decode_points(runs: Sequence[BenchmarkRun], marginal_s: Marginal) -> tuple[DecodePoint, ...]:
    """Return decode iterations without prefill, given the marginal seconds of prompts by their tokens."""
    points: list[DecodePoint] = []
    for run in runs:
        points += _by_instants(run, marginal_s) if run.is_timeline else _by_means(run, marginal_s)
    return tuple(points)


def tells_context_apart(points: Sequence[DecodePoint], *, least_fraction: float = 0.02) -> bool:
    """Return whether KV tokens vary apart from requests: by that share of their variance at least."""
    requests = np.array([(1.0, point.requests) for point in points])
    held = np.array([point.kv_tokens for point in points])
    left = held - requests @ np.linalg.lstsq(requests, held, rcond=None)[0]
    spread = float(((held - held.mean()) ** 2).sum())
    return spread > 0 and float((left**2).sum()) >= least_fraction * spread


def _alone(run: BenchmarkRun) -> list[TimedRequest]:
    if not run.is_timeline:
        return list(run.requests) if run.concurrency == 1 else []
    by_start = sorted(run.requests, key=lambda request: request.start_s or 0.0)
    ended_s, alone = -np.inf, []
    for request, after in zip(by_start, [*by_start[1:], None], strict=True):
        begins_s = request.start_s or 0.0
        is_followed = after is not None and (after.start_s or 0.0) < request.first_token_s
        if begins_s >= ended_s and not is_followed:
            alone.append(request)
        ended_s = max(ended_s, request.end_s)
    return alone


def _middle_of_groups(tokens: Floats) -> Floats:
    order = np.argsort(tokens, kind="stable")
    middle = np.empty_like(tokens)
    for group in np.array_split(order, MOST_SIZES):
        middle[group] = np.median(tokens[group])
    return middle


def _by_instants(run: BenchmarkRun, marginal_s: Marginal) -> list[DecodePoint]:
    tokens, output, first_s, end_s = (
        np.array([getattr(request, name) for request in run.requests])
        for name in ("input_tokens", "output_tokens", "first_token_s", "end_s")
    )
    held = tokens + output / 2.0
    running = _mean_between(first_s, end_s, np.ones_like(held))
    kv_tokens = _mean_between(first_s, end_s, held)
    order = np.argsort(first_s, kind="stable")
    read_s = np.concatenate([[0.0], np.cumsum(marginal_s(tokens[order]))])
    prompts_s = read_s[np.searchsorted(first_s[order], end_s, side="right")]
    prompts_s = prompts_s - read_s[np.searchsorted(first_s[order], first_s, side="right")]
    gaps = output - 1.0
    is_long = gaps >= LEAST_GAPS
    gap_s = np.divide(end_s - first_s - prompts_s, gaps, out=np.zeros_like(gaps), where=is_long)
    kept = np.flatnonzero(is_long & (gap_s > 0))
    in_turn = kept[np.argsort(first_s[kept], kind="stable")]
    return [
        DecodePoint(
            requests=float(running[group].mean()),
            kv_tokens=float(kv_tokens[group].mean()),
            seconds=float(gap_s[group].mean()),
            run=run.label,
        )
        for group in np.array_split(in_turn, min(MOST_SPANS, max(in_turn.size, 1)))
        if group.size
    ]


def _mean_between(first_s: Floats, end_s: Floats, weight: Floats) -> Floats:
    """Return the mean, over each request's own span, of the weights of all whose spans hold an instant."""
    instants = np.concatenate([first_s, end_s])
    order = np.argsort(instants, kind="stable")
    edges = instants[order]
    level = np.cumsum(np.concatenate([weight, -weight])[order])
    area = np.concatenate([[0.0], np.cumsum(level[:-1] * np.diff(edges))])
    spans = np.interp(end_s, edges, area) - np.interp(first_s, edges, area)
    mean: Floats = np.divide(spans, end_s - first_s, out=weight.copy(), where=end_s > first_s)
    return mean


def _by_means(run: BenchmarkRun, marginal_s: Marginal) -> list[DecodePoint]:
    tokens, output, decode_s = (
        np.array([getattr(request, name) for request in run.requests])
        for name in ("input_tokens", "output_tokens", "decode_s")
    )
    gaps, rate = float((output - 1.0).sum()), run.others_rps
    reading_fraction = rate * float(marginal_s(tokens).mean())
    if gaps < LEAST_GAPS or reading_fraction >= 1.0:
        return []
    running = 1.0 + rate * float(decode_s.mean())
    held = float((decode_s * (tokens + output / 2.0)).sum() / decode_s.sum())
    gap_s = float(decode_s.sum()) / gaps * (1.0 - reading_fraction)
    return [DecodePoint(requests=running, kv_tokens=running * held, seconds=gap_s, run=run.label)]
