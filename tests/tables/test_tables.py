"""What fits a table passes unchanged; what does not is refused with the column or rule, the count and a sample row.

Covers workbench.tables.declaring, and what is declared with it: workbench.tables.traffic, workbench.tables.forecasts,
workbench.tables.backtests, workbench.tables.plans and workbench.tables.runs.
"""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from workbench import tables
from workbench.errors import TableError
from workbench.tables import DEMAND, REQUESTS, TABLES, Table

NINE = datetime(2026, 3, 2, 9)


def demand_row(**changes: object) -> dict[str, object]:
    """One row that fits DEMAND, with some of its values changed."""
    row: dict[str, object] = {
        "window_start": NINE,
        "region": "us_east",
        "model": "llama31_8b",
        "tier": "interactive_fast",
        "requests": 3.0,
        "input_tokens": 600.0,
        "output_tokens": 60.0,
    }
    return row | changes


def demand(*rows: dict[str, object]) -> pl.DataFrame:
    """A frame as it may come from anywhere: types as Polars guesses them."""
    return pl.DataFrame(list(rows))


def test_conform_orders_selects_and_casts(requests: pl.DataFrame) -> None:
    foreign = requests.select(
        pl.lit("not asked for").alias("extra"),
        pl.col("output_tokens").cast(pl.Float64),
        pl.col("input_tokens").cast(pl.Int32),
        pl.col("arrived_at").cast(pl.Datetime("ms")),
        pl.col("tier").cast(pl.Categorical),
        pl.exclude("arrived_at", "tier", "input_tokens", "output_tokens"),
    )
    assert_frame_equal(REQUESTS.conform(foreign), requests)


def test_a_missing_column_is_named_with_what_was_found() -> None:
    frame = demand(demand_row()).drop("tier", "requests")
    with pytest.raises(TableError, match=r"^DEMAND: missing column\(s\) tier, requests; found window_start, region"):
        DEMAND.conform(frame)


def test_a_column_of_another_type_is_refused_with_both_types() -> None:
    with pytest.raises(TableError, match=r"(?s)DEMAND: a column cannot be cast .*expected .*Float64.*found .*String"):
        DEMAND.conform(demand(demand_row(requests="three")))


def test_a_broken_rule_comes_with_its_count_and_a_sample() -> None:
    hours = [NINE + timedelta(hours=hour) for hour in range(4)]
    rows = [demand_row(window_start=at, input_tokens=tokens) for at, tokens in zip(hours, [1, -2, 3, -4], strict=True)]
    with pytest.raises(TableError) as caught:
        DEMAND.conform(demand(*rows))
    message = str(caught.value)
    assert "not (input_tokens >= 0) in 2 of 4 rows, first {" in message
    assert "'input_tokens': -2.0" in message
    assert "output_tokens" not in message.split("first {")[0]


def test_every_broken_rule_is_named_at_once() -> None:
    bad = demand_row(region=None, requests=-1.0, input_tokens=float("nan"), output_tokens=float("inf"))
    with pytest.raises(TableError) as caught:
        DEMAND.conform(demand(bad, demand_row()))
    for finding in (
        "region is null in 1 of 2 rows",
        "not (requests >= 0) in 1 of 2 rows",
        "input_tokens is not a finite number in 1 of 2 rows",
        "output_tokens is not a finite number in 1 of 2 rows",
    ):
        assert finding in str(caught.value)


def test_a_repeated_key_is_counted() -> None:
    twice = demand_row(requests=1.0)
    other = demand_row(region="us_west")
    with pytest.raises(TableError, match=r"repeated key \(window_start, region, model, tier\) in 2 of 3 rows"):
        DEMAND.conform(demand(twice, other, demand_row(requests=2.0)))


def test_a_null_passes_where_it_means_not_known() -> None:
    frame = demand(demand_row(requests=None, input_tokens=None, output_tokens=None), demand_row(region="us_west"))
    assert DEMAND.conform(frame).get_column("requests").to_list() == [None, 3.0]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_empty_frame_fits_and_keeps_its_types(table: Table) -> None:
    empty = table.empty()
    assert empty.is_empty()
    assert table.conform(empty).schema == table.schema


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_declared_whole(table: Table) -> None:
    assert getattr(tables, table.name) is table
    assert table.one_row_per
    assert set(table.key) <= set(table.columns)
    for name, column in table.columns.items():
        assert column.meaning, f"{table.name}.{name} has no meaning"
        assert column.unit or not column.dtype.is_numeric(), f"{table.name}.{name} has no unit"
        assert not (name in table.key and column.nullable), f"{table.name}.{name} is in the key and may be null"
    for expression in table.rules.values():
        assert set(expression.meta.root_names()) <= set(table.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_suffix_says_the_unit(table: Table) -> None:
    said = {"_s": "s", "_usd": "USD", "_tokens": "tokens", "_tps": "tokens/s", "_fraction": "1", "_gpu_hours": "GPU h"}
    for name, column in table.columns.items():
        for suffix, unit in said.items():
            if name.endswith(suffix) and column.dtype.is_numeric():
                assert column.unit == unit, f"{table.name}.{name} is in {column.unit}"


def test_window_s_of_is_the_smallest_step() -> None:
    minutes = [0, 15, 30, 90]
    frame = demand(*(demand_row(window_start=NINE + timedelta(minutes=minute)) for minute in reversed(minutes)))
    assert tables.window_s_of(frame) == 900.0


@pytest.mark.parametrize("rows", [0, 1])
def test_window_s_of_needs_two_windows(rows: int) -> None:
    with pytest.raises(TableError, match=f"needs two windows or more, found {rows}"):
        tables.window_s_of(DEMAND.conform(demand(demand_row())).head(rows))


instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
sizes = st.integers(1, 2**40)
request_rows = st.fixed_dictionaries(
    {
        "arrived_at": instants,
        "region": words,
        "model": words,
        "tier": words,
        "app": st.none() | words,
        "tenant": st.none() | words,
        "input_tokens": sizes,
        "output_tokens": sizes,
        "cached_tokens": st.none() | sizes,
    }
)


@settings(deadline=None, max_examples=50)
@given(st.lists(request_rows, max_size=8))
def test_what_conforms_comes_back_from_parquet_as_it_was(rows: list[dict[str, object]]) -> None:
    frame = REQUESTS.conform(pl.DataFrame(rows, schema=REQUESTS.schema))
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    parquet.seek(0)
    assert_frame_equal(REQUESTS.conform(pl.read_parquet(parquet)), frame)


@settings(deadline=None, max_examples=50)
@given(st.lists(request_rows, min_size=1, max_size=8), st.data())
def test_one_bad_row_among_good_ones_is_found(rows: list[dict[str, object]], data: st.DataObject) -> None:
    spoiled = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(["input_tokens", "output_tokens"]))
    bad = [row | ({column: 0} if i == spoiled else {}) for i, row in enumerate(rows)]
    with pytest.raises(TableError, match=rf"not \({column} >= 1\) in 1 of {len(rows)} rows"):
        REQUESTS.conform(pl.DataFrame(bad, schema=REQUESTS.schema))
