"""Windows that touch a gap of the trace are unknown, whatever their length; a quiet night stays a zero.

Seen through the features: workbench.features.demand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, after_s, frame_of
from workbench import features
from workbench.tables import DEMAND
from workbench.traces import TraceOptions, ingest, parse_region_split
from workbench.traces.catalogue import GAPS, TraceHeader
from workbench.traces.store import Store, open_store

EVERY_MINUTE = frame_of([(60.0 * minute, model, 100, 10) for minute in range(60) for model in ("a", "b")])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "t.duckdb") as opened:
        yield opened


def write(
    store: Store, frame: pl.DataFrame, *gaps: tuple[str | None, float, float], window_s: float | None = None
) -> None:
    """Write the trace ``x`` with gaps as (model, since, until) in seconds after START."""
    kind = "requests" if window_s is None else "series"
    header = TraceHeader(name="x", kind=kind, format="f", source="s", fingerprint="x", window_s=window_s)  # type: ignore[arg-type]
    listed = [(None, model, after_s(since), after_s(until), "hole") for model, since, until in gaps]
    with store.writing(header, replace=True) as writing:
        writing.add(frame)
        writing.mark_gaps(pl.DataFrame(listed, schema=GAPS.schema, orient="row"))


def requests(demand: pl.DataFrame, model: str) -> list[float | None]:
    return demand.filter(pl.col("model") == model)["requests"].to_list()


def test_windows_that_touch_a_gap_of_their_model_are_unknown(store: Store) -> None:
    hour = EVERY_MINUTE.filter(~pl.col("arrived_at").is_between(after_s(660), after_s(1260)))
    write(store, hour, ("a", 601.0, 1320.0))
    demand = features.demand(store, "x", window_s=600)
    assert requests(demand, "a") == [10, None, None, 10, 10, 10]
    assert requests(demand, "b") == [10, 1, 8, 10, 10, 10]
    assert demand.filter(pl.col("requests").is_null()).select("input_tokens", "output_tokens").null_count().row(0) == (
        2,
        2,
    )
    write(store, hour, (None, 600.0, 1200.0))
    for model in ("a", "b"):
        assert requests(features.demand(store, "x", window_s=600), model)[:3] == [10, None, 8]
        assert requests(features.demand(store, "x", window_s=3600), model) == [None]
    write(store, hour)
    assert requests(features.demand(store, "x", window_s=300), "a")[2:4] == [1, 0]


def test_a_hole_of_a_series_is_unknown_though_the_source_says_zero(store: Store) -> None:
    sums = features.demand(_filled(store), "x", window_s=600)
    write(store, DEMAND.conform(sums), ("b", 1200.0, 1800.0), window_s=600.0)
    assert requests(features.demand(store, "x", window_s=600), "b") == [10, 10, None, 10, 10, 10]
    assert requests(features.demand(store, "x", window_s=1200), "b") == [20, None, 20]
    assert requests(features.demand(store, "x", window_s=1200), "a") == [20, 20, 20]


def _filled(store: Store) -> Store:
    write(store, EVERY_MINUTE)
    return store


def test_a_hole_is_unknown_in_each_made_region_at_its_own_time_only(store: Store, tmp_path: Path) -> None:
    """Ten hours at 600 a window of ten minutes with half an hour missing at 05:00; west lies two hours later."""
    windows = pl.datetime_range(START, after_s(36_000), "10m", closed="left", eager=True).cast(pl.Datetime("us"))
    rate = pl.when(windows.is_between(after_s(18_000), after_s(19_800), closed="left")).then(0.0).otherwise(600.0)
    frame = pl.select(window_start=windows, requests=rate, input_tokens=rate * 10, output_tokens=rate)
    labelled = frame.with_columns(model=pl.lit("llama31_8b"), tier=pl.lit("interactive_fast"))
    labelled.write_parquet(tmp_path / "d.parquet")
    ingest(
        tmp_path / "d.parquet",
        store=store,
        name="x",
        options=TraceOptions(region_split=parse_region_split("us_east=0.5:0,us_west=0.5:2")),
    )
    unknown = features.demand(store, "x", window_s=600).filter(pl.col("requests").is_null())
    times = {
        region: [start.strftime("%H:%M") for start in part["window_start"]]
        for (region,), part in unknown.partition_by("region", as_dict=True).items()
    }
    assert times == {"us_east": ["05:00", "05:10", "05:20"], "us_west": ["07:00", "07:10", "07:20"]}


@settings(deadline=None, max_examples=15)
@given(
    seconds=st.lists(st.integers(0, 20_000), min_size=1, max_size=40),
    gaps=st.lists(st.tuples(st.sampled_from(["a", None]), st.integers(0, 20_000), st.integers(1, 4000)), max_size=3),
    window_s=st.sampled_from([1, 60, 900, 86_400]),
)
def test_known_windows_hold_what_they_held_and_unknown_ones_touch_a_gap(
    tmp_path_factory: pytest.TempPathFactory,
    seconds: list[int],
    gaps: list[tuple[str | None, int, int]],
    window_s: int,
) -> None:
    frame = frame_of([(float(second), "a", 1, 1) for second in seconds])
    with open_store(tmp_path_factory.mktemp("gaps") / "t.duckdb") as store:
        write(store, frame)
        before = features.demand(store, "x", window_s=window_s)
        write(store, frame, *((model, since, since + length) for model, since, length in gaps))
        after = features.demand(store, "x", window_s=window_s)
    assert after.select("window_start", "model").equals(before.select("window_start", "model"))
    for start, was, now in zip(before["window_start"], before["requests"], after["requests"], strict=True):
        is_touched = any(
            start < after_s(since + length) and (start - after_s(since)).total_seconds() > -window_s
            for _, since, length in gaps
        )
        assert now is None if is_touched else now == was
