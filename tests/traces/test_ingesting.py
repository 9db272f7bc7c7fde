"""One command takes any known file into the store, asks for all that is missing, and is harmless when repeated."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.traces.trace_cases import SAMPLES, frame_of
from workbench import catalog
from workbench.errors import TableError, TraceError
from workbench.traces import (
    Source,
    Store,
    TraceOptions,
    ingest,
    ingest_frame,
    ingesting,
    open_store,
    parse_region_split,
    parse_tier_split,
)

AZURE = TraceOptions(
    model={"azure_code": "llama31_8b", "azure_conv.csv": "llama2_70b"}, region="us_east", tier="interactive_fast"
)
BOTH = [SAMPLES / "azure_code.csv", SAMPLES / "azure_conv.csv"]
SPLIT = parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")
WEEK = TraceOptions(
    model={"A": "llama2_70b", "C": "llama31_8b"},
    keep=("A", "C"),
    region_split=SPLIT,
    tier={"non-interactive": "non_interactive"},
    tier_split=parse_tier_split("interactive=interactive_fast:0.6+interactive_normal:0.4"),
    start=datetime(2024, 11, 4),
    input_tokens_per_request=5000,
    output_tokens_per_request=200,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "t.duckdb")


def found(report: object, what: str) -> list[dict[str, object]]:
    return report.findings.filter(pl.col("finding") == what).to_dicts()  # type: ignore[attr-defined]


def test_two_files_become_two_models_of_one_trace(store: Store) -> None:
    seen: list[tuple[str, float, int]] = []
    report = ingest(BOTH, store=store, name="azure", options=AZURE, progress=lambda *step: seen.append(step))
    assert (report.rows_read, report.rows_kept, report.rows_rejected, report.was_there) == (5, 5, 0, False)
    assert (report.source, report.format) == ("azure_code.csv, azure_conv.csv", "azure_llm")
    assert report.first_at == datetime(2023, 11, 16, 18, 15, 46, 680_590)
    assert report.last_at == datetime(2023, 11, 16, 18, 17, 4, 78_149)
    sums = store.sum_by_window("azure", window_s=3600)
    assert sums.select("model", "requests", "input_tokens").rows() == [
        ("llama2_70b", 2.0, 770.0),
        ("llama31_8b", 3.0, 8098.0),
    ]
    assert seen == [("azure_code.csv", 1.0, 3), ("azure_conv.csv", 1.0, 2)]


def test_each_source_may_bring_its_own_options(store: Store) -> None:
    code = TraceOptions(model="m", region="us_east", tier="interactive_fast")
    conv = TraceOptions(model="m", region="us_west", tier="interactive_normal")
    sources = [Source(path=BOTH[0], options=code), Source(path=BOTH[1], options=conv, format="azure_llm")]
    ingest(sources, store=store, name="azure")
    assert store.series("azure").rows() == [
        ("us_east", "m", "interactive_fast"),
        ("us_west", "m", "interactive_normal"),
    ]


def test_all_missing_options_of_all_files_are_named_at_once(store: Store) -> None:
    with pytest.raises(TraceError) as caught:
        ingest([*BOTH, SAMPLES / "requests.csv"], store=store, name="x", options=TraceOptions(tier="t"))
    text = str(caught.value)
    assert "azure_code.csv (azure_llm) needs model, region or region_split" in text
    assert "azure_conv.csv (azure_llm) needs model, region or region_split" in text
    assert "tier or" not in text
    with pytest.raises(
        TraceError, match="needs region or region_split, start, input_tokens_per_request, output_tokens"
    ):
        ingest(SAMPLES / "sageserve_week.parquet", store=store, name="x")
    with pytest.raises(TraceError, match="has regions of its own"):
        ingest(SAMPLES / "requests.csv", store=store, name="x", options=TraceOptions(region_split=SPLIT))
    assert store.traces().is_empty()


def test_the_same_again_is_recognised_and_other_content_refused(store: Store) -> None:
    first = ingest(BOTH, store=store, name="azure", options=AZURE)
    again = ingest(BOTH, store=store, name="azure", options=AZURE)
    assert again.was_there
    assert again.findings.equals(first.findings)
    assert (again.rows_read, again.rows_kept) == (first.rows_read, first.rows_kept)
    with pytest.raises(TraceError, match="already has a trace 'azure' with other content"):
        ingest(BOTH[:1], store=store, name="azure", options=AZURE)
    assert ingest(BOTH[:1], store=store, name="azure", options=AZURE, replace=True).rows_kept == 3
    assert store.traces().height == 1


def test_refused_rows_are_kept_and_told(store: Store) -> None:
    report = ingest(SAMPLES / "requests.csv", store=store, name="mine")
    assert (report.rows_read, report.rows_kept, report.rows_rejected) == (8, 3, 5)
    assert store.rejected("mine")["line"].to_list() == [3, 4, 5, 6, 8]
    (cut,) = [row for row in found(report, "refused rows") if "below 1" in str(row["detail"])]
    assert cut["count"] == 1
    assert "line 4" in str(cut["detail"])
    assert [row["count"] for row in found(report, "out of order")] == [1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\nnoon,1,1\nnoon,2,2\n",
            r"every one of 2 rows was refused: 2 x arrival",
        ),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "has a header but no rows"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens", "has a header but no rows"),
        ("", "is empty"),
    ],
)
def test_a_file_without_a_usable_row_is_an_error_and_leaves_nothing(
    store: Store, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match=said):
        ingest(path, store=store, name="x", options=TraceOptions(model="m", region="r", tier="t"))
    assert store.traces().is_empty()


def test_series_are_spread_cut_and_said_so(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "week.parquet"
    minutes = pl.DataFrame({"minute": range(600)})
    labels = pl.DataFrame({"model": ["A", "A", "B"], "tier": ["interactive", "non-interactive", "interactive"]})
    labels.join(minutes, how="cross").with_columns(prompt_tokens=5000, gap_min=0).write_parquet(path)
    report = ingest(path, store=store, name="week", options=WEEK)
    assert (report.rows_read, report.rows_kept, report.format) == (1800, 1200, "sageserve_week")
    assert (report.first_at, report.last_at) == (datetime(2024, 11, 4, 3), datetime(2024, 11, 4, 9, 59))
    (cut,) = found(report, "cut to the common span")
    assert "2024-11-04 03:00:00 to 2024-11-04 09:59:00" in str(cut["detail"])
    assert len(found(report, "regions are made")) == 1
    assert "600 of other models" in str(found(report, "rows")[0]["detail"])
    hours = store.sum_by_window("week", window_s=3600)
    assert hours.height == 7 * 3 * 3
    assert hours["input_tokens"].sum() == pytest.approx(7 * 60 * 2 * 5000)
    east = hours.filter(pl.col("region") == "us_east", pl.col("tier") == "interactive_fast")
    assert east["requests"].to_list() == pytest.approx([60 * 0.43 * 0.6] * 7)


def test_requests_are_cut_to_the_common_span_too(store: Store, tmp_path: Path) -> None:
    frame = frame_of([(i * 60.0, "m", 1, 1) for i in range(600)]).drop("region")
    frame.write_parquet(tmp_path / "r.parquet")
    report = ingest(tmp_path / "r.parquet", store=store, name="r", options=TraceOptions(region_split=SPLIT))
    assert report.first_at is not None
    assert report.last_at is not None
    assert report.first_at >= datetime(2025, 7, 9, 3)
    assert report.last_at <= datetime(2025, 7, 9, 9, 59)
    assert "requests outside of it were dropped" in str(found(report, "cut to the common span")[0]["detail"])


def test_a_series_must_have_even_windows_each_once(store: Store, tmp_path: Path) -> None:
    head = "window_start,region,model,tier,requests,input_tokens,output_tokens\n"
    row = "{},us_east,m,fast,1,1,1\n"
    cases = {
        "windows come twice": ["2025-07-09 00:00:00", "2025-07-09 00:00:00", "2025-07-09 00:05:00"],
        "do not start at a whole multiple": ["2025-07-09 00:01:00", "2025-07-09 00:06:00"],
        "needs two windows": ["2025-07-09 00:00:00"],
    }
    for said, starts in cases.items():
        path = tmp_path / "d.csv"
        path.write_text(head + "".join(row.format(start) for start in starts))
        with pytest.raises(TraceError, match=said):
            ingest(path, store=store, name="d")
    both = [SAMPLES / "demand.csv", SAMPLES / "requests.csv"]
    with pytest.raises(TraceError, match="cannot be one trace"):
        ingest(both, store=store, name="d")
    servegen = Source(
        path=SAMPLES / "servegen_10min.parquet",
        options=TraceOptions(region="us_east", tier="fast", start=datetime(2025, 7, 9)),
    )
    with pytest.raises(TraceError, match=r"demand\.csv 300 s, servegen_10min\.parquet 600 s"):
        ingest([SAMPLES / "demand.csv", servegen], store=store, name="d")
    assert store.traces().is_empty()


def test_a_model_to_keep_that_is_not_there_is_named(store: Store) -> None:
    options = TraceOptions(keep=("m-small",), region="r", tier="t", start=datetime(2025, 1, 6))
    with pytest.raises(TraceError, match=r"m-small\) is in it; it has m-large, m-mid, mm-image"):
        ingest(SAMPLES / "servegen_10min.parquet", store=store, name="x", options=options)


def test_names_and_frames_are_checked(store: Store) -> None:
    with pytest.raises(TraceError, match="no name for a trace"):
        ingest(BOTH, store=store, name="a b", options=AZURE)
    with pytest.raises(TraceError, match=r"'\.\./a' is no name for a trace"):
        ingest_frame(frame_of([(0, "m", 1, 1)]), store=store, name="../a", source="nothing")
    with pytest.raises(TraceError, match="no file was named"):
        ingest([], store=store, name="a")
    with pytest.raises(TableError, match="DEMAND: missing column"):
        ingest_frame(pl.DataFrame({"a": [1]}), store=store, name="a", source="nothing")
    with pytest.raises(TraceError, match="has no rows"):
        ingest_frame(frame_of([]), store=store, name="a", source="nothing")
    assert ingesting.report is not None


def test_a_frame_is_recognised_again(store: Store) -> None:
    frame = frame_of([(0, "m", 1, 1), (1, "m", 2, 2)])
    assert not ingest_frame(frame, store=store, name="a", source="two").was_there
    assert ingest_frame(frame, store=store, name="a", source="two").was_there


def test_the_azure_traces_of_2023_are_what_their_page_says(store: Store, shared_data: Path) -> None:
    """Rows, means and the cut inputs as in the data's README: code 2048 / 28, conv 1155 / 211 tokens on average."""
    files = [shared_data / "azure-llm-2023" / f"AzureLLMInferenceTrace_{name}.csv.gz" for name in ("code", "conv")]
    options = TraceOptions(
        model={"AzureLLMInferenceTrace_code": "code", "AzureLLMInferenceTrace_conv": "conv"}, region="r", tier="t"
    )
    report = ingest(files, store=store, name="azure", options=options)
    assert (report.rows_kept, report.rows_rejected) == (8819 + 19366, 0)
    whole = store.sum_by_window("azure", window_s=86_400)
    means = whole.select(
        "model", "requests", pl.col("input_tokens") / pl.col("requests"), pl.col("output_tokens") / pl.col("requests")
    )
    assert [tuple(round(value) for value in row[1:]) for row in means.rows()] == [(8819, 2048, 28), (19366, 1155, 211)]
    assert {str(row["where"]) for row in found(report, "suspected cut")} == {"code input_tokens", "conv output_tokens"}
    assert "217 s" in str(found(report, "silent stretch")[0]["detail"])
    assert found(report, "repeated rows") == []


def test_the_sageserve_week_and_servegen_pass_through_the_same_command(store: Store, shared_data: Path) -> None:
    models = {"A": "llama2_70b", "B": "bloom_176b", "C": "llama31_8b", "D": "llama32_3b"}
    week = shared_data / "sageserve" / "week_prompt_tokens_per_min.parquet"
    whole = TraceOptions(
        model=models,
        region_split=SPLIT,
        tier=WEEK.tier,
        tier_split=WEEK.tier_split,
        start=datetime(2024, 11, 4),
        input_tokens_per_request=5000,
        output_tokens_per_request=200,
    )
    report = ingest(week, store=store, name="sageserve", options=whole)
    gaps = {row["where"]: row["count"] for row in found(report, "gap")}
    assert gaps == {"bloom_176b interactive": 3131, "bloom_176b non_interactive": 555, "llama32_3b interactive": 2243}
    assert [row["where"] for row in found(report, "stops")] == ["llama32_3b interactive"]
    assert store.describe("sageserve").rows == 4 * 3 * 3 * (7 * 24 - 3) * 60

    options = TraceOptions(
        keep=("m-large", "m-mid"), region="cn", tier="interactive_normal", start=datetime(2025, 1, 6)
    )
    servegen = ingest(shared_data / "servegen" / "model_10min.parquet", store=store, name="servegen", options=options)
    assert [(row["where"], row["count"]) for row in found(servegen, "gap")] == [("m-mid interactive_normal", 97)]
    fortnight = (
        store.sum_by_window("servegen", window_s=600).group_by("model").agg(pl.col("requests").sum()).sort("model")
    )
    assert fortnight["requests"].to_list() == [236_892_826, 2_165_253_970 - 53_118]


def test_keys_of_the_catalog_given_are_known(store: Store) -> None:
    packaged = catalog.load()
    known = dataclasses.replace(packaged, models={**packaged.models, "mine": packaged.models["llama31_8b"]})
    options = TraceOptions(model="mine", region="us_east", tier="interactive_fast")
    assert len(found(ingest(BOTH, store=store, name="a", options=options), "unknown label")) == 1
    assert found(ingest(BOTH, store=store, name="b", options=options, catalog=known), "unknown label") == []
