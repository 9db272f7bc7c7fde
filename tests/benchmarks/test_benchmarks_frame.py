"""The frame of the benchmarks: what a figure is, which rooms there are, and that an empty one is never faked."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks import NAMES
from tests.benchmarks.__main__ import NOT_YET, as_json, as_table, describe, main, room, row_of, why_not
from tests.benchmarks.timing import Figure, Spread, cold_start, measure, side_by_side

FRAME = {"__init__", "__main__", "timing"}


class Stopwatch:
    """A clock that stands still but for the seconds a job says it takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def job(self, name: str, *seconds: float) -> Callable[[], None]:
        """Return a function that takes these seconds, one after another."""
        left = list(seconds)

        def run() -> None:
            self.calls.append(name)
            self.now += left.pop(0)

        return run


def test_measure_leaves_the_warm_up_out() -> None:
    clock = Stopwatch()
    spread = measure(clock.job("a", 100.0, 3.0, 1.0, 2.0, 9.0, 5.0), runs=5, warmup=1, clock=clock)
    assert spread == Spread(median=3.0, low=1.0, high=9.0)
    assert spread.times(1e3) == Spread(median=3000.0, low=1000.0, high=9000.0)


def test_side_by_side_takes_turns_and_compares_turn_by_turn() -> None:
    clock = Stopwatch()
    slow, fast = clock.job("slow", 50.0, 2.0, 8.0, 40.0), clock.job("fast", 50.0, 1.0, 2.0, 20.0)
    first, second, ratio = side_by_side(slow, fast, runs=3, warmup=1, clock=clock)
    assert clock.calls == ["slow", "fast"] * 4
    assert first == Spread(median=8.0, low=2.0, high=40.0)
    assert second == Spread(median=2.0, low=1.0, high=20.0)
    assert ratio == 2.0


def test_a_cold_start_is_all_that_a_fresh_interpreter_takes() -> None:
    spread = cold_start("import json; print('what else it prints')", runs=2)
    assert 0.0 < spread.low <= spread.median <= spread.high


def test_the_real_clock_only_goes_forward() -> None:
    spread = measure(lambda: list(accumulate(range(100))), runs=3)
    assert 0 <= spread.low <= spread.median <= spread.high


def test_a_row_has_a_ratio_only_where_two_things_were_measured() -> None:
    spread = Spread(median=2.0, low=1.0, high=3.0)
    alone = row_of("ingest", Figure(metric="rows_10m_s", unit="s", spread=spread))
    assert alone == {"name": "ingest", "metric": "rows_10m_s", "unit": "s", "median": 2.0, "low": 1.0, "high": 3.0}
    assert row_of("lanes", Figure(metric="x", unit="s", spread=spread, ratio=4.0))["ratio"] == 4.0


def test_rows_are_printed_as_json_and_as_a_table() -> None:
    figure = Figure(metric="rows_10m_s", unit="s", spread=Spread(median=2.0, low=1.0, high=3.14159), ratio=4.0)
    rows = [row_of("ingest", figure), row_of("lanes", figure)]
    assert json.loads(as_json(rows)) == rows
    assert json.loads(as_json([])) == []
    printed = io.StringIO()
    Console(file=printed, width=100).print(as_table(rows))
    assert "ingest" in printed.getvalue()
    assert "3.142" in printed.getvalue()


def test_every_module_is_a_room_with_a_name() -> None:
    modules = {path.stem for path in Path(__file__).parent.glob("*.py")} - FRAME
    assert {name for name in modules if not name.startswith("test_")} <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_room_is_either_whole_or_said_to_be_empty(name: str) -> None:
    module = room(name)
    if module is None:
        assert describe(name) == NOT_YET
        assert NOT_YET in why_not(name)
    else:
        assert describe(name)
        assert not inspect.signature(module.run).parameters
        assert why_not(name) == ""


def test_list_names_every_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(NAMES)


def test_an_unknown_name_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingst"]) == 2
    assert "no benchmark is called 'ingst': did you mean 'ingest'?" in capsys.readouterr().err
