"""workbench.simulation.replay.pressure: what is counted, replica by replica and queue by queue."""

from __future__ import annotations

import dataclasses

import pytest

from tests.simulation.replay.replay_cases import prepared, requests
from tests.simulation.simulation_cases import BATCH, FAST, fleet
from workbench.domain import Policy
from workbench.simulation import rules as r
from workbench.simulation.replay import pressure

CHIRON = Policy(
    key="chiron", label="Chiron", siloed=True, mixed_share=0.25, scale_by="back_pressure", deferrable_ages_after_s=1e6
)
HELD = dataclasses.replace(CHIRON, release_one_below_fraction=0.0, release_two_below_fraction=0.0)


def test_a_replica_with_a_waiting_a_read_or_a_running_interactive_request_is_busy() -> None:
    """Twelve replicas: eight interactive, two batch, two mixed. Three requests of ten minutes, two of one token."""
    rows = [
        (at, 100, output, FAST, "east") for at, output in ((1.0, 9000), (2.0, 9000), (3.0, 9000), (4.0, 1), (5.0, 1))
    ]
    made, x, s, _, _ = prepared(requests(rows), fleet(ready=12), CHIRON)
    made.advance(0, 1)
    busy = [pressure.counted_busy(made.world, x.deferrable, p) for p in range(3)]
    assert [pool.silo for pool in s.pools] == [r.INTERACTIVE, r.DEFERRABLE, r.MIXED]
    assert busy == [3.0, 0.0, 0.0]


def test_batch_work_makes_no_replica_busy() -> None:
    rows = [(0.1 * at, 100, 9000, BATCH, "east") for at in range(40)]
    made, x, s, _, _ = prepared(requests(rows), fleet(ready=12), CHIRON)
    made.advance(0, 3)
    assert [pressure.counted_busy(made.world, x.deferrable, p) for p in range(3)] == [0.0, 0.0, 0.0]
    assert s.pools.inside.tolist()[1] > 0.0


def test_the_queue_is_what_waits_and_its_time_left_that_of_the_oldest() -> None:
    """A day's deadline, the first of thirty a second after the start: at 20 s it has a day less 19 s."""
    rows = [(1.0 + 0.1 * at, 100, 50, BATCH, "east") for at in range(30)]
    policy = dataclasses.replace(HELD, batch_fill_fraction=0.0)
    made, x, s, _, _ = prepared(requests(rows), fleet(ready=12), policy)
    made.advance(0, 2)
    pressure.watch(x, made.world, made.outside, s.pools, r.rules_of(policy), 20.0)
    batch = s.pools[1]
    assert (batch.queued, batch.left_s) == (30.0, pytest.approx(86_400.0 - 19.0))
    assert s.pools[0].queued == s.pools[2].queued == 0.0


def test_an_empty_queue_leaves_all_the_time_there_is() -> None:
    made, x, s, _, _ = prepared(requests([]), fleet(ready=12), CHIRON)
    pressure.watch(x, made.world, made.outside, s.pools, r.rules_of(CHIRON), 0.0)
    assert (s.pools[1].queued, s.pools[1].left_s) == (0.0, r.NEVER)
    assert s.pools[1].drain_rps > 0.0
