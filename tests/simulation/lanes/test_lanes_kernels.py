"""The vector loops of the lanes, one by one: against the functions they stand for, and that they are vectors at all.

Covers workbench.simulation.lanes.vectorising, workbench.simulation.lanes.serving, workbench.simulation.lanes.latency,
workbench.simulation.lanes.routing, workbench.simulation.lanes.arriving, workbench.simulation.lanes.replicas,
workbench.simulation.lanes.deciding, workbench.simulation.lanes.lengths and workbench.simulation.lanes.layout.
"""

from __future__ import annotations

import math
import platform
import re
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench.simulation.lanes.layout as row
from tests.simulation.simulation_cases import fleet
from workbench import performance
from workbench.domain import Policy, TokenMix
from workbench.simulation import compiling, rules, state
from workbench.simulation import latency as scalar_latency
from workbench.simulation.lanes import (
    arriving,
    deciding,
    engine,
    latency,
    lengths,
    replicas,
    routing,
    serving,
    vectorising,
)
from workbench.simulation.lanes.layout import LANES, WIDTH, Reals

AT = np.uint64(0)
FACTS = np.array([0.0299, 206e-6, 1.74e-7, 1e6, 512, 2.718, 20.0, 2.6, 1.9, 1.1, 1.5, 0.5, 60.0], dtype=np.float32)


def rows(count: int, **values: float | np.ndarray) -> Reals:
    """Rows of nought but for those named."""
    made = np.zeros(count * WIDTH, dtype=np.float32)
    for name, value in values.items():
        first = int(getattr(row, name))
        made[first : first + WIDTH] = value
    return made


def read_row(array: Reals, name: str) -> np.ndarray:
    first = int(getattr(row, name))
    return array[first : first + WIDTH]


def test_rows_do_not_overlap() -> None:
    names = [name for name in dir(row) if isinstance(getattr(row, name), np.uint64) and name not in ("LANES",)]
    offsets = [int(getattr(row, name)) for name in names if not name.endswith("_SIZE")]
    assert all(offset % WIDTH == 0 for offset in offsets)
    assert max(offsets) == (max(row.POOL_ROWS, row.WORK_ROWS) - 1) * WIDTH
    assert int(LANES) == WIDTH


def test_polynomials_stay_within_their_stated_errors() -> None:
    far = np.linspace(0.0, 4.5, 2001)
    density, above = np.exp(-0.5 * far**2) / math.sqrt(2.0 * math.pi), [0.5 * math.erfc(x / math.sqrt(2)) for x in far]
    tail = [float(vectorising.tail(np.float32(x))) for x in far]
    loss = [float(vectorising.loss(np.float32(x))) for x in far]
    assert tail == pytest.approx(above, abs=2e-5)
    assert loss == pytest.approx(density - far * np.array(above), abs=2e-6)
    decays = [float(vectorising.decay(np.float32(x))) for x in np.linspace(0.0, 18.0, 500)]
    assert decays == pytest.approx(np.exp(-np.linspace(0.0, 18.0, 500)), abs=2e-5)
    sizes = np.exp(np.linspace(-3.0, 14.0, 999))
    assert [float(vectorising.log2(np.float32(x))) for x in sizes] == pytest.approx(np.log2(sizes), abs=2e-5)


def test_marked_scenarios_are_found_one_after_the_other() -> None:
    wanted = [0, 1, 7, 8, WIDTH // 2 - 1, WIDTH - 1]
    s = rows(row.SCRATCH_ROWS, ALL=1.0)
    for lane in wanted:
        s[int(row.WANTS) + lane] = 1.0
    for after, lane in zip([0, *(lane + 1 for lane in wanted)], [*wanted, WIDTH], strict=True):
        assert vectorising.next_marked(s, s.view(np.int64), row.WANTS, np.uint64(after)) == lane


@pytest.mark.parametrize("mean", [0.0, 3.0, 90.0, 100.0, 130.0, 1e5])
@pytest.mark.parametrize("variance", [0.0, 4.0, 400.0])
def test_running_requests_are_those_of_the_scalar_simulator(mean: float, variance: float) -> None:
    a = rows(row.POOL_ROWS, INSIDE=mean, VARIANCE=variance, READY=4.0, REPLICAS=4.0, SLOTS=25.0)
    serving.fill_slots(a, AT)
    expected, above = scalar_latency.mean_below(mean, variance, 100.0)
    assert read_row(a, "RUNNING") == pytest.approx(expected, abs=4e-6 * math.sqrt(variance) + 1e-3 + 1e-7 * mean)
    if variance > 0:
        assert read_row(a, "ABOVE") == pytest.approx(above, abs=2e-5)


@settings(deadline=None, max_examples=40)
@given(
    ready=st.integers(1, 40),
    load=st.floats(0.05, 1.3),
    prompt=st.floats(100.0, 8000.0),
    output=st.floats(10.0, 900.0),
    waiting=st.floats(0.0, 500.0),
)
def test_first_tokens_are_those_of_the_scalar_formula(
    ready: int, load: float, prompt: float, output: float, waiting: float
) -> None:
    base, per_request, per_token, _, _, square, cube, prompt_cross, output_square, cross, dispersion, *noise = (
        float(x) for x in FACTS
    )
    slope = per_request + per_token * (cross * prompt + 0.5 * output_square * output)
    prompt_s, running, share = 55e-6 * prompt, 20.0 * load * ready, min(0.7 * load, 0.95)
    iteration = base + slope * running / ready
    most = running / (output * iteration + running * prompt_s / ready)
    a = rows(
        row.POOL_ROWS, READY=ready, REPLICAS=ready, RECENT=60.0, ITERATION=iteration, RUNNING=running,
        INSIDE=running + waiting, OUTPUT=output, VARIANCE=running, PROMPT_S=prompt_s, SLOPE=slope,
        PER_REPLICA=1.0 / ready, EVENED=ready**-0.5, EACH_RUNS=running / ready, PER_PROMPT_S=1.0 / prompt_s,
    )  # fmt: skip
    w = rows(row.WORK_ROWS, PROMPT_SHARE=share)
    latency.note_turns(a, AT, w, FACTS)
    latency.note_cycles(a, AT, w)
    for _ in range(scalar_latency.ROUNDS):
        latency.note_company(a, AT, w, FACTS)
    latency.note_spread(a, AT, w, FACTS)
    latency.first_tokens(a, AT, w, FACTS)
    inside = max(float(np.float32(running + waiting)) - float(np.float32(running)), 0.0)
    read = ready * share / prompt_s
    mean, variance, lean, riding, left = scalar_latency.ttft_moments(
        float(ready), read, prompt_s, iteration, slope, running, running, square, cube, dispersion, *noise
    )
    mean, variance = mean + inside / most, variance + inside * dispersion / most**2
    assert read_row(w, "TTFT_MEAN") == pytest.approx(mean, rel=1e-3)
    assert read_row(w, "TTFT_VARIANCE") == pytest.approx(variance, rel=5e-3)
    assert read_row(w, "TTFT_LEAN") == pytest.approx(lean, rel=5e-3)
    reading = max(read * (riding - iteration / (1.0 - share)), 0.0)
    assert read_row(a, "READING") == pytest.approx(reading, rel=1e-2, abs=1e-3 * read * riding)
    gaps = max(output - 1.0, 0.0)
    stays = scalar_latency.STAYS + scalar_latency.STAYS_ALONE / ready
    lingering = share * stays * (prompt_cross - 1.0) * gaps * scalar_latency.carried_on(left * share, gaps)
    assert read_row(a, "LEFT_COMPANY") == pytest.approx(left, rel=1e-3)
    assert read_row(a, "LINGERING") == pytest.approx(lingering, rel=1e-2, abs=1e-6)


@pytest.mark.parametrize("prompt", [40.0, 700.0, 1490.0, 5000.0])
def test_the_prompt_table_is_read_as_by_the_scalar_simulator(prompt: float) -> None:
    replica = fleet().replicas[0]
    sizes = 2.0 ** (np.arange(state.PROMPT_GRID) / 4.0)
    grid = np.array([performance.prompt_s_per_token(replica, float(size)) for size in sizes])
    a, w = rows(row.POOL_ROWS, INSIDE=1.0, PROMPT=prompt, OUTPUT=299.0), rows(row.WORK_ROWS)
    h = rows(row.SCENARIO_ROWS, ROUTE_BELOW=0.7, ROUTE_ODDS=7 / 3, RELEASE_ONE=0.6, RELEASE_ODDS=1.5)
    place = int(np.log2(prompt) * 4.0)
    assert lengths.mix_lengths(a, AT, h) == WIDTH
    lengths.read_table(a, AT, w, grid.astype(np.float32), max(place - 9, 0), place + 3)
    lengths.note_lengths(a, AT, w, h, FACTS)
    expected = np.interp(math.log2(prompt) * 4.0, np.arange(state.PROMPT_GRID), grid) * prompt
    assert read_row(a, "PROMPT_S") == pytest.approx(expected, rel=2e-4)
    assert lengths.mix_lengths(a, AT, h) == 0
    mix = TokenMix(input_tokens=prompt, output_tokens=299.0, output_square_ratio=1.9, cross_ratio=1.1)
    expected_held = 0.7 * performance.slots(replica, mix), 0.7 * 1e6 / mix.kv_held_tokens
    by_work = 7 / 3 * 299.0 * replica.decode_base_s / performance.work_s(replica, mix)
    assert read_row(a, "ROUTE_EACH") == pytest.approx(min(*expected_held, by_work), rel=5e-3)


#: What the rules look at of a pool, with a threshold.
STANDING: dict[str, Any] = {
    "signal": st.floats(0.0, 1.0, width=32),
    "ready": st.integers(0, 9),
    "coming": st.integers(0, 4),
    "floor": st.integers(0, 4),
    "budget": st.integers(-2, 2),
    "out_above": st.floats(0.5, 1.0, width=32),
}


@settings(deadline=None, max_examples=200)
@given(
    **STANDING,
    in_below=st.floats(0.0, 0.375, width=32),
)
def test_no_change_that_the_rules_want_is_missed(
    signal: float, ready: int, coming: int, floor: int, budget: int, out_above: float, in_below: float
) -> None:
    """The loop over scenarios may only leave out those in which the rules would do nothing."""
    policy = Policy(
        key="p", label="p", floor_replicas=floor, scale_out_above_fraction=out_above, scale_in_below_fraction=in_below
    )
    wanted = rules.scaling_step(
        rules.rules_of(policy), signal, ready, coming, ready, ready + coming, budget, 3500.0, 1.0
    )
    a = rows(row.POOL_ROWS, SIGNAL=signal, READY=ready, COMING=coming, BUDGET=budget, COOL_FROM=10.0)
    limits = {"ALMOST_OUT": out_above * deciding.ALMOST, "BARELY_IN": in_below * deciding.BARELY}
    h = rows(row.SCENARIO_ROWS, FLOOR=floor, **limits)
    s = rows(row.SCRATCH_ROWS)
    deciding.count_others(a, s, np.array([[0]]), 0)
    marked = deciding.may_change(a, AT, h, s, np.float32(10.0))
    assert marked in (0, WIDTH)
    assert wanted == 0 or marked == WIDTH
    assert deciding.may_change(a, AT, h, s, np.float32(9.0)) == 0


@settings(deadline=None, max_examples=200)
@given(
    **STANDING,
    free=st.integers(0, 8),
    lent=st.integers(0, 8),
    follow_plan=st.sampled_from(["no", "paced", "paced_with_override"]),
)
def test_only_growth_that_finds_no_gpus_is_refused_side_by_side(
    signal: float, ready: int, coming: int, floor: int, budget: int, out_above: float, free: int, lent: int,
    follow_plan: str,
) -> None:  # fmt: skip
    """And it is refused in all cases but those on a threshold, which are left to the rules."""
    policy = Policy(
        key="p", label="p", floor_replicas=floor, scale_out_above_fraction=out_above, follow_plan=follow_plan
    )
    numbers, budget = rules.rules_of(policy), 0 if follow_plan == "no" else budget  # which only a plan leaves
    wanted = rules.scaling_step(numbers, signal, ready, coming, ready, ready + coming, budget, 100.0, 1.0)
    kind = rules.acquire_kind(8, 0, lent, free)
    a = rows(row.POOL_ROWS, SIGNAL=signal, READY=ready, COMING=coming, BUDGET=budget, COOL_FROM=10.0)
    h = rows(row.SCENARIO_ROWS, FLOOR=floor, ALMOST_OUT=out_above * deciding.ALMOST, COOLDOWN_STEPS=5.0)
    s, stock = rows(row.SCRATCH_ROWS, WANTS=1.0), [np.full(WIDTH, gpus, dtype=np.float32) for gpus in (free, lent)]
    unplanned = np.float32(follow_plan == "no")
    marked = deciding.refuse(a, AT, h, s, *stock, AT, np.float32(8.0), np.float32(10.0), unplanned)
    refused = marked == 0
    assert read_row(s, "WANTS") == pytest.approx(0.0 if refused else 1.0)
    assert read_row(a, "COOL_FROM") == pytest.approx(15.0 if refused else 10.0)
    assert not refused or (wanted, kind) == (1, rules.REFUSED)
    clearly = signal * ready > 1.001 * out_above * (ready + coming) or ready + coming < floor
    assert refused or not clearly or (wanted, kind) != (1, rules.REFUSED)


def test_what_a_region_has_no_room_for_goes_to_the_idlest() -> None:
    """A pool of 2 replicas that holds 10 at the threshold takes 10 - 6 + 2 of 9 requests; it is idlest, 3 are left."""
    a = rows(row.POOL_ROWS, READY=2.0, INSIDE=6.0, ROUTE_EACH=5.0, SIGNAL=0.4)
    h, w = rows(row.SCENARIO_ROWS, ROUTE_BELOW=0.7), rows(row.WORK_ROWS)
    s = rows(row.SCRATCH_ROWS, ALL=9.0, LEFT=9.0)
    delay_s, interactive = np.float32(0.01), np.float32(1.0)
    assert routing.fill_alone(a, AT, w, h, s, delay_s, interactive) == WIDTH
    assert read_row(a, "ARRIVING") == pytest.approx(6.0)
    assert read_row(w, "SHARE") == pytest.approx(2 / 3)
    assert read_row(s, "LEFT") == pytest.approx(3.0)
    routing.compare(a, AT, s, np.float32(0.0), True)
    assert read_row(s, "FULLNESS") == pytest.approx(1.2)
    routing.take_rest(a, AT, w, s, np.float32(0.0), delay_s, interactive)
    assert read_row(a, "ARRIVING") == pytest.approx(9.0)
    assert read_row(a, "RECENT_DELAY") == pytest.approx(0.09)
    assert read_row(w, "SHARE") == pytest.approx(1 / 3)
    full = rows(row.POOL_ROWS, READY=2.0, INSIDE=6.0, ROUTE_EACH=5.0, SIGNAL=0.7)
    s = rows(row.SCRATCH_ROWS, ALL=9.0, LEFT=9.0)
    assert routing.fill_alone(full, AT, w, h, s, delay_s, interactive) == WIDTH
    assert read_row(full, "ARRIVING") == pytest.approx(0.0)


def test_pools_of_a_region_share_what_comes_by_their_room() -> None:
    """Pools with room for 12 and 6 get 6 and 3 of 9 requests; of 27 they get all they have room for, 9 are left."""
    a = rows(2 * row.POOL_ROWS)
    other = row.POOL_SIZE
    for at, ready in ((AT, 2.0), (other, 1.0)):
        for name, value in (("READY", ready), ("ROUTE_EACH", 5.0), ("SIGNAL", 0.4)):
            first = int(at + getattr(row, name))
            a[first : first + WIDTH] = value
    h, w = rows(row.SCENARIO_ROWS, ROUTE_BELOW=0.7), rows(row.WORK_ROWS)
    for came, kept, left in ((9.0, (6.0, 3.0), 0.0), (27.0, (12.0, 6.0), 9.0)):
        own, s = a.copy(), rows(row.SCRATCH_ROWS, ALL=came, LEFT=came)
        for at in (AT, other):
            routing.offer(own, at, h, s)
        assert routing.fill(s) == (WIDTH if left else 0)
        assert read_row(s, "LEFT") == pytest.approx(left)
        for at, expected in zip((AT, other), kept, strict=True):
            routing.take(own, at, w, s, np.float32(0.0), np.float32(1.0))
            assert own[int(at + row.ARRIVING)] == pytest.approx(expected)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(-3, 3)), max_size=20))
def test_what_stood_over_an_hour_is_summed_from_its_changes(changes: list[tuple[int, int]]) -> None:
    """Against adding up every step: a change in a step counts from that step on."""
    a = rows(row.POOL_ROWS, READY=5.0)
    standing, expected = 5, 0
    for step in range(60):
        for _, by in (change for change in changes if change[0] == step):
            standing += by
            replicas.add_standing(a, AT + row.READY, np.float32(by), step)
        expected += standing
    engine.sum_standing(a, AT, np.float32(60.0))
    assert (a[int(row.READY)], a[int(row.READY_SUM)]) == (standing, expected)


def test_a_queue_lets_go_what_is_old_and_what_there_is_room_for() -> None:
    """Twice ten requests come to twice five that wait; of the 30 all but twice 12 are old: 6 go at once, 24 stay.

    A pool of 2 replicas under the lower threshold asks for 2 for each of 3 completions and 2 replicas: 10; it holds 16
    of its 20 and 3 are about to leave, so 7 have room.
    """
    queue, asked, load = (np.full(WIDTH, value, dtype=np.float32) for value in (10.0, 0.0, 2.0))
    assert arriving.wait(queue, AT, asked, AT, load, AT, np.float32(10.0), np.float32(12.0)) == WIDTH
    assert (queue[0], asked[0]) == (24.0, 6.0)
    a = rows(row.POOL_ROWS, READY=2.0, INSIDE=16.0, FINISHED=3.0, RELEASE_EACH=10.0, SIGNAL=0.4)
    h = rows(row.SCENARIO_ROWS, RELEASE_TWO=0.5, RELEASE_ONE=0.6, PROMPT_TIMES=1.0, OUTPUT_TIMES=2.0)
    t = rows(row.TIER_ROWS)
    arriving.release(a, AT, t, AT, queue, AT, h, np.float32(100.0), np.float32(10.0), np.float32(0.0))
    assert queue[0] == 17.0
    assert read_row(a, "ARRIVING") == pytest.approx(7.0)
    assert read_row(a, "OUTPUTS") == pytest.approx(70.0)  # by the lengths of the load
    assert read_row(t, "COMES") == pytest.approx(7.0)


PLACE, ROW, NUMBER = numba.uint64, numba.float32[::1], numba.float32
LOOPS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "note_running": (serving.note_running, (ROW, PLACE)),
    "note_running_near": (serving.note_running_near, (ROW, PLACE)),
    "ask_prompts": (serving.ask_prompts, (ROW, PLACE, ROW, ROW, NUMBER)),
    "read_prompts": (serving.read_prompts, (ROW, PLACE, ROW, NUMBER)),
    "note_crowds": (serving.note_crowds, (ROW, PLACE, ROW, ROW)),
    "meet": (serving.meet, (ROW, PLACE, ROW, ROW)),
    "note_rates": (serving.note_rates, (ROW, PLACE, ROW, ROW)),
    "complete": (serving.complete, (ROW, PLACE, ROW, ROW, NUMBER)),
    "note_signal": (serving.note_signal, (ROW, PLACE, ROW, ROW, ROW)),
    "mix_lengths": (lengths.mix_lengths, (ROW, PLACE, ROW)),
    "note_lengths": (lengths.note_lengths, (ROW, PLACE, ROW, ROW, ROW)),
    "note_cycles": (latency.note_cycles, (ROW, PLACE, ROW)),
    "note_turns": (latency.note_turns, (ROW, PLACE, ROW, ROW)),
    "note_left": (latency.note_left, (ROW, PLACE, ROW, ROW)),
    "note_seen": (latency.note_seen, (ROW, PLACE, ROW, ROW)),
    "note_spread": (latency.note_spread, (ROW, PLACE, ROW, ROW)),
    "first_tokens": (latency.first_tokens, (ROW, PLACE, ROW, ROW)),
    "fill_alone": (routing.fill_alone, (ROW, PLACE, ROW, ROW, ROW, NUMBER, NUMBER)),
    "take": (routing.take, (ROW, PLACE, ROW, ROW, NUMBER, NUMBER)),
    "take_rest": (routing.take_rest, (ROW, PLACE, ROW, ROW, NUMBER, NUMBER, NUMBER)),
    "may_change": (deciding.may_change, (ROW, PLACE, ROW, ROW, NUMBER)),
    "refuse": (deciding.refuse, (ROW, PLACE, ROW, ROW, ROW, ROW, PLACE, NUMBER, NUMBER, NUMBER)),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads the instructions of x86")
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_over_scenarios_is_made_of_vector_instructions(name: str) -> None:
    """Packed single-precision arithmetic (mnemonics in ps) on registers wider than the scalar one."""
    function, signature = LOOPS[name]
    compiled = numba.njit(**compiling.SIDE_BY_SIDE)(function.py_func)
    compiled.compile(signature)
    code = "".join(compiled.inspect_asm().values())
    packed = len(re.findall(r"\bv?(?:add|sub|mul|div|min|max|fn?m(?:add|sub)\d+|sqrt)ps\b", code))
    assert packed >= 4
