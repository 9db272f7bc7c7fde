"""A load in blocks gives the bytes of the load in one frame, and blocks in the wrong order are refused.

Covers workbench.simulation.replay.rows and workbench.simulation.replay.arrivals through what they do.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.fluid.test_fluid import plan_of
from tests.simulation.replay.replay_cases import Row, prepared, requests, run, steadily
from tests.simulation.replay.test_replay_engine import rush
from tests.simulation.replay.test_replay_reference import REGIONS, SCALING, rows_of
from tests.simulation.simulation_cases import BATCH, FAST, START, allocation, fleet
from workbench import simulation
from workbench.domain import Policy
from workbench.errors import SimulationError, TableError
from workbench.results import SimRun
from workbench.simulation.scheduling import Scheduling
from workbench.tables import REQUESTS

FRAMES = ("windows", "pools", "ttft", "scaling", "requests")


def same(one: SimRun, other: SimRun) -> bool:
    return all(getattr(one, name).equals(getattr(other, name)) for name in FRAMES)


def cut(load: pl.DataFrame, edges: list[int]) -> list[pl.DataFrame]:
    """Cut a frame before some of its rows; equal edges make empty blocks."""
    places = [0, *sorted(min(edge, load.height) for edge in edges), load.height]
    return [load[first:last] for first, last in itertools.pairwise(places)]


@settings(deadline=None, max_examples=40)
@given(
    rows=rows_of(60, regions=2, most_gap_us=40_000_000, longest=3000),
    edges=st.lists(st.integers(0, 60), max_size=12),
    ready=st.integers(0, 2),
    cap=st.sampled_from([1, 4]),
    order=st.sampled_from(["fcfs", "dpa"]),
)
def test_blocks_of_any_length_give_the_same_bytes(
    rows: list[Row], edges: list[int], ready: int, cap: int, order: str
) -> None:
    """Edges in the middle of a queue, among arrivals of one instant, while requests are parked or not yet released."""
    world = fleet(regions=REGIONS, ready=ready, lent=1, free_gpus=8, batch_cap=cap)
    more = {"scheduling": Scheduling(order=order), "keep_requests": True, "hours": 1.0}
    load = requests(rows)
    assert same(run(load, world, SCALING, **more), run(iter(cut(load, edges)), world, SCALING, **more))


@pytest.mark.parametrize("length", [1, 7, 100])
def test_a_rush_in_blocks(length: int) -> None:
    load, world = rush(), fleet(regions=REGIONS, ready=1, lent=2, batch_cap=8)
    blocks = [load[i : i + length] for i in range(0, load.height, length)]
    assert same(run(load, world, SCALING, keep_requests=True), run(blocks, world, SCALING, keep_requests=True))


def test_deferrable_work_is_held_for_hours_across_blocks() -> None:
    """No room for it until it ages after four hours; the blocks are of minutes."""
    policy = dataclasses.replace(
        SCALING, release_one_below_fraction=0.0, release_two_below_fraction=0.0, deferrable_ages_after_s=4 * 3600.0
    )
    rows = [(60.0 * i, 500, 30, BATCH if i % 3 else FAST, "east") for i in range(300)]
    load, world = requests(rows), fleet(ready=2)
    one, many = (run(part, world, policy, hours=6.0, keep_requests=True) for part in (load, load.iter_slices(10)))
    assert one.requests is not None
    assert one.requests.filter(pl.col("tier") == BATCH)["ttft_s"].min() > 4 * 3600.0 - 60.0
    assert same(one, many)


@pytest.mark.parametrize("length", [200, 950, 1300])
def test_hours_of_requests_that_wait_for_hours(length: int) -> None:
    """Twice what a replica can do: an hour's first tokens come in later blocks, which begin and end in mid-hour."""
    load, world = steadily(0.5, 4 * 3600.0, prompt=2000, output=200), fleet(ready=1, batch_cap=2)
    one, many = (run(part, world, hours=5.0, keep_requests=True) for part in (load, load.iter_slices(length)))
    assert one.requests is not None
    assert one.requests["ttft_s"].max() > 3600.0
    assert same(one, many)


@pytest.mark.parametrize("length", [365, 370, 735])
def test_an_hour_is_closed_once_although_blocks_end_soon_after_it_begins(length: int) -> None:
    """Every other request takes four minutes: some of the hour before end after the first ones of the next."""
    load = requests([(10.0 * i, 500, 8000 if i % 2 else 10, FAST, "east") for i in range(1440)])
    one, many = (run(part, fleet(), hours=5.0, keep_requests=True) for part in (load, load.iter_slices(length)))
    assert same(one, many)


def test_models_and_a_plan_with_its_override_in_blocks() -> None:
    """The override compares with what has come, which must not hang on what is known already."""
    drawn = np.random.default_rng(4)
    load = pl.concat(
        [
            requests([(float(at), 800, 60, FAST, "east") for at in np.sort(drawn.uniform(0, 7200, 4000))], model=model)
            for model in ("a", "b")
        ]
    ).sort("arrived_at", maintain_order=True)
    cells = [("east", "a"), ("east", "b")]
    more = {
        "plan": plan_of(allocation([dict.fromkeys(cells, 3), dict.fromkeys(cells, 2)])),
        "expected": pl.DataFrame(
            {"window_start": [START] * 2, "region": ["east"] * 2, "model": ["a", "b"], "input_tps": [40.0, 9e4]}
        ),
        "hours": 2.0,
        "keep_requests": True,
    }
    policy = Policy(key="ua", label="ua", follow_plan="paced_with_override", reclaim_s=20.0, floor_replicas=1)
    world = fleet(models=("a", "b"), ready=3, lent=3)
    one, many = (run(part, world, policy, **more) for part in (load, cut(load, [100, 3000, 3001, 7000])))
    assert one.scaling.height > 0
    assert same(one, many)


def test_only_what_is_inside_is_held_between_blocks() -> None:
    """Two hundred blocks of a minute: rows and slots stay those of a block and of what a replica holds."""
    load = steadily(4.0, 12_000.0, prompt=600, output=50)
    made, *_, steps = prepared(list(load.iter_slices(240)), fleet(ready=4), hours=12_000.0 / 3600.0)
    most = 0
    for step in range(0, steps, 6):
        made(step, step + 6)
        most = max(most, made.world.slots.size, made.world.latencies_s.shape[0])
    assert most < 3 * 240


def test_blocks_are_read_only_as_far_as_the_span_reaches() -> None:
    def endless() -> Iterator[pl.DataFrame]:
        for minute in range(1_000_000):
            yield requests([(60.0 * minute + i, 100, 5, FAST, "east") for i in range(60)])

    assert run(endless(), fleet(), hours=0.5).windows["arrived"].sum() == 1800.0


def test_the_fluid_engine_sums_blocks() -> None:
    load = rush()
    more = {"fleet": fleet(regions=REGIONS), "policy": SCALING, "start": START, "hours": 0.5}
    one, many = (simulation.run(part, **more) for part in (load, iter(cut(load, [5, 300]))))  # type: ignore[arg-type]
    assert one.windows.equals(many.windows)


@pytest.mark.parametrize("overlap_s", [0.000001, 400.0])
def test_blocks_that_overlap_or_run_backwards_are_refused(overlap_s: float) -> None:
    first = steadily(1.0, 120.0)
    second = first.with_columns(pl.col("arrived_at") + timedelta(seconds=119.0 - overlap_s))
    with pytest.raises(SimulationError, match=r"block 2 of the requests begins at .*none overlapping"):
        run([first, second], fleet())
    assert run([first, second.with_columns(pl.col("arrived_at") + timedelta(seconds=overlap_s))], fleet())


def test_a_block_in_any_order_of_rows_is_put_in_order() -> None:
    load, world = rush(), fleet(regions=REGIONS, ready=2)
    blocks = [block.reverse() for block in cut(load, [200, 400])]
    one, many = (run(part, world, keep_requests=True) for part in (load, blocks))
    assert one.windows.equals(many.windows)


def test_a_block_that_holds_no_requests_is_refused() -> None:
    with pytest.raises(TableError, match="REQUESTS: missing column"):
        run([steadily(1.0, 10.0), pl.DataFrame({"when": [1]})], fleet())


@pytest.mark.parametrize("load", [[], [REQUESTS.empty()] * 2])
def test_no_blocks_or_empty_ones_are_an_idle_fleet(load: list[pl.DataFrame]) -> None:
    assert run(load, fleet(ready=3)).windows["arrived"].sum() == 0.0


def test_rows_before_the_span_are_left_out() -> None:
    early = steadily(1.0, 60.0).with_columns(pl.col("arrived_at") - timedelta(hours=1))
    assert run([early, steadily(1.0, 60.0)], fleet()).windows["arrived"].sum() == 60.0
