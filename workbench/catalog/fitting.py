"""From points to a profile: prefill by its own medians, decode by three coefficients that respect the hardware.

Prefill stays piecewise linear through the medians because one slope misleads (simulation.md section 1). Decode is
c + d x requests + e x KV tokens by least squares, with c no less than reading the weights, e no less than reading the
KV bytes and d not negative. Sweeps that grow batch and context together identify e badly; the floor then decides, and
a profile whose e equals the floor says "lower bound".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.catalog.bounds import decode_floor_s, kv_read_floor_s_per_token
from workbench.catalog.judging import Predict, error_of, held_out
from workbench.catalog.measurements import DecodePoint, Measurements, PrefillPoint, refuse_impossible
from workbench.domain import Gpu, Profile, ServedModel, Validity
from workbench.errors import CatalogError

BATCH_CAP = 512
Floats = npt.NDArray[np.float64]


def fit_profile(
    points: Measurements,
    *,
    model: ServedModel,
    gpu: Gpu,
    gpus_per_replica: int,
    basis: Literal["measured", "estimated"],
    source: str,
    date: str,
    batch_cap: int = BATCH_CAP,
    chunk_tokens: int = 0,
    has_context: bool = True,
) -> Profile:
    """Fit a profile of a model on a GPU kind to measured or estimated points.

    ``batch_cap`` (SageServe's default 512) and ``chunk_tokens`` are the engine's settings; the validity of the result
    says how far the points reach, and beyond them the lines are extrapolated. Its errors are judged on every point,
    held-out ones only for measurements of enough points. Without ``has_context`` the points cannot tell the time of
    KV tokens from that of requests: the first is then what the hardware needs at least.

    Raises CatalogError for fewer than two prompt sizes or three decode points and for points that are physically
    impossible.
    """
    what = f"profile of {model.key} on {gpu.key} x {gpus_per_replica}"
    middle = points.medians()
    if len(middle.prefill) < 2 or len(middle.decode) < 3:
        raise CatalogError(
            f"{what}: a fit needs two prompt sizes and three decode points or more, found "
            f"{len(middle.prefill)} and {len(middle.decode)}; measure more of them."
        )
    refuse_impossible(middle, model=model, gpu=gpu, gpus_per_replica=gpus_per_replica, what=what)
    floors = (decode_floor_s(model, gpu, gpus_per_replica), kv_read_floor_s_per_token(model, gpu, gpus_per_replica))

    def decode_fit(of: Sequence[DecodePoint]) -> Predict[DecodePoint]:
        return _decode_line(decode_coefficients(_middle(of), floors=floors, has_context=has_context))

    knots = prefill_knots(middle.prefill)
    base, per_request, per_token = decode_coefficients(middle.decode, floors=floors, has_context=has_context)
    is_measured = basis == "measured"
    return Profile(
        model=model.key,
        gpu=gpu.key,
        gpus_per_replica=gpus_per_replica,
        prefill_tokens=tuple(float(tokens) for tokens in knots),
        prefill_s=tuple(knots.values()),
        decode_base_s=base,
        decode_per_request_s=per_request,
        decode_per_token_s=per_token,
        batch_cap=batch_cap,
        chunk_tokens=chunk_tokens,
        validity=_validity(middle),
        prefill_fit=error_of(points.prefill, _prefill_fit(points.prefill)(points.prefill)),
        decode_fit=error_of(points.decode, decode_fit(points.decode)(points.decode)),
        prefill_held_out=held_out(points.prefill, _prefill_fit, least_kinds=2) if is_measured else None,
        decode_held_out=held_out(points.decode, decode_fit, least_kinds=3) if is_measured else None,
        basis=basis,
        source=source,
        date=date,
    )


def prefill_knots(points: Sequence[PrefillPoint]) -> dict[float, float]:
    """Return the median time per prompt size, made not to fall with size by pooling neighbours that disagree."""
    sizes = sorted({point.input_tokens for point in points})
    pools: list[list[float]] = []
    for size in sizes:
        pools.append([float(np.median([point.seconds for point in points if point.input_tokens == size]))])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    times = [float(np.mean(pool)) for pool in pools for _ in pool]
    return dict(zip(sizes, times, strict=True))


def decode_coefficients(
    points: Sequence[DecodePoint], *, floors: tuple[float, float], has_context: bool = True
) -> tuple[float, float, float]:
    """Return c, d, e of a decode iteration by least squares in seconds, c and e at or above their floors, d >= 0.

    Without ``has_context`` e is its floor.
    """
    columns = np.array([(1.0, point.requests, point.kv_tokens) for point in points])
    lowest = np.array([floors[0], 0.0, floors[1]])
    left = np.array([point.seconds for point in points]) - columns @ lowest
    above = np.zeros(3)
    free = 3 if has_context else 2
    above[:free] = _least_squares_not_negative(columns[:, :free], left)
    base, per_request, per_token = (lowest + above).tolist()
    return base, per_request, per_token


def _prefill_fit(points: Sequence[PrefillPoint]) -> Predict[PrefillPoint]:
    """Return the piecewise line through the medians, its last segments continued."""
    knots = prefill_knots(points)
    sizes, times = np.array(list(knots)), np.array(list(knots.values()))
    slopes = np.diff(times) / np.diff(sizes)

    def line(at: Sequence[PrefillPoint]) -> list[float]:
        """Return the seconds on the line at the points' prompt sizes."""
        tokens = np.array([point.input_tokens for point in at])
        place = np.clip(np.searchsorted(sizes, tokens, side="right") - 1, 0, len(slopes) - 1)
        guessed: list[float] = (times[place] + slopes[place] * (tokens - sizes[place])).tolist()
        return guessed

    return line


def _decode_line(coefficients: tuple[float, float, float]) -> Predict[DecodePoint]:
    base, per_request, per_token = coefficients
    return lambda at: [base + per_request * point.requests + per_token * point.kv_tokens for point in at]


def _middle(points: Sequence[DecodePoint]) -> tuple[DecodePoint, ...]:
    return Measurements(prefill=(), decode=tuple(points)).medians().decode


def _validity(middle: Measurements) -> Validity:
    sizes = [point.input_tokens for point in middle.prefill]
    return Validity(
        prompt_tokens_min=float(min(sizes)),
        prompt_tokens_max=float(max(sizes)),
        batch_max=max(1, int(max(point.requests for point in middle.decode))),
        kv_tokens_max=float(max(point.kv_tokens for point in middle.decode)),
    )


def _least_squares_not_negative(columns: Floats, target: Floats) -> Floats:
    """Solve exactly by trying every set of columns that may be above zero: there are three at most."""
    scale = np.abs(columns).max(axis=0)
    best, best_error = np.zeros(columns.shape[1]), float(target @ target)
    for size in range(1, columns.shape[1] + 1):
        for chosen in combinations(range(columns.shape[1]), size):
            part = columns[:, chosen] / scale[list(chosen)]
            found = np.linalg.lstsq(part, target, rcond=None)[0]
            error = float(((part @ found - target) ** 2).sum())
            if (found >= 0).all() and error < best_error:
                best = np.zeros(columns.shape[1])
                best[list(chosen)] = found / scale[list(chosen)]
                best_error = error
    return best
