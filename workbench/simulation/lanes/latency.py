"""Time to first token in a block: the gated cycle of :mod:`workbench.simulation.latency`, and what it adds up to.

The mean is worked out every minute, and every fourth what changes more slowly: which part of an iteration an arrival
waits, how prompts make a cycle vary, and how widely first tokens spread about the mean, as a share of it. Minutes of a
pool that are alike, four hours at most, are one component of the mixture that a day's latencies are. Components are
counted in bins of their own 95th percentile, eight to the octave, with the sums of their means, deviations and third
moments; so a percentile of the mixture can be read off afterwards, for any promise, and no lane computes a logarithm.
"""

from __future__ import annotations

import numpy as np

import workbench.simulation.lanes.layout as row
from workbench.simulation.compiling import place, vectors, within
from workbench.simulation.lanes.layout import LANES, Place, Reals, real
from workbench.simulation.lanes.vectorising import ONE_LANE, decay, next_marked
from workbench.simulation.latency import EARLY, PENDING_SPREAD, SHORT_COMPANY, STAYS, STAYS_ALONE, UNSERVED_S
from workbench.simulation.state import Floats, Ints

BINS = 240
LOOK_HOURS = 4
SLOW_TICKS = 4  # from one look at what changes slowly to the next
BIN_BITS = np.int32(20)  # of a single-precision number: the exponent and three bits of the mantissa
FIRST_BIN = np.int32((127 - 10) * 8)  # a thousandth of a second
NINETY_FIVE = real(1.645)
SHORT = real(SHORT_COMPANY)
#: Relative difference of mean latencies up to which minutes are alike: a component knows its third moment, so it may
#: be wider than in the scalar simulator, and percentiles are as near to that one's.
UNLIKE = real(0.2)


@vectors
def note_turns(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note what changes slowly: how busy a replica is, and the part of an iteration that an arrival waits.

    With the variance over its mean that prompts give the work of a cycle, and the part of it that the demand shows.
    """
    lumps, more, one = facts[row.SQUARE], facts[row.DISPERSION] - real(1.0), real(1.0)
    window_s, noise = facts[row.WINDOW_S], real(2.0) * facts[row.NOISE_SEEN]
    for i in range(LANES):
        iteration, reads = a[at + row.ITERATION + i], w[row.PROMPT_SHARE + i]
        share, rate = min(reads, real(0.98)), reads * a[at + row.PER_PROMPT_S + i]
        left, square = one - share, share * share
        clumped = max(lumps + more * a[at + row.PER_REPLICA + i], real(0.0))
        busy = one - decay(min(a[at + row.EACH_RUNS + i], real(18.0)))
        early = real(0.5 * EARLY) * (a[at + row.REPLICAS + i] - one) * rate * iteration
        a[at + row.SHOWN + i] = noise * iteration / (iteration + iteration + left * left * window_s)
        a[at + row.CLUMPED_SHARE + i] = clumped / (one - square)
        a[at + row.BUSY + i] = busy
        a[at + row.WAITS + i] = (real(0.5) + real(0.5) * early / (one + np.sqrt(real(4.0) + early * early))) * busy


@vectors
def note_cycles(a: Reals, at: Place, w: Reals) -> None:
    """Note the cycle of a replica by itself, its variance over it by its prompts, and an arrival without company."""
    for i in range(LANES):
        prompt_s, iteration = a[at + row.PROMPT_S + i], a[at + row.ITERATION + i]
        reads = w[row.PROMPT_SHARE + i]
        share = min(reads, real(0.98))
        w[row.RATE + i] = reads * a[at + row.PER_PROMPT_S + i]
        w[row.CYCLE + i] = iteration / (real(1.0) - share)
        w[row.VARIES + i] = prompt_s * share * a[at + row.CLUMPED_SHARE + i]
        w[row.TTFT_MEAN + i] = a[at + row.WAITS + i] * iteration + iteration + prompt_s


@vectors
def note_left(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note the part of an arrival's company that the choice of a replica leaves, by the mean so far.

    By itself a replica leaves all of it: then both roots are the same.
    """
    widely, one = real(PENDING_SPREAD) * max(facts[row.DISPERSION], real(0.0)), real(1.0)
    for i in range(LANES):
        n = a[at + row.REPLICAS + i]
        pending = n * w[row.RATE + i] * w[row.TTFT_MEAN + i]
        spread, above = widely * pending, pending - (n - one)
        least = pending + real(1e-12) + np.sqrt(pending * (pending + widely))
        w[row.COMPANY + i] = (above + np.sqrt(above * above + spread)) / least


@vectors
def note_seen(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note how a cycle varies with that company, the cycle that an arrival sees, who rides along, and the mean."""
    nought, more, one = real(0.0), facts[row.DISPERSION] - real(1.0), real(1.0)
    for i in range(LANES):
        rate, cycle, left = w[row.RATE + i], w[row.CYCLE + i], w[row.COMPANY + i]
        iteration, prompt_s, waits = a[at + row.ITERATION + i], a[at + row.PROMPT_S + i], a[at + row.WAITS + i]
        clumps, evened = more * a[at + row.PER_REPLICA + i], a[at + row.EVENED + i]
        varied = left * evened * (one - a[at + row.SHOWN + i] * left)
        seen = cycle + varied * w[row.VARIES + i]
        others = left * max(rate * seen + clumps, nought)
        w[row.VARIED + i] = varied
        w[row.SEEN + i] = seen
        w[row.OTHERS + i] = others
        w[row.TTFT_MEAN + i] = (
            waits * (iteration + left * (seen - iteration)) + iteration + (prompt_s + others * prompt_s)
        )


@vectors
def note_company(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note the company of an arrival and the mean with it, by the mean so far: each depends on the other."""
    note_left(a, at, w, facts)
    note_seen(a, at, w, facts)


@vectors
def note_spread(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Note variance and third moment of the time to first token, but for the wait, over powers of the mean.

    Of the square of a cycle as an arrival sees it only what is beyond the square of its mean is worked out.
    """
    square, cube, more, one, nought = (
        facts[row.SQUARE], facts[row.CUBE], facts[row.DISPERSION] - real(1.0), real(1.0), real(0.0),
    )  # fmt: skip
    thrice, least = real(3.0) * square, cube - real(3.0) * square + real(2.0)
    for i in range(LANES):
        per_replica, prompt_s, iteration = (
            a[at + row.PER_REPLICA + i],
            a[at + row.PROMPT_S + i],
            a[at + row.ITERATION + i],
        )
        left, seen, others, mean = w[row.COMPANY + i], w[row.SEEN + i], w[row.OTHERS + i], w[row.TTFT_MEAN + i]
        cycle, varied, share = w[row.CYCLE + i], w[row.VARIED + i], min(w[row.PROMPT_SHARE + i], real(0.98))
        alike, longer = others * (one - SHORT + SHORT * per_replica), seen - cycle
        turned = prompt_s * w[row.PROMPT_SHARE + i] / (one - share * share * share)
        third = varied * turned * (prompt_s * cube + thrice * share * longer)
        beyond = max(longer * (cycle - longer) + third, nought)
        iteration_square, prompt_square, half = iteration * iteration, prompt_s * prompt_s, real(0.5) + share
        ended_square = iteration_square + left * (seen * seen + beyond - iteration_square)
        spread = varied * half * half * beyond + a[at + row.BUSY + i] * ended_square * real(1 / 12)
        spread += prompt_square * (alike * max(square + more * per_replica, nought) + (square - one))
        slow = (mean - prompt_s) * a[at + row.SLOPE + i] * per_replica / iteration
        per_mean = one / mean
        per_square = per_mean * per_mean
        a[at + row.VARIANCE_SHARE + i] = (spread + slow * slow * a[at + row.VARIANCE + i]) * per_square
        a[at + row.LEAN_SHARE + i] = prompt_square * prompt_s * (least + alike * cube) * (per_square * per_mean)


@vectors
def first_tokens(a: Reals, at: Place, w: Reals, facts: Reals) -> None:
    """Add the wait for a slot and the network to the moments of the time to first token, by what came since the tick.

    And what reads: the requests in the iteration of their prompt beyond the one that the fluid state counts; and by how
    much a request takes longer because that one was long (:func:`workbench.simulation.latency.carried_on`).
    """
    one, nought, unserved_s = real(1.0), real(0.0), real(UNSERVED_S)
    clumps, longest = max(facts[row.DISPERSION], one), facts[row.PROMPT_CROSS] - one
    stays, stays_alone = real(STAYS) * longest, real(STAYS_ALONE) * longest
    for i in range(LANES):
        ready, came, running = a[at + row.READY + i], a[at + row.RECENT + i], a[at + row.RUNNING + i]
        prompt_s, iteration, output = a[at + row.PROMPT_S + i], a[at + row.ITERATION + i], a[at + row.OUTPUT + i]
        left, mean, variance = w[row.COMPANY + i], w[row.TTFT_MEAN + i], a[at + row.VARIANCE_SHARE + i]
        serving, reads = min(ready, one), w[row.PROMPT_SHARE + i]
        turn, some = output * iteration + a[at + row.EACH_RUNS + i] * prompt_s, max(running, real(1e-9))
        per_most = turn / some
        waiting = max(a[at + row.INSIDE + i] - running, nought) * per_most
        delay = a[at + row.RECENT_DELAY + i] / max(came, real(1e-9))
        longer = max(iteration + (prompt_s + w[row.OTHERS + i] * prompt_s) - iteration / (one - reads), nought)
        reading, share, gaps = w[row.RATE + i] * ready * longer, min(reads, real(0.98)), max(output - one, nought)
        fed = left * share * gaps
        lingering = share * (stays + stays_alone * a[at + row.PER_REPLICA + i]) * fed / (one + gaps - fed)
        w[row.TTFT_MEAN + i] = (mean + waiting) * serving + (unserved_s - unserved_s * serving) + delay
        square = mean * mean
        w[row.TTFT_VARIANCE + i] = (variance * square + waiting * clumps * per_most) * serving
        w[row.TTFT_LEAN + i] = a[at + row.LEAN_SHARE + i] * square * mean * serving
        a[at + row.READING + i] = reading if came > nought else nought
        a[at + row.LEFT_COMPANY + i] = left
        a[at + row.LINGERING + i] = lingering * serving
        a[at + row.RECENT + i] = nought
        a[at + row.RECENT_DELAY + i] = nought


@vectors
def mark_jumps(a: Reals, at: Place, w: Reals) -> int:
    """Mark the scenarios in which this tick is unlike those since the last look, and return how many."""
    marked = np.int32(0)
    for i in range(LANES):
        count, mean = a[at + row.TTFT_SINCE + i], w[row.TTFT_MEAN + i]
        apart = (mean - a[at + row.TTFT_ABOUT + i]) * count - a[at + row.TTFT_SUM + i]
        jumped = abs(apart) > UNLIKE * mean * count
        w[row.LOOKS + i] = real(1.0) if jumped else real(0.0)
        marked = np.int32(marked + (np.int32(1) if jumped else np.int32(0)))
    return int(marked)


@vectors
def mark_all(w: Reals) -> None:
    """Mark every scenario for a look."""
    for i in range(LANES):
        w[row.LOOKS + i] = real(1.0)


@vectors
def add_tick(a: Reals, at: Place, w: Reals) -> None:
    """Add this tick to those since the last look: its moments about a mean near theirs."""
    for i in range(LANES):
        count, variance = a[at + row.TTFT_COUNT + i], w[row.TTFT_VARIANCE + i]
        off = w[row.TTFT_MEAN + i] - a[at + row.TTFT_ABOUT + i]
        a[at + row.TTFT_COUNT + i] = real(0.0)
        a[at + row.TTFT_SINCE + i] += count
        a[at + row.TTFT_SUM + i] += count * off
        a[at + row.TTFT_SQUARES + i] += count * (variance + off * off)
        a[at + row.TTFT_CUBES + i] += count * (w[row.TTFT_LEAN + i] + off * (real(3.0) * variance + off * off))


@vectors
def add_tier(w: Reals, t: Reals, tier: Place) -> None:
    """Take what was completed out of a tier and add what came in this step to what came since the last look.

    As :func:`workbench.simulation.lanes.serving.share_out` does between ticks, with what met a saturated pool noted.
    """
    for i in range(LANES):
        come = t[tier + row.COMES + i]
        t[tier + row.COMES + i] = real(0.0)
        t[tier + row.COUNTED + i] += come
        t[tier + row.BAD + i] += come * w[row.SATURATED + i]
        t[tier + row.IN_TIER + i] = (t[tier + row.IN_TIER + i] + come) * (real(1.0) - w[row.SHARE + i])


@vectors
def add_since(w: Reals, t: Reals, tier: Place) -> None:
    """Add what came to a tier between ticks to what came since the last look."""
    for i in range(LANES):
        came = t[tier + row.CAME + i]
        t[tier + row.CAME + i] = real(0.0)
        t[tier + row.COUNTED + i] += came
        t[tier + row.BAD + i] += came * w[row.SATURATED + i]


@within
def bin_of(a: Reals, at: Place, i: int) -> tuple[np.float32, np.float32, np.float32, int]:
    """Return the three moments of what came since the last look, and the bin that its 95th percentile lies in."""
    per_count = real(1.0) / max(a[at + row.TTFT_SINCE + i], real(1e-9))
    off, square = a[at + row.TTFT_SUM + i] * per_count, a[at + row.TTFT_SQUARES + i] * per_count
    mean = a[at + row.TTFT_ABOUT + i] + off
    spread = np.sqrt(max(square - off * off, real(0.0)))
    key = np.float32(mean + NINETY_FIVE * spread).view(np.int32)
    b = min(max((key >> BIN_BITS) - FIRST_BIN, np.int32(0)), np.int32(BINS - 1))
    third = a[at + row.TTFT_CUBES + i] * per_count - off * (real(3.0) * square - real(2.0) * off * off)
    return mean, spread, third, int(b)


@within
def count_scenario(
    a: Reals, at: Place, w: Reals, t: Reals, first: Place, interactive: Ints, counted: Floats, i: int
) -> None:
    """Count what came to a scenario since the last look in its bin, and begin anew."""
    kinds = np.uint64(interactive.size)
    quantities = kinds + np.uint64(3)
    mean, spread, third, b = bin_of(a, at, i)
    line, total = (i * np.uint64(BINS) + np.uint64(b)) * quantities, a[at + row.TTFT_SINCE + i]
    for j in range(kinds):
        tier = first + np.uint64(interactive[j]) * row.TIER_SIZE + row.COUNTED + i
        counted[line + j] += t[tier]
        t[tier] = real(0.0)
    counted[line + kinds] += total * mean
    counted[line + kinds + np.uint64(1)] += total * spread
    counted[line + kinds + np.uint64(2)] += total * third
    a[at + row.TTFT_ABOUT + i] = w[row.TTFT_MEAN + i]
    a[at + row.TTFT_SINCE + i] = real(0.0)
    a[at + row.TTFT_SUM + i] = real(0.0)
    a[at + row.TTFT_SQUARES + i] = real(0.0)
    a[at + row.TTFT_CUBES + i] = real(0.0)


@vectors
def count_tokens(
    a: Reals, at: Place, w: Reals, pairs: Ints, t: Reals, first: Place, interactive: Ints, counted: Floats
) -> None:
    """Count what came since the last look in the scenarios that are marked."""
    i = next_marked(w, pairs, row.LOOKS, place(0))
    while i < LANES:
        count_scenario(a, at, w, t, first, interactive, counted, i)
        i = next_marked(w, pairs, row.LOOKS, place(int(i + ONE_LANE)))
