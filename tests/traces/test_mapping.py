"""A mapping file is read whole or refused with every mistake in it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from workbench.errors import TraceError
from workbench.traces.mapping import EPOCH, ColumnMapping, load_mapping
from workbench.traces.options import TraceOptions

MAPPINGS = Path(__file__).resolve().parents[2] / "data" / "mappings"
SHIPPED = sorted(MAPPINGS.glob("*.toml"))


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        load_mapping(path)
    return str(caught.value)


def test_a_mapping_says_what_every_column_is() -> None:
    mapping = load_mapping(MAPPINGS / "gateway_log.toml")
    assert mapping == ColumnMapping(
        kind="requests",
        time_column="created",
        unit="ms",
        since=EPOCH,
        columns={"model": "deployment", "tenant": "team", "input_tokens": "usage_in", "output_tokens": "usage_out"},
        constants={"region": "us_east", "tier": "interactive_fast"},
        labels={"model": {"gpt-large": "llama2_70b", "gpt-small": "llama31_8b"}},
        about="log of a gateway",
    )
    assert not mapping.needs_start


def test_numbers_count_from_the_epoch_a_start_or_an_instant(tmp_path: Path) -> None:
    text = 'kind="series"\n[time]\ncolumn="t"\nunit="s"\nsince={}\n[columns]\nrps="r"\n'
    path = tmp_path / "m.toml"
    for since, expected in (('"start"', None), ('"epoch"', EPOCH), ("2025-01-06T00:00:00", datetime(2025, 1, 6))):
        path.write_text(text.format(since))
        assert load_mapping(path).since == expected
        assert load_mapping(path).needs_start == (expected is None)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = refused(
        tmp_path,
        """
        kind = "requests"
        colums = 1
        [time]
        colum = "t"
        unit = "ms"
        [columns]
        input_token = "a"
        output_tokens = 5
        model = "m"
        [constants]
        model = "x"
        region = 7
        cached_tokens = -1
        [labels.tier]
        prod = "fast"
        [labels.model]
        big = 3
        """,
    )
    for finding in (
        "unknown section 'colums': did you mean 'columns'?",
        "unknown key in [time] 'colum': did you mean 'column'?",
        "time.column must name the column",
        "time.since must say what the numbers count from",
        "unknown name in [columns] 'input_token': did you mean 'input_tokens'?",
        "columns.output_tokens must be a text, found 5",
        "model stands in [columns] and in [constants]",
        "constants.region must be a text, found 7",
        "constants.cached_tokens must be a number of 0 or more, found -1",
        "input_tokens is missing in [columns]",
        "labels.tier needs tier in [columns]",
        "labels.model.big must be a text, found 3",
    ):
        assert finding in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = ", "cannot be read as TOML"),
        ('kind = "rows"', "kind must be 'requests' or 'series', found 'rows'"),
        ('kind = "requests"', r"\[time\] is missing"),
        ('kind = "requests"\ncolumns = 5', "columns must be a section"),
        ('kind = "requests"\nlabels = {model = 5}', "labels.model must be a section"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="day"', r"time.unit must be iso, s, .* 'format:' .*, found 'day'"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="format:%d/%m"', "a format without day, month or year"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="format:%d/%m/%Y %H"', "hours and no minutes"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="format:%Q"', "a format that cannot be read"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="format:%d/%m/%Y"\nsince="epoch"', "time.since is for numbers"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="iso"\nsince="epoch"', "time.since is for numbers"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="s"\nsince=2025-01-06T00:00:00Z', "time.since must say"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="iso"\n[columns]\nmodel="m"', "no load in"),
        ('kind = "series"\n[time]\ncolumn="t"\nunit="iso"\n[columns]\nrps="a"\nrequests="b"', "state the same"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(said, refused(tmp_path, text))


def test_a_mapping_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        load_mapping(tmp_path / "none.toml")
    with pytest.raises(TraceError, match="cannot be read as TOML"):
        load_mapping(tmp_path)


def test_the_content_not_the_path_of_a_mapping_tells_traces_apart(tmp_path: Path) -> None:
    text = (MAPPINGS / "gateway_log.toml").read_text()
    (tmp_path / "same.toml").write_text("# moved\n" + text)
    (tmp_path / "other.toml").write_text(text.replace("us_east", "us_west"))
    one, same, other = (
        TraceOptions(mapping=load_mapping(path)).canonical()
        for path in (MAPPINGS / "gateway_log.toml", tmp_path / "same.toml", tmp_path / "other.toml")
    )
    assert one == same
    assert one != other


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_mappings_are_sound(path: Path) -> None:
    assert load_mapping(path).about
