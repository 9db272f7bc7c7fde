"""From points to a profile: prefill by its own medians, decode by three coefficients that respect the hardware.

Prefill stays piecewise linear through the medians because one slope misleads (simulation.md section 1). Decode is
c + d x requests + e x KV tokens by least squares, with c no less than reading the weights, e no less than reading the
KV bytes and d not negative. Sweeps that grow batch and context together identify e badly; the floor then decides, and
a profile whose e equals the floor says "lower bound".
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.catalog.bounds import decode_floor_s, kv_read_floor_s_per_token
from workbench.catalog.measurements import DecodePoint, Measurements, PrefillPoint, refuse_impossible
from workbench.domain import Gpu, Profile, ServedModel
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
) -> Profile:
    """Fit a profile of a model on a GPU kind to measured or estimated points.

    ``batch_cap`` is the engine's setting (SageServe's default 512); ``batch_max`` and ``prompt_tokens_max`` of the
    result say how far the points reach, and beyond them the lines are extrapolated. ``fit_mape_fraction`` is the mean
    relative error over the points, of prefill or decode, whichever is larger.

    Raises CatalogError for fewer than two prompt sizes or three decode points and for points that are physically
    impossible.
    """
    what = f"profile of {model.key} on {gpu.key} x {gpus_per_replica}"
    if len({point.input_tokens for point in points.prefill}) < 2 or len(points.decode) < 3:
        raise CatalogError(
            f"{what}: a fit needs two prompt sizes and three decode points or more, found "
            f"{len(points.prefill)} and {len(points.decode)}; measure more of them."
        )
    refuse_impossible(points, model=model, gpu=gpu, gpus_per_replica=gpus_per_replica, what=what)
    knots = prefill_knots(points.prefill)
    base, per_request, per_token = decode_coefficients(
        points.decode,
        base_floor_s=decode_floor_s(model, gpu, gpus_per_replica),
        per_token_floor_s=kv_read_floor_s_per_token(model, gpu, gpus_per_replica),
    )
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
        prompt_tokens_max=float(max(knots)),
        batch_max=int(max(point.requests for point in points.decode)),
        fit_mape_fraction=max(
            _mape([knots[point.input_tokens] for point in points.prefill], [point.seconds for point in points.prefill]),
            _mape(
                [base + per_request * point.requests + per_token * point.kv_tokens for point in points.decode],
                [point.seconds for point in points.decode],
            ),
        ),
        basis=basis,
        source=source,
        date=date,
    )


def prefill_knots(points: tuple[PrefillPoint, ...]) -> dict[float, float]:
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
    points: tuple[DecodePoint, ...], *, base_floor_s: float, per_token_floor_s: float
) -> tuple[float, float, float]:
    """Return c, d, e of a decode iteration by least squares in seconds, c and e at or above their floors, d >= 0."""
    columns = np.array([(1.0, point.requests, point.kv_tokens) for point in points])
    floors = np.array([base_floor_s, 0.0, per_token_floor_s])
    above = _least_squares_not_negative(columns, np.array([point.seconds for point in points]) - columns @ floors)
    base, per_request, per_token = (floors + above).tolist()
    return base, per_request, per_token


def _least_squares_not_negative(columns: Floats, target: Floats) -> Floats:
    """Solve exactly by trying every set of columns that may be above zero: there are three."""
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


def _mape(fitted: list[float], measured: list[float]) -> float:
    return float(np.mean(np.abs(np.array(fitted) / np.array(measured) - 1.0)))
