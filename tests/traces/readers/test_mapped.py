"""Files of no known format, read by a mapping: requests and series, CSV, JSON lines and Parquet alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.mapping import UNITS_S, ColumnMapping, load_mapping
from workbench.traces.options import TraceOptions
from workbench.traces.readers import mapped
from workbench.traces.readers.formats import detect, unanswered

MAPPINGS = Path(__file__).resolve().parents[3] / "data" / "mappings"
DATA = MAPPINGS.parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not there")


def read_by(mapping: ColumnMapping, path: Path, **options: object) -> tuple[pl.DataFrame, pl.DataFrame]:
    given_options = TraceOptions(mapping=mapping, **options)  # type: ignore[arg-type]
    found = detect(path, options=given_options)
    assert found.format.key == mapped.KEY
    assert unanswered(found, given_options) == []
    batches = list(found.format.read(path, given_options))
    return pl.concat(b.good for b in batches), pl.concat(b.rejected for b in batches)


def test_a_log_of_a_gateway_becomes_requests() -> None:
    good, refused = read_by(load_mapping(MAPPINGS / "gateway_log.toml"), SAMPLES / "gateway_log.jsonl")
    columns = ("arrived_at", "region", "model", "tier", "tenant", "input_tokens", "output_tokens")
    assert good.select(columns).rows() == [
        (datetime(2025, 7, 9, 0, 0, 0, 123_000), "us_east", "llama2_70b", "interactive_fast", "search", 120, 30),
        (datetime(2025, 7, 9, 0, 0, 1), "us_east", "llama31_8b", "interactive_fast", None, 80, 20),
    ]
    assert refused.sort("line").select("line", "reason").rows() == [
        (3, "model has no key in the mapping"),
        (4, "arrival time is missing or no instant"),
    ]


def test_a_column_that_is_not_there_is_one_error_with_those_that_are(tmp_path: Path) -> None:
    options = TraceOptions(mapping=load_mapping(MAPPINGS / "gateway_log.toml"))
    path = tmp_path / "log.csv"
    path.write_text("created_at,deployment,usage_in,tokens_out,team\n")
    with pytest.raises(TraceError) as caught:
        detect(path, options=options)
    text = str(caught.value)
    assert "'created' (did you mean 'created_at')" in text
    assert "'usage_out'" in text
    assert "It has created_at, deployment, usage_in, tokens_out, team" in text
    with pytest.raises(TraceError, match="exclude each other"):
        detect(SAMPLES / "gateway_log.jsonl", options=options, format="requests")
    with pytest.raises(TraceError, match="needs a mapping file"):
        detect(path, format="mapped")


def test_what_the_mapping_leaves_open_is_asked_for() -> None:
    mapping = ColumnMapping(kind="series", time_column="created", unit="s", columns={"rps": "usage_in"})
    found = detect(SAMPLES / "gateway_log.jsonl", options=TraceOptions(mapping=mapping))
    assert found.lacks == ("model", "region", "tier", "start", "input_tokens_per_request", "output_tokens_per_request")


@settings(deadline=None, max_examples=30)
@example(seconds=[0, 8_028_055], unit="ns", layout="csv")  # a quotient of it by 1e-9 is no whole number
@given(
    seconds=st.lists(st.integers(0, 10**7), min_size=2, max_size=8, unique=True),
    unit=st.sampled_from(["iso", *UNITS_S]),
    layout=st.sampled_from(["csv", "jsonl", "parquet"]),
)
def test_the_unit_and_the_layout_do_not_change_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, seconds: list[int], unit: str, layout: str
) -> None:
    start = datetime(2025, 1, 6)
    times = [start + timedelta(seconds=s) for s in seconds]
    stated = [str(at) for at in times] if unit == "iso" else [s * round(1.0 / UNITS_S[unit]) for s in seconds]
    frame = pl.DataFrame({"when": stated, "in": [5] * len(seconds), "out": [7] * len(seconds)})
    path = tmp_path_factory.mktemp("mapped") / f"a.{layout}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[layout](path)
    mapping = ColumnMapping(
        kind="requests", time_column="when", unit=unit, columns={"input_tokens": "in", "output_tokens": "out"},
        constants={"model": "m", "region": "r", "tier": "t"},
    )  # fmt: skip
    good, refused = read_by(mapping, path, **({} if unit == "iso" else {"start": start}))
    assert good["arrived_at"].to_list() == times
    assert refused.is_empty()


@needs_data
def test_the_azure_week_of_2024_comes_to_its_published_total() -> None:
    """16,803,695 and 27,303,999 requests in the week, one window every ten minutes."""
    good, refused = read_by(
        load_mapping(MAPPINGS / "azure_2024_week_10min.toml"),
        DATA / "azure-llm-2024-digitised" / "requests_10min.parquet",
        region="us_east",
        tier="interactive_fast",
        input_tokens_per_request={"code": 2500.0, "conv": 1600.0},
        output_tokens_per_request={"code": 25.0, "conv": 130.0},
    )
    totals = dict(good.group_by("model").agg(pl.col("requests").sum()).iter_rows())
    assert totals == {"code": pytest.approx(16_803_695, rel=1e-3), "conv": pytest.approx(27_303_999, rel=1e-3)}
    assert (good.height, refused.height) == (2016, 0)
    assert (good["input_tokens"] / good["requests"]).unique().round(6).sort().to_list() == [1600, 2500]


@needs_data
def test_the_hours_of_the_azure_week_have_tokens_and_unknown_ones() -> None:
    good, refused = read_by(
        load_mapping(MAPPINGS / "azure_2024_week_hourly.toml"),
        DATA / "azure-llm-2024-digitised" / "hourly.csv",
        region="us_east", tier="interactive_fast",
    )  # fmt: skip
    assert refused.is_empty()
    code, conv = good.filter(pl.col("model") == "code"), good.filter(pl.col("model") == "conv")
    assert code["output_tokens"].null_count() == code.height == 168
    assert (conv["input_tokens"].sum() + conv["output_tokens"].sum()) == pytest.approx(47.429e9, rel=0.01)


@needs_data
def test_the_deepseek_day_has_requests_by_their_length() -> None:
    """608e9 input and 168e9 output tokens from 12:00 on in China, which is 04:00 UTC."""
    good, refused = read_by(
        load_mapping(MAPPINGS / "deepseek_v3r1_day.toml"),
        DATA / "deepseek-v3r1-day" / "load_hourly.csv",
        region="us_east", tier="interactive_fast", input_tokens_per_request=1000.0,
    )  # fmt: skip
    assert refused.is_empty()
    assert good["window_start"].min() == datetime(2025, 2, 27, 4)
    assert good["input_tokens"].sum() == pytest.approx(608e9, rel=1e-3)
    assert good["output_tokens"].sum() == pytest.approx(168e9, rel=1e-3)
    assert (good["requests"] * 1000).sum() == pytest.approx(608e9, rel=1e-3)
    assert good["model"].unique().to_list() == ["deepseek_v3r1"]


def test_dotted_paths_days_first_and_the_wrong_unit(tmp_path: Path) -> None:
    path = tmp_path / "nested.jsonl"
    path.write_text(
        '{"at": "09/07/2025 13:05", "request": {"usage": {"in": 12, "out": 3}}}\n'
        '{"at": "2025-07-09 13:05", "request": {"usage": {"in": 12, "out": 3}}}\n'
        '{"at": 1740988800403, "request": {"usage": {"in": 12, "out": 3}}}\n'
    )
    mapping = ColumnMapping(
        kind="requests", time_column="at", unit="format:%d/%m/%Y %H:%M",
        columns={"input_tokens": "request.usage.in", "output_tokens": "request.usage.out"},
        constants={"model": "m", "region": "r", "tier": "t"},
    )  # fmt: skip
    good, refused = read_by(mapping, path)
    assert good.select("arrived_at", "input_tokens", "output_tokens").rows() == [(datetime(2025, 7, 9, 13, 5), 12, 3)]
    assert refused.sort("line").select("line", "reason").rows() == [
        (2, "arrival time is missing or no instant"),
        (
            3,
            "the time looks like milliseconds since 1970; the mapping says text (format:%d/%m/%Y %H:%M): "
            'set unit = "ms" and since = "epoch"',
        ),
    ]
    wrong = ColumnMapping(kind="requests", time_column="at", columns={"input_tokens": "request.use.in"})
    with pytest.raises(TraceError, match=r"'request\.use\.in' \(did you mean 'request\.usage\.in'"):
        detect(path, options=TraceOptions(mapping=wrong))


@pytest.mark.parametrize(
    ("unit", "since", "stated", "words"),
    [
        ("iso", None, 1740988800403, "milliseconds since 1970; the mapping says text (iso)"),
        ("s", datetime(1970, 1, 1), 1740988800403, "milliseconds since 1970; the mapping says seconds since 1970"),
        ("ms", datetime(1970, 1, 1), 1740988800, "seconds since 1970; the mapping says milliseconds since 1970"),
        ("s", None, 1740988800, "seconds since 1970; the mapping says seconds since the start given"),
        ("ms", None, 1740988800, ""),
        ("ms", datetime(1970, 1, 1), 1740988800403, ""),
    ],
)
def test_numbers_read_in_the_wrong_unit_are_refused_by_its_name(
    tmp_path: Path, unit: str, since: datetime | None, stated: int, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"when,in,out\n{stated},1,1\n")
    mapping = ColumnMapping(
        kind="requests", time_column="when", unit=unit, since=since,
        columns={"input_tokens": "in", "output_tokens": "out"},
        constants={"model": "m", "region": "r", "tier": "t"},
    )  # fmt: skip
    start = {"start": datetime(2025, 1, 6)} if mapping.needs_start else {}
    good, refused = read_by(mapping, path, **start)
    assert (good.height, refused.height) == ((1, 0) if not words else (0, 1))
    assert all(words in reason for reason in refused["reason"])
