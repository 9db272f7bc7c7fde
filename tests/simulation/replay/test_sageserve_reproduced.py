"""SageServe's fixed fleets request by request: the loop that proves our replay, under SageServe's rules.

Hand-solved cases first; then its iteration times, all 44 scenarios and fleets of twenty from its strategy runs, to
the rounding of the files.
"""

from __future__ import annotations

import dataclasses
import math

import polars as pl
import pytest

from tests.simulation.replay.reference_machine import Asked
from tests.simulation.replay.sageserve_comparing import (
    SAGESERVE,
    apart_s,
    kv_reserved_fraction,
    mean_decoding,
    mean_running,
    other_instance,
    served,
    statistics,
)
from tests.simulation.replay.sageserve_files import (
    ABSENT,
    FOLDER,
    ROUNDING_S,
    Curve,
    Scenario,
    endpoints,
    names,
    scenario,
)
from tests.simulation.replay.sageserve_machine import Instance, groups_of, labels_of, play, sageserve_law
from tests.simulation.simulation_cases import replica
from workbench.simulation.scheduling import Scheduling

pytestmark = pytest.mark.uncounted  # the reference takes four times as long while coverage looks on

needs_files = pytest.mark.skipif(not FOLDER.exists(), reason=ABSENT)
SCENARIOS = names() if FOLDER.exists() else ()
TOLERANCE_S = ROUNDING_S + 1e-9


def seconds(read: int, decoding: int) -> float:
    """A law for the head: 1 s to read, 0.1 s to decode, 2 s for both."""
    if not read:
        return 0.1
    return 2.0 if decoding else 1.0


def by_hand(room: float, in_two_phases: bool) -> list[Asked]:
    asked = [Asked(0.0, 40, 21, 0, 0), Asked(0.5, 38, 5, 0, 0), Asked(3.5, 1, 2, 0, 0)]
    small = dataclasses.replace(replica(), kv_cache_tokens=room)
    play(asked, [Instance(small, Scheduling(), (math.inf,), law=seconds, in_two_phases=in_two_phases)], lambda _: 0)
    return asked


def test_in_two_phases_a_prompt_is_read_before_there_is_room_to_decode() -> None:
    """In 102 tokens the first takes 41, then 61; the second 39 and waits for the 4 more that are not there.

    The third would fit and does not overtake it: both start when the first has ended, at 4.9 s.
    """
    first, second, third = by_hand(102.0, in_two_phases=True)
    assert (first.ttft_s, first.e2e_s) == pytest.approx((1.0, 4.9))
    assert (second.ttft_s, second.e2e_s) == pytest.approx((2.5, 6.7))
    assert (third.ttft_s, third.e2e_s) == pytest.approx((3.4, 3.5))


def test_reserved_whole_the_same_prompt_waits_for_the_room_of_its_answer() -> None:
    first, second, third = by_hand(102.0, in_two_phases=False)
    assert (first.ttft_s, first.e2e_s) == pytest.approx((1.0, 3.0))
    assert (second.ttft_s, third.ttft_s) == pytest.approx((3.5, 2.5))


def test_a_curve_is_continued_at_both_ends() -> None:
    curve = Curve([(2.0, 10.0), (4.0, 20.0), (6.0, 60.0)])
    assert [curve(x) for x in (0.0, 2.0, 3.0, 5.0, 7.0)] == [0.0, 10.0, 15.0, 40.0, 80.0]


def test_groups_are_of_three_and_two() -> None:
    sizes = {count: [len(group) for group in groups_of(count)] for count in (1, 2, 3, 4, 7, 8, 9)}
    assert sizes == {1: [1], 2: [2], 3: [3], 4: [2, 2], 7: [3, 2, 2], 8: [3, 3, 2], 9: [3, 3, 3]}
    assert labels_of(4) == ["0.0", "0.1", "1.0", "1.1"]
    assert [len(group) for group in groups_of(20)] == [3] * 6 + [2]


@needs_files
def test_the_iteration_times_are_those_of_the_table() -> None:
    times = pl.read_csv(FOLDER / "iteration_times.csv")
    assert set(times["kind"]) == {"prefill", "decode", "mixed"}
    for model, _, decoding, read, expected_s in times.iter_rows():
        assert sageserve_law(model)(read, decoding) == pytest.approx(expected_s, abs=0.6e-9), (model, read, decoding)


@pytest.mark.parametrize("name", SCENARIOS[::3])
def test_every_request_of_a_fixed_fleet_is_reproduced(name: str) -> None:
    """A third of the fleets; ``python -m tests.simulation.replay.sageserve_table`` takes them all."""
    assert_reproduced(scenario(name))


@needs_files
@pytest.mark.parametrize("run", ["w1_fixed20", "w2_fixed20"])
def test_every_request_of_twenty_instances_is_reproduced(run: str) -> None:
    """Models of the first region, each with six groups of three and one of two; the table takes all three regions."""
    first = [part for part in endpoints(run) if part.name.startswith(f"{run} 0")]
    assert [part.name[-1] for part in first] == {"w1_fixed20": [*"ABCD"], "w2_fixed20": [*"AB"]}[run]
    for part in first:
        assert_reproduced(part)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("conv_A")])
def test_means_and_percentiles_are_taken_as_the_summary_takes_them(name: str) -> None:
    one = scenario(name)
    for key, value in statistics(one, one.requests).items():
        assert value == pytest.approx(one.summary[key], abs=2e-6), key
    # the summary's averages over time are over whole bins inside the window
    assert mean_running(one, one.requests) == pytest.approx(one.summary["mean_running"], rel=0.01)
    assert mean_decoding(one, one.requests) == pytest.approx(one.summary["mean_decoding"], rel=0.01)
    kv = kv_reserved_fraction(one, one.requests, in_two_phases=True)
    assert kv == pytest.approx(one.summary["mean_kv_utilisation"], rel=0.01)


def assert_reproduced(one: Scenario) -> None:
    done = served(one, SAGESERVE)
    for name, largest_s in apart_s(one.requests, done).items():
        assert largest_s <= TOLERANCE_S, name
    assert other_instance(one, done) == 0
