"""workbench.performance.limits: what runs out first, by hand, and against the replay of a constant overload."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.performance.performance_cases import MIX, SMALL, mixes, replicas
from tests.simulation.replay.replay_cases import replayed, run, steadily
from tests.simulation.simulation_cases import START, fleet
from workbench import performance
from workbench.domain import Replica, TokenMix
from workbench.performance.limits import iterations_in_slot, most_per_iteration, rps_at, slots_named
from workbench.simulation.scheduling import Scheduling

CHUNKED = replace(SMALL, chunk_tokens=50)


def test_slots_are_the_smaller_of_cap_and_reserved_room():
    assert performance.slots(SMALL, MIX) == pytest.approx(11_000 / 1100)
    assert performance.slots(replace(SMALL, batch_cap=4), MIX) == 4
    assert (slots_named(SMALL, MIX), slots_named(replace(SMALL, batch_cap=4), MIX)) == ("kv_cache", "batch_slots")


def test_a_request_holds_its_slot_for_its_tokens_and_for_every_chunk_of_its_prompt():
    # 100 tokens, the first with the whole prompt; in chunks of 50 the prompt of 1,000 takes 20 iterations, not one
    assert iterations_in_slot(SMALL, MIX) == 100
    assert iterations_in_slot(CHUNKED, MIX) == 119
    assert iterations_in_slot(replace(SMALL, chunk_tokens=4096), MIX) == 100


def test_a_chunk_by_hand_is_the_rate_of_section_four():
    # 50 tokens an iteration are 0.05 requests; B = 0.05 x 100 = 5 run, so an iteration takes 20 + 5 + 50 x 0.11 ms
    assert most_per_iteration(CHUNKED, MIX) == pytest.approx({"kv_cache": 10 / 119, "prefill_chunk": 0.05})
    assert performance.max_rps(CHUNKED, MIX) == pytest.approx(50 / 0.0305 / 1000)
    assert performance.max_rps(CHUNKED, MIX) == pytest.approx(rps_at(CHUNKED, MIX, 0.05))


def test_a_chunk_that_never_fills_changes_nothing():
    assert performance.max_rps(replace(SMALL, chunk_tokens=4096), MIX) == performance.max_rps(SMALL, MIX)


def test_the_planner_counts_a_replica_with_what_its_chunk_lets_in():
    # seven tenths of a chunk: 0.035 requests an iteration of c + x w = 20 + 0.035 x 210 ms
    load = performance.sustained(CHUNKED, MIX)
    assert (load.rps, load.binding) == (pytest.approx(0.035 / 0.02735), "prefill_chunk")
    assert load.prefill_chunk_used_fraction == load.signal_fraction == pytest.approx(0.7)
    rates = performance.rates([CHUNKED], {"m": MIX})
    assert rates.row(0, named=True)["input_tps"] == pytest.approx(1000 * 0.035 / 0.02735)
    by_kv = performance.sustained(CHUNKED, MIX, signal="kv_cache")
    assert (by_kv.rps, by_kv.binding) == (pytest.approx(performance.max_rps(CHUNKED, MIX)), "prefill_chunk")


def test_beyond_its_chunk_a_replica_is_saturated():
    load = performance.steady_state(CHUNKED, MIX, 3.0)
    assert load.is_saturated
    assert (load.prefill_chunk_used_fraction, load.running) == (pytest.approx(1.0), pytest.approx(5.0))


@settings(deadline=None)
@given(kind=replicas, mix=mixes, chunk=st.integers(1, 8192), more=st.integers(1, 8192))
def test_a_larger_chunk_never_lowers_the_rate_and_none_is_the_largest(
    kind: Replica, mix: TokenMix, chunk: int, more: int
):
    rates = [
        performance.max_rps(replace(kind, chunk_tokens=tokens), mix) for tokens in (chunk, chunk + more, 1 << 40, 0)
    ]
    assert rates == sorted(rates)
    assert rates[2] == rates[3]


@pytest.mark.parametrize(
    ("prompt", "output", "chunk", "cap", "room", "binds"),
    [
        (1000, 100, 128, 512, 1e6, "prefill_chunk"),
        (1000, 100, 512, 512, 1e6, "prefill_chunk"),
        (4000, 20, 512, 8, 1e6, "prefill_chunk"),
        (1000, 100, 256, 20, 1e6, "batch_slots"),
        (1000, 100, 300, 512, 3e4, "kv_cache"),
        (1000, 100, 0, 64, 1e6, "batch_slots"),
    ],
)
def test_the_replay_of_an_overload_serves_the_largest_rate(
    prompt: int, output: int, chunk: int, cap: int, room: float, binds: str
):
    mix = TokenMix(input_tokens=prompt, output_tokens=output)
    world = fleet(ready=1, mix=mix, batch_cap=cap, kv_cache_tokens=room)
    kind = replace(world.replicas[0], chunk_tokens=chunk)
    most = most_per_iteration(kind, mix)
    assert min(most, key=lambda name: most[name]) == binds
    load = steadily(1.5 * performance.max_rps(kind, mix), 1800, prompt=prompt, output=output)
    done = replayed(load, world, scheduling=Scheduling(chunk_tokens=chunk)).latencies
    ended_s = (pl.col("arrived_at") - START).dt.total_microseconds() / 1e6 + pl.col("e2e_s")
    served = done.filter(ended_s.is_between(600, 1800)).height / 1200
    assert served == pytest.approx(performance.max_rps(kind, mix), rel=0.01)


def test_a_replay_reads_in_the_chunks_that_the_planner_counted_with():
    world = fleet(ready=1, mix=MIX)
    chunked = replace(world, replicas=(replace(world.replicas[0], chunk_tokens=256),))
    load = steadily(3.0, 600)
    asked = run(load, world, hours=0.2, scheduling=Scheduling(chunk_tokens=256))
    assert run(load, chunked, hours=0.2).windows.equals(asked.windows)
    assert not run(load, world, hours=0.2).windows.equals(asked.windows)
