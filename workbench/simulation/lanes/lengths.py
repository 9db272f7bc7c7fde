"""What the lengths of a block's requests ask of a replica, noted anew only where they changed."""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.compiling import vectors, within
from workbench.simulation.fluid.service import JUST_BELOW, SAME_LENGTHS
from workbench.simulation.lanes.layout import LANES, Place, Reals, real
from workbench.simulation.lanes.vectorising import kept, log2

POINTS_PER_OCTAVE = real(4.0)  # of the prompt table
SAME = real(SAME_LENGTHS)
FILLED = real(JUST_BELOW)


@within
def holds(
    limit: np.float32, odds: np.float32, kv_only: np.float32, by_kv: np.float32, slots: np.float32, by_work: np.float32
) -> np.float32:
    """Return how many requests a replica holds when the signal stands at the limit; ``odds`` is limit / (1 - limit)."""
    kv = limit * by_kv
    each = min(min(kv, limit * slots), odds * by_work)
    return kv if kv_only > real(0.0) else each


@within
def differ(prompt: np.float32, noted_prompt: np.float32, output: np.float32, noted_output: np.float32) -> bool:
    """Return whether lengths differ from those that were noted by more than what is left out."""
    apart = max(abs(prompt - noted_prompt) - SAME * noted_prompt, abs(output - noted_output) - SAME * noted_output)
    return bool(apart > real(0.0))


@vectors
def mix_lengths(a: Reals, at: Place, h: Reals) -> int:
    """Mix the lengths of what came into those of what is inside; return in how many scenarios they changed.

    What came is counted by the lengths of the load, without a scenario's factors.
    """
    changed = np.int32(0)
    for i in range(LANES):
        inside, arriving = a[at + row.INSIDE + i], a[at + row.ARRIVING + i]
        old_prompt, old_output = a[at + row.PROMPT + i], a[at + row.OUTPUT + i]
        share = real(1.0) / max(inside + arriving, real(1e-9))
        prompt = old_prompt + share * (a[at + row.PROMPTS + i] * h[row.PROMPT_TIMES + i] - arriving * old_prompt)
        output = old_output + share * (a[at + row.OUTPUTS + i] * h[row.OUTPUT_TIMES + i] - arriving * old_output)
        other = differ(prompt, a[at + row.NOTED_PROMPT + i], output, a[at + row.NOTED_OUTPUT + i])
        a[at + row.PROMPT + i] = prompt
        a[at + row.OUTPUT + i] = output
        a[at + row.PROMPTS + i] = real(0.0)
        a[at + row.OUTPUTS + i] = real(0.0)
        changed = np.int32(changed + (np.int32(1) if other else np.int32(0)))
    return int(changed)


@vectors
def read_table(a: Reals, at: Place, w: Reals, grid: Reals, first: int, last: int) -> None:
    """Note the seconds that a prompt token takes at the mean length.

    They stand in a table over log2 of the length (:mod:`workbench.simulation.setup`); its segments ``first`` to
    ``last``, which the sweep's prompts lie in, are added up as ramps, because a look-up in every lane would end the
    vectors.
    """
    lowest, slope = grid[first], grid[first + 1] - grid[first]
    for i in range(LANES):
        place = max(log2(max(a[at + row.PROMPT + i], real(1.0))) * POINTS_PER_OCTAVE - real(first), real(0.0))
        w[row.PLACE + i] = place
        w[row.TABLED + i] = lowest + slope * place
    for segment in range(first + 1, last + 1):
        bend = grid[segment + 1] - grid[segment] - (grid[segment] - grid[segment - 1])
        offset = real(segment - first)
        for i in range(LANES):
            w[row.TABLED + i] += bend * max(w[row.PLACE + i] - offset, real(0.0))


@vectors
def note_lengths(a: Reals, at: Place, w: Reals, h: Reals, facts: Reals) -> None:
    """Note all that follows from the lengths where they changed, up to what a replica holds at the thresholds."""
    base, room, cap = facts[row.BASE_S], facts[row.KV_ROOM], facts[row.BATCH_CAP]
    per_request, per_token, per_room = facts[row.PER_REQUEST_S], facts[row.PER_TOKEN_S], real(1.0) / facts[row.KV_ROOM]
    half_square, cross, per_cap = real(0.5) * facts[row.OUTPUT_SQUARE], facts[row.CROSS], real(1.0) / cap
    for i in range(LANES):
        prompt, output = a[at + row.PROMPT + i], a[at + row.OUTPUT + i]
        noted_prompt, noted_output = a[at + row.NOTED_PROMPT + i], a[at + row.NOTED_OUTPUT + i]
        changed = differ(prompt, noted_prompt, output, noted_output)
        prompt_s, generated = w[row.TABLED + i] * prompt, half_square * output
        held = cross * prompt + generated
        slope = per_request + per_token * held
        work, reserved = prompt_s + output * slope, held + generated
        split = real(1.0) / (held * work * reserved)
        by_kv, by_work = room * split * work * reserved, output * base * split * held * reserved
        slots, kv_only = min(cap, room * split * held * work), h[row.KV_ONLY + i]
        to_route = holds(h[row.ROUTE_BELOW + i], h[row.ROUTE_ODDS + i], kv_only, by_kv, slots, by_work)
        to_release = holds(h[row.RELEASE_ONE + i], h[row.RELEASE_ODDS + i], kv_only, by_kv, slots, by_work)
        per_slot = min(max(per_cap, reserved * per_room), real(1.0))
        slots_each = max(slots, real(1.0))
        a[at + row.NOTED_PROMPT + i] = kept(changed, prompt, noted_prompt)
        a[at + row.NOTED_OUTPUT + i] = kept(changed, output, noted_output)
        a[at + row.PROMPT_S + i] = kept(changed, prompt_s, a[at + row.PROMPT_S + i])
        a[at + row.PER_PROMPT_S + i] = kept(changed, real(1.0) / prompt_s, a[at + row.PER_PROMPT_S + i])
        a[at + row.SLOPE + i] = kept(changed, slope, a[at + row.SLOPE + i])
        a[at + row.HELD_SHARE + i] = kept(changed, held * per_room, a[at + row.HELD_SHARE + i])
        a[at + row.SLOTS + i] = kept(changed, slots_each, a[at + row.SLOTS + i])
        a[at + row.PER_SLOT + i] = kept(changed, per_slot, a[at + row.PER_SLOT + i])
        a[at + row.ROUTE_EACH + i] = kept(changed, to_route, a[at + row.ROUTE_EACH + i])
        a[at + row.RELEASE_EACH + i] = kept(changed, FILLED * to_release, a[at + row.RELEASE_EACH + i])
