"""One replica under a constant rate: how many requests run, how long a gap between tokens is, what is used of what.

Fractions are inverted in closed form, so the planner's rate needs no search: the work fraction reaches f at f / w, and
whatever fills with x, the requests per iteration, reaches f at the x of which that is a share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from workbench.domain import SIGNALS, Replica, TokenMix
from workbench.errors import ScenarioError, nearest
from workbench.performance.limits import iterations_in_slot, max_rps, most_per_iteration, rps_at, slots, slots_named
from workbench.performance.speed import decode_s_per_request, work_s
from workbench.performance.validity import extrapolations

PLANNING_SIGNAL_FRACTION = 0.70


@dataclass(frozen=True, kw_only=True)
class Load:
    """One replica in the steady state at a constant rate.

    ``rps`` is what arrives, ``running`` the mean batch, ``iteration_s`` a decode iteration at that batch without
    prefill, ``itl_s`` the mean gap between tokens with prefill in between. ``work_fraction`` may pass 1 where more
    arrives than can be served; the other fractions then stay at their value at the largest rate.
    ``prefill_chunk_used_fraction`` is 0 where prompts are read whole. ``signal_fraction`` is the scaling signal;
    ``binding`` says what runs out first: work, kv_cache, batch_slots or prefill_chunk (slots that the KV room sets, not
    the engine's cap, count as kv_cache). ``extrapolated`` says in words where the profile's points do not reach so far.
    """

    rps: float
    work_fraction: float
    running: float
    iteration_s: float
    itl_s: float
    kv_cache_used_fraction: float
    batch_slots_used_fraction: float
    prefill_chunk_used_fraction: float
    signal_fraction: float
    binding: str
    is_saturated: bool
    extrapolated: tuple[str, ...]


def steady_state(replica: Replica, mix: TokenMix, rps: float, *, signal: str = "largest") -> Load:
    """Describe one replica under a constant rate.

    Above :func:`max_rps` every slot is taken, or every chunk full, and requests queue without end: ``is_saturated``
    says so.

    Raises ScenarioError for a rate below zero or an unknown signal.
    """
    _refuse_unknown(signal)
    if not rps >= 0:
        raise ScenarioError(f"steady state of {replica.model} on {replica.gpu}: rps must be 0 or more, got {rps}.")
    admitted_rps = min(rps, max_rps(replica, mix))
    work = rps * work_s(replica, mix)
    itl_s = replica.decode_base_s / (1.0 - admitted_rps * work_s(replica, mix))
    per_iteration = admitted_rps * itl_s
    running = per_iteration * mix.output_tokens
    chunk = replica.chunk_tokens
    fractions = {
        "work": work,
        "kv_cache": running * mix.kv_held_tokens / replica.kv_cache_tokens,
        "batch_slots": per_iteration * iterations_in_slot(replica, mix) / slots(replica, mix),
        "prefill_chunk": per_iteration * mix.input_tokens / chunk if chunk else 0.0,
    }
    largest = max(fractions, key=lambda name: fractions[name])
    return Load(
        rps=rps,
        work_fraction=work,
        running=running,
        iteration_s=replica.decode_base_s + decode_s_per_request(replica, mix) * running,
        itl_s=itl_s,
        kv_cache_used_fraction=fractions["kv_cache"],
        batch_slots_used_fraction=fractions["batch_slots"],
        prefill_chunk_used_fraction=fractions["prefill_chunk"],
        signal_fraction=fractions["kv_cache"] if signal == "kv_cache" else fractions[largest],
        binding=slots_named(replica, mix) if largest == "batch_slots" else largest,
        is_saturated=rps > admitted_rps,
        extrapolated=tuple(beyond.text for beyond in extrapolations(replica, mix, running=running)),
    )


def sustained(
    replica: Replica,
    mix: TokenMix,
    *,
    signal_fraction: float = PLANNING_SIGNAL_FRACTION,
    signal: str = "largest",
) -> Load:
    """Return the load at the rate where the scaling signal reaches a fraction.

    A KV-only signal may never reach the fraction, because slots or chunks run out first; the rate is then
    :func:`max_rps`, the signal what it is there, and ``binding`` says what stopped it.

    Raises ScenarioError for a fraction outside 0-1 or an unknown signal.
    """
    _refuse_unknown(signal)
    if not 0 < signal_fraction <= 1:
        raise ScenarioError(
            f"sustained rate of {replica.model}: signal_fraction must lie in 0-1, got {signal_fraction}."
        )
    full_kv = replica.kv_cache_tokens / mix.kv_held_tokens / mix.output_tokens
    by_kv = (rps_at(replica, mix, signal_fraction * full_kv), "kv_cache")
    most = most_per_iteration(replica, mix)
    if signal == "kv_cache":
        rps, binding = min(by_kv, (max_rps(replica, mix), min(most, key=lambda name: most[name])))
    else:
        work = work_s(replica, mix)
        by_work = (signal_fraction / work if work > 0 else math.inf, "work")
        by_most = [(rps_at(replica, mix, signal_fraction * x), name) for name, x in most.items() if x < math.inf]
        rps, binding = min(by_work, *by_most, by_kv)
    return replace(steady_state(replica, mix, rps, signal=signal), binding=binding)


def _refuse_unknown(signal: str) -> None:
    if signal not in SIGNALS:
        raise ScenarioError(f"signal {signal!r} is unknown; {nearest(signal, SIGNALS)}.")
