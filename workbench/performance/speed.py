"""How long: seconds of a prompt alone, of a prompt in an iteration that decodes anyway, and of a request's work."""

from __future__ import annotations

from workbench.domain import Replica, TokenMix


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
    as far as the iteration pays it already: between 0 and ``decode_base_s``. Planner and simulators share it. A prompt
    that is read in chunks adds as much in all; each of its iterations pays ``decode_base_s`` anyway.
    """
    fixed_s = min(_fixed_prefill_s(replica), replica.decode_base_s)
    return (prefill_s(replica, mean_prompt_tokens) - fixed_s) / mean_prompt_tokens


def decode_s_per_request(replica: Replica, mix: TokenMix) -> float:
    """Return d', the seconds one running request adds to an iteration: itself and the KV cache that it holds."""
    return replica.decode_per_request_s + replica.decode_per_token_s * mix.kv_held_tokens


def work_s(replica: Replica, mix: TokenMix) -> float:
    """Return w, the seconds of marginal work one request brings: its prompt and its share of decode iterations."""
    prompt_s = prompt_s_per_token(replica, mix.input_tokens) * mix.input_tokens
    return prompt_s + mix.output_tokens * decode_s_per_request(replica, mix)


def _fixed_prefill_s(replica: Replica) -> float:
    (first, second), (fast, slow) = replica.prefill_tokens[:2], replica.prefill_s[:2]
    return max(0.0, fast - first * (slow - fast) / (second - first))
