"""JSON lines: every line is a row or a refusal with its line, whatever the blocks are."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.traces.options import TraceOptions
from workbench.traces.readers import streams
from workbench.traces.readers.formats import detect
from workbench.traces.readers.json_rows import json_batches, json_items

LINES = {
    "g": '{{"arrived_at": "2025-07-09 00:00:00", "input_tokens": {n}, "output_tokens": 1}}',
    "b": '{{"arrived_at": "2025-07-09 00:00:00", "input_tokens": {n}, "output_tokens": "many"}}',
    "s": '{{"arrived_at": "2025-07-09 00:00:00", "input_tokens": {n}',
    "l": "[{n}]",
    "n": '{{"arrived_at": null, "input_tokens": NaN, "output_tokens": {n}}}',
    "e": "",
}


@settings(deadline=None, max_examples=40)
@given(kinds=st.lists(st.sampled_from("ggbslne"), min_size=1, max_size=40), block=st.integers(20, 400))
def test_lines_and_rows_do_not_depend_on_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], block: int
) -> None:
    """g: good, b: bad value, s: cut off, l: no object, n: no number of JSON, e: empty; the count says the line."""
    path = tmp_path_factory.mktemp("blocks") / "r.jsonl"
    lines = [LINES[kind].format(n=number) for number, kind in enumerate(["g", *kinds], start=1)]
    path.write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK_BYTES", block)
        batches = list(detect(path).format.read(path, TraceOptions(model="m", region="r", tier="t")))
        objects = [row for rows, _, _ in json_items(path, lambda value: [value], what="row") for row in rows]
    expected = list(enumerate(["g", *kinds], start=1))
    assert [n for b in batches for n in b.good["input_tokens"]] == [n for n, kind in expected if kind == "g"]
    refused = [row for b in batches for row in b.rejected.select("line", "raw").rows()]
    assert sorted(refused) == [(n, lines[n - 1]) for n, kind in expected if kind not in "ge"]
    assert [line for line, _ in objects] == [n for n, kind in expected if kind in "gbn"]
    assert batches[-1].done_fraction == 1.0


def test_the_reason_says_what_is_wrong_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\nnope\n[1]\n{"a": "\xff"}\n{"a": 2, "b": ["x"]}\n{"b": [1, 2]}\n')
    (raw,) = json_batches(path, {"a": pl.String(), "b": pl.List(pl.Int64())})
    assert raw.frame.rows() == [("1", None, 1), (None, [1, 2], 6)]
    assert raw.malformed.sort("line").select("line", "reason").rows() == [
        (2, "no JSON object: Expecting value"),
        (3, "no JSON object: found list"),
        (4, "no JSON object: not UTF-8"),
        (5, "a value is of another type than expected"),
    ]


def test_a_deep_nest_is_refused_like_any_other_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": ' + "[" * 100_000 + "\n")
    (raw,) = json_batches(path, {"a": pl.String()})
    assert raw.frame["a"].to_list() == ["1"]
    assert raw.malformed["line"].to_list() == [2]


@settings(deadline=None, max_examples=30)
@given(rows=st.lists(st.tuples(st.integers(1, 10**7), st.text(max_size=20)), min_size=1, max_size=20))
def test_what_a_writer_of_json_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("back") / "a.jsonl"
    path.write_text("".join(json.dumps({"n": n, "text": text}) + "\n" for n, text in rows))
    (raw,) = json_batches(path, {"n": pl.String(), "text": pl.String()})
    assert raw.frame.rows() == [(str(n), text, line) for line, (n, text) in enumerate(rows, start=1)]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "h", "x"]), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(values=st.lists(JSON_VALUES, min_size=1, max_size=5))
def test_any_json_at_all_is_a_row_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, values: list[object]) -> None:
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    raws = list(json_batches(path, {"a": pl.String(), "h": pl.List(pl.Int64())}))
    lines = [line for raw in raws for line in [*raw.frame["line"], *raw.malformed["line"]]]
    assert sorted(lines) == list(range(1, len(values) + 1))


def test_a_file_of_mistyped_lines_is_not_parsed_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    wrong = ['["a"]', "[1.5]", "[true]", "[[1]]", '"x"', "5", "{}", f"[{2**63}]"]
    path.write_text("".join(f'{{"h": {value}}}\n' for value in [*wrong * 50, "[1, null]", "null", "[]"]))
    calls = []
    parse = pl.read_ndjson
    monkeypatch.setattr(pl, "read_ndjson", lambda *args, **named: calls.append(1) or parse(*args, **named))
    (raw,) = json_batches(path, {"h": pl.List(pl.Int64())})
    assert raw.frame["h"].to_list() == [[1, None], None, []]
    assert raw.malformed["line"].to_list() == list(range(1, 401))
    assert len(calls) == 2
