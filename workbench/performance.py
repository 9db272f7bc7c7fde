"""What one replica can do: memory for KV cache, seconds of prefill and decode, and the load it sustains.

One set of formulas serves the planner (how many requests per second a replica is worth) and the simulators (how long
an iteration takes), so that a plan and its simulation disagree about queues, never about speed. The closed forms are
those of one replica under a constant rate with continuous batching (simulation.md section 3):

    marginal work per request   w = b P + O d',  d' = d + e kap      (P, O mean tokens; kap KV tokens held per request)
    work fraction               rho = rate w
    mean running requests       B = rate O c / (1 - rho)
    mean gap between tokens     c / (1 - rho)
    largest sustainable         rho_max = Bmax / (Bmax + O c / w)

KV cache alone is a poor signal for small fast models, whose slots or work run out first, so the scaling signal is the
largest of the three unless the paper's KV-only signal is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from workbench.domain import SIGNALS, Gpu, Profile, Replica, ServedModel, TokenMix
from workbench.errors import CatalogError, ScenarioError, nearest
from workbench.tables import REPLICA_RATES
from workbench.units import BYTES_PER_GB

USABLE_MEMORY_FRACTION = 0.9
PLANNING_SIGNAL_FRACTION = 0.70


@dataclass(frozen=True, kw_only=True)
class Load:
    """One replica in the steady state at a constant rate.

    ``rps`` is what arrives, ``running`` the mean batch, ``iteration_s`` a decode iteration at that batch without
    prefill, ``itl_s`` the mean gap between tokens with prefill in between. ``work_fraction`` may pass 1 where more
    arrives than can be served; the other two fractions then stay at their value with every slot taken.
    ``signal_fraction`` is the scaling signal; ``binding`` says what runs out first: work, kv_cache or batch_slots
    (slots that the KV room sets, not the engine's cap, count as kv_cache).
    """

    rps: float
    work_fraction: float
    running: float
    iteration_s: float
    itl_s: float
    kv_cache_used_fraction: float
    batch_slots_used_fraction: float
    signal_fraction: float
    binding: str
    is_saturated: bool


def replica(
    model: ServedModel, gpu: Gpu, profile: Profile, *, usable_memory_fraction: float = USABLE_MEMORY_FRACTION
) -> Replica:
    """Derive what a replica can do from model, GPU kind and profile.

    KV room in tokens = (GPUs x memory x usable fraction - weights) / KV bytes per token; the rest of the memory holds
    activations and the engine itself.

    Raises CatalogError where the profile is of another model or GPU kind and where the weights do not fit.
    """
    if (profile.model, profile.gpu) != (model.key, gpu.key):
        raise CatalogError(
            f"replica of {model.key} on {gpu.key}: the profile is of {profile.model} on {profile.gpu}; take "
            "catalog.profile(model, gpu)."
        )
    usable_gb = profile.gpus_per_replica * gpu.memory_gb * usable_memory_fraction
    if usable_gb <= model.weights_gb:
        raise CatalogError(
            f"replica of {model.key} on {profile.gpus_per_replica} x {gpu.key}: {model.weights_gb:,.1f} GB of weights "
            f"do not fit in {usable_gb:,.1f} GB ({usable_memory_fraction:.0%} of the memory); use more GPUs per "
            "replica or narrower weights."
        )
    return Replica(
        model=model.key,
        gpu=gpu.key,
        gpus=profile.gpus_per_replica,
        prefill_tokens=profile.prefill_tokens,
        prefill_s=profile.prefill_s,
        decode_base_s=profile.decode_base_s,
        decode_per_request_s=profile.decode_per_request_s,
        decode_per_token_s=profile.decode_per_token_s,
        kv_cache_tokens=(usable_gb - model.weights_gb) * BYTES_PER_GB / model.kv_bytes_per_token,
        batch_cap=profile.batch_cap,
    )


def prefill_s(replica: Replica, tokens: float) -> float:
    """Return the seconds one prompt takes alone, by lines through the profile's points.

    Below the first point the line starts at the prefill's fixed part; beyond the last one it continues the last
    segment.
    """
    knots, times = (0.0, *replica.prefill_tokens), (_fixed_prefill_s(replica), *replica.prefill_s)
    right = next((i for i in range(1, len(knots)) if tokens <= knots[i]), len(knots) - 1)
    slope = (times[right] - times[right - 1]) / (knots[right] - knots[right - 1])
    return times[right] + slope * (tokens - knots[right])


def prompt_s_per_token(replica: Replica, mean_prompt_tokens: float) -> float:
    """Return b, the seconds one prompt token adds to an iteration that decodes anyway.

    b = (prefill(P) - a) / P at the mean prompt P, where a is the fixed part of a prefill, read off the first segment,
    as far as the iteration pays it already: between 0 and ``decode_base_s``. Planner and simulators share it.
    """
    fixed_s = min(_fixed_prefill_s(replica), replica.decode_base_s)
    return (prefill_s(replica, mean_prompt_tokens) - fixed_s) / mean_prompt_tokens


def slots(replica: Replica, mix: TokenMix) -> float:
    """Return Bmax, the requests that may run together: the engine's cap or the KV room over the reserved tokens."""
    return min(float(replica.batch_cap), replica.kv_cache_tokens / mix.kv_reserved_tokens)


def work_s(replica: Replica, mix: TokenMix) -> float:
    """Return w, the seconds of marginal work one request brings: its prompt and its share of decode iterations."""
    prompt_s = prompt_s_per_token(replica, mix.input_tokens) * mix.input_tokens
    return prompt_s + mix.output_tokens * _decode_s_per_request(replica, mix)


def max_rps(replica: Replica, mix: TokenMix) -> float:
    """Return the requests per second at which every slot is taken: rho_max / w (simulation.md section 3)."""
    return _rps_running(replica, mix, slots(replica, mix))


def steady_state(replica: Replica, mix: TokenMix, rps: float, *, signal: str = "largest") -> Load:
    """Describe one replica under a constant rate.

    Above :func:`max_rps` every slot is taken and requests queue without end: ``is_saturated`` says so.

    Raises ScenarioError for a rate below zero or an unknown signal.
    """
    _refuse_unknown(signal)
    if not rps >= 0:
        raise ScenarioError(f"steady state of {replica.model} on {replica.gpu}: rps must be 0 or more, got {rps}.")
    admitted_rps = min(rps, max_rps(replica, mix))
    work = rps * work_s(replica, mix)
    itl_s = replica.decode_base_s / (1.0 - admitted_rps * work_s(replica, mix))
    running = admitted_rps * mix.output_tokens * itl_s
    fractions = {
        "work": work,
        "kv_cache": running * mix.kv_held_tokens / replica.kv_cache_tokens,
        "batch_slots": running / slots(replica, mix),
    }
    largest = max(fractions, key=lambda name: fractions[name])
    return Load(
        rps=rps,
        work_fraction=work,
        running=running,
        iteration_s=replica.decode_base_s + _decode_s_per_request(replica, mix) * running,
        itl_s=itl_s,
        kv_cache_used_fraction=fractions["kv_cache"],
        batch_slots_used_fraction=fractions["batch_slots"],
        signal_fraction=fractions["kv_cache"] if signal == "kv_cache" else fractions[largest],
        binding=_slots_binding(replica, mix) if largest == "batch_slots" else largest,
        is_saturated=rps > admitted_rps,
    )


def sustained(
    replica: Replica,
    mix: TokenMix,
    *,
    signal_fraction: float = PLANNING_SIGNAL_FRACTION,
    signal: str = "largest",
) -> Load:
    """Return the load at the rate where the scaling signal reaches a fraction.

    Each fraction is inverted in closed form: work at f / w, a batch of B requests at B / (O c + w B). A KV-only signal
    may never reach the fraction, because slots run out first; the rate is then :func:`max_rps`, the signal what it is
    there, and ``binding`` says what stopped it.

    Raises ScenarioError for a fraction outside 0-1 or an unknown signal.
    """
    _refuse_unknown(signal)
    if not 0 < signal_fraction <= 1:
        raise ScenarioError(
            f"sustained rate of {replica.model}: signal_fraction must lie in 0-1, got {signal_fraction}."
        )
    by_kv = _rps_running(replica, mix, signal_fraction * replica.kv_cache_tokens / mix.kv_held_tokens)
    by_slots = _rps_running(replica, mix, signal_fraction * slots(replica, mix))
    work = work_s(replica, mix)
    by_work = signal_fraction / work if work > 0 else math.inf
    limit = _slots_binding(replica, mix)
    if signal == "kv_cache":
        rps, binding = min((by_kv, "kv_cache"), (max_rps(replica, mix), limit))
    else:
        rps, binding = min((by_work, "work"), (by_slots, limit), (by_kv, "kv_cache"))
    return replace(steady_state(replica, mix, rps, signal=signal), binding=binding)


def rates(
    replicas: Iterable[Replica],
    mixes: Mapping[str, TokenMix],
    *,
    signal_fraction: float = PLANNING_SIGNAL_FRACTION,
    signal: str = "largest",
) -> pl.DataFrame:
    """Return what each replica sustains as ``REPLICA_RATES``: one row per model and GPU kind.

    ``mixes`` holds the token mix by model. The prompt rate is the programme's theta (sageserve.md section 6.1).

    Raises ScenarioError for a model without a token mix.
    """
    return REPLICA_RATES.conform(
        pl.DataFrame(
            [_rates_row(kind, _mix_of(kind, mixes), signal_fraction, signal) for kind in replicas],
            schema=REPLICA_RATES.schema,
        )
    )


def _rates_row(kind: Replica, mix: TokenMix, signal_fraction: float, signal: str) -> dict[str, object]:
    load = sustained(kind, mix, signal_fraction=signal_fraction, signal=signal)
    return {
        "model": kind.model,
        "gpu": kind.gpu,
        "gpus_per_replica": kind.gpus,
        "rps": load.rps,
        "input_tps": load.rps * mix.input_tokens,
        "output_tps": load.rps * mix.output_tokens,
        "signal_fraction": load.signal_fraction,
        "binding": load.binding,
    }


def _mix_of(kind: Replica, mixes: Mapping[str, TokenMix]) -> TokenMix:
    if kind.model not in mixes:
        raise ScenarioError(f"rates: model {kind.model} has no token mix; {nearest(kind.model, mixes)}.")
    return mixes[kind.model]


def _rps_running(replica: Replica, mix: TokenMix, running: float) -> float:
    return running / (mix.output_tokens * replica.decode_base_s + work_s(replica, mix) * running)


def _decode_s_per_request(replica: Replica, mix: TokenMix) -> float:
    return replica.decode_per_request_s + replica.decode_per_token_s * mix.kv_held_tokens


def _fixed_prefill_s(replica: Replica) -> float:
    (first, second), (fast, slow) = replica.prefill_tokens[:2], replica.prefill_s[:2]
    return max(0.0, fast - first * (slow - fast) / (second - first))


def _slots_binding(replica: Replica, mix: TokenMix) -> str:
    return "kv_cache" if slots(replica, mix) < replica.batch_cap else "batch_slots"


def _refuse_unknown(signal: str) -> None:
    if signal not in SIGNALS:
        raise ScenarioError(f"signal {signal!r} is unknown; {nearest(signal, SIGNALS)}.")
