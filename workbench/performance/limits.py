"""What runs out: slots of the batch, KV room, and the prompt tokens that an iteration may read.

Everything is counted in x, the requests that enter and leave per iteration. A request holds its slot for I iterations:
one or more that read its prompt and one for each further token, so slots allow x = Bmax / I. Where an iteration reads C
prompt tokens at most, it takes in no more than x = C / P. An iteration that takes in x lasts c / (1 - rho) = c + x w,
so the rate is x / (c + x w) whatever sets x; for whole prompts I = O and this is the rho_max of simulation.md section
3, and at x = C / P the prompt rate is C / (c + d' B + b C), its section 4.
"""

from __future__ import annotations

import math

from workbench.domain import Replica, TokenMix
from workbench.performance.speed import work_s


def slots(replica: Replica, mix: TokenMix) -> float:
    """Return Bmax, the requests that may run together: the engine's cap or the KV room over the reserved tokens."""
    return min(float(replica.batch_cap), replica.kv_cache_tokens / mix.kv_reserved_tokens)


def iterations_in_slot(replica: Replica, mix: TokenMix) -> float:
    """Return I, how many iterations a request holds its slot: those that read its prompt, and one per further token.

    A prompt takes P / C iterations where it is longer than a chunk, else one.
    """
    reading = max(1.0, mix.input_tokens / replica.chunk_tokens) if replica.chunk_tokens else 1.0
    return mix.output_tokens - 1.0 + reading


def slots_named(replica: Replica, mix: TokenMix) -> str:
    """Return what sets the slots: batch_slots where it is the engine's cap, kv_cache where it is the room."""
    return "kv_cache" if slots(replica, mix) < replica.batch_cap else "batch_slots"


def most_per_iteration(replica: Replica, mix: TokenMix) -> dict[str, float]:
    """Return the most requests that may enter per iteration, by what stops them: slots or the prefill chunk."""
    chunk = replica.chunk_tokens / mix.input_tokens if replica.chunk_tokens else math.inf
    return {slots_named(replica, mix): slots(replica, mix) / iterations_in_slot(replica, mix), "prefill_chunk": chunk}


def rps_at(replica: Replica, mix: TokenMix, per_iteration: float) -> float:
    """Return the requests per second at which so many enter per iteration: x / (c + x w)."""
    return per_iteration / (replica.decode_base_s + work_s(replica, mix) * per_iteration)


def max_rps(replica: Replica, mix: TokenMix) -> float:
    """Return the requests per second at which every slot is taken, or every chunk full (simulation.md section 3)."""
    return rps_at(replica, mix, min(most_per_iteration(replica, mix).values()))
