"""Where a replica is asked for more than its profile's points show: long prompts, large batches, much KV cache.

The lines of a profile are continued beyond its points, because a plan needs some number; whoever reads the result must
know. Batches and KV tokens are held against what a load keeps running, or, without a load, against all that the engine
and the memory allow, which is what a simulation may reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workbench.domain import Replica, TokenMix
from workbench.performance.limits import slots

TOLD_FROM_FRACTION = 0.01  # of the prompts; fewer beyond the points change no mean


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """One way in which a load leaves the validity of a profile: how far it goes, how far the points reach, in words."""

    what: Literal["prompt_tokens", "batch", "kv_tokens"]
    reached: float
    valid: float
    text: str


def extrapolations(replica: Replica, mix: TokenMix, *, running: float | None = None) -> tuple[Extrapolation, ...]:
    """Return every way in which a replica under a token mix leaves the validity of its profile.

    ``running`` is the mean batch of a load; without it the largest batch that may run. Nothing is said of a replica
    whose validity nobody knows.
    """
    if replica.validity is None:
        return ()
    valid, verb = replica.validity, replica.basis
    batch = slots(replica, mix) if running is None else running
    held = batch * mix.kv_held_tokens
    may = "may be" if running is None else "are"
    found = [*_prompts(replica, mix)]
    if batch > valid.batch_max * (1 + 1e-9):
        text = f"batches up to {batch:,.0f} {may} simulated, {verb} to {valid.batch_max:,}"
        found.append(Extrapolation(what="batch", reached=batch, valid=valid.batch_max, text=text))
    if held > valid.kv_tokens_max * (1 + 1e-9):
        text = f"up to {held:,.0f} tokens of KV cache in use, {verb} to {valid.kv_tokens_max:,.0f}"
        found.append(Extrapolation(what="kv_tokens", reached=held, valid=valid.kv_tokens_max, text=text))
    return tuple(found)


def validity_note(replica: Replica, mix: TokenMix) -> str | None:
    """Say in one line where a simulation of the replica may leave the validity of its profile; None where it cannot."""
    found = extrapolations(replica, mix)
    if not found:
        return None
    told = "; ".join(beyond.text for beyond in found)
    return f"{replica.model} on {replica.gpu}: {told}. Beyond, the lines of the profile are continued."


def share_of_prompts_above(mix: TokenMix, tokens: float) -> float:
    """Return about what share of prompts is longer, of a lognormal with the first two moments of the mix."""
    variance = math.log(max(mix.input_square_ratio, 1.0))
    distance = math.log(tokens / mix.input_tokens) + variance / 2.0
    if variance < 1e-9:
        return float(distance < 0)
    return 0.5 * math.erfc(distance / math.sqrt(2.0 * variance))


def _prompts(replica: Replica, mix: TokenMix) -> list[Extrapolation]:
    valid, mean = replica.validity, mix.input_tokens
    if valid is None:
        return []
    longest, shortest = valid.prompt_tokens_max, valid.prompt_tokens_min
    if mean < shortest:
        text = f"prompts have {mean:,.0f} tokens on average, {replica.basis} from {shortest:,.0f}"
        return [Extrapolation(what="prompt_tokens", reached=mean, valid=shortest, text=text)]
    share = share_of_prompts_above(mix, longest)
    if share < TOLD_FROM_FRACTION:
        return []
    text = f"about {share:.0%} of prompts are longer than the {longest:,.0f} tokens {replica.basis}"
    return [Extrapolation(what="prompt_tokens", reached=mean, valid=longest, text=text)]
