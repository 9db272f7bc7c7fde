"""Keys inside of objects by dotted paths: workbench.traces.readers.json_paths."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import TraceError
from workbench.traces.readers.json_paths import path_batches, paths_in

ROWS = [
    {"id": 1, "request": {"usage": {"in": 12, "out": 3}, "model": "a"}, "a.b": "dotted"},
    {"id": 2, "request": {"usage": None}},
    {"id": 3},
    {"id": 4, "request": "none"},
    {"id": 5, "request": {"usage": {"in": 7}, "other": [1]}},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_values_inside_of_objects_become_columns_and_other_shapes_are_refused(log: Path) -> None:
    names = ("id", "request.usage.in", "request.model", "a.b")
    batches = list(path_batches(log, names, top=("id", "request", "a.b")))
    frame = pl.concat(batch.frame for batch in batches)
    assert frame.columns == [*names, "line"]
    assert frame.rows() == [
        ("1", "12", "a", "dotted", 1),
        ("2", None, None, None, 2),
        ("3", None, None, None, 3),
        ("5", "7", None, None, 5),
    ]
    (refused,) = pl.concat(batch.malformed for batch in batches).to_dicts()
    assert (refused["line"], refused["reason"]) == (4, "a value is of another type than expected")


def test_the_paths_of_the_first_objects_are_known(log: Path) -> None:
    found = paths_in(log)
    assert {"id", "request.usage.in", "request.usage.out", "request.model", "a.b"} <= set(found)


def test_a_name_is_a_value_or_a_way_not_both(log: Path) -> None:
    for names in (("request", "request.model"), ("request.model", "request")):
        with pytest.raises(TraceError, match="'request' is asked for as a value and as the way to another"):
            list(path_batches(log, names, top=("id", "request")))
