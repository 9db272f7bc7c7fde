"""The formats of requests on small hand-made samples: azure_lmm, burstgpt, mooncake and sageserve_requests.

The modules are workbench.traces.readers.azure_lmm, workbench.traces.readers.burstgpt,
workbench.traces.readers.mooncake and workbench.traces.readers.sageserve_requests.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.trace_cases import SAMPLES
from workbench.traces.options import TraceOptions
from workbench.traces.readers.formats import detect

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
START = datetime(2025, 1, 6)


def parted(path: Path, options: TraceOptions | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All good rows of a file, and all refused ones by line."""
    found = detect(path)
    batches = list(found.format.read(path, options or TraceOptions(start=START)))
    return pl.concat(b.good for b in batches), pl.concat(b.rejected for b in batches).sort("line")


def test_images_are_in_the_prompt_and_in_the_name_of_the_app() -> None:
    good, refused = parted(SAMPLES / "azure_lmm.csv")
    assert good.select("arrived_at", "app", "input_tokens", "output_tokens").rows() == [
        (datetime(2024, 10, 15, 0, 0, 0, 120_000), "text", 300, 40),
        (datetime(2024, 10, 15, 0, 0, 1), "image", 2400, 15),
    ]
    assert refused.select("line", "reason").rows() == [
        (4, "number of images is missing or no whole number"),
        (5, "number of images is missing or no whole number"),
        (6, "output tokens are below 1"),
    ]


def test_burstgpt_of_both_versions_counts_from_one_midnight() -> None:
    first, failed = parted(SAMPLES / "burstgpt_v1.csv")
    assert first.select("arrived_at", "model", "app", "tenant", "input_tokens", "output_tokens").rows() == [
        (START + timedelta(seconds=5), "ChatGPT", "conversation", None, 472, 18),
        (START + timedelta(seconds=45), "ChatGPT", "api", None, 1087, 230),
        (START + timedelta(seconds=118.25), "GPT-4", "conversation", None, 417, 276),
    ]
    assert failed.select("line", "reason").rows() == [(5, "failed request: no response tokens")]
    second, failed = parted(SAMPLES / "burstgpt_v2.csv")
    assert second.select("arrived_at", "tenant").rows() == [
        (START + timedelta(days=225, seconds=110), "s-1"),
        (START + timedelta(days=225, seconds=111.5), "s-1"),
        (START + timedelta(days=225, seconds=112), None),
    ]
    assert failed["reason"].to_list() == [
        "failed request: no response tokens",
        "arrival time is missing or no instant",
    ]


def test_sageserve_requests_fall_into_none_of_the_traps() -> None:
    good, refused = parted(SAMPLES / "sageserve_requests.csv")
    columns = ("arrived_at", "region", "model", "tier", "app", "tenant", "input_tokens", "output_tokens")
    assert good.select(columns).rows() == [
        (START, "0", "A", "prod", "ES", "12", 4200, 120),
        (START + timedelta(seconds=0.25), "0", "B", "prod", "RAG", "13", 900, 1),
        (START + timedelta(seconds=60), "2", "C", "dev", "ES", "14", 5000, 90),
    ]
    assert refused.select("line", "reason").rows() == [
        (5, "regions are no order of the digits 0, 1 and 2"),
        (6, "no text generation: request_type is not 2"),
        (7, "input tokens are below 1"),
    ]


def test_prefix_blocks_become_cached_tokens() -> None:
    """Blocks of 512: the second prompt of 1100 is known up to its last token, 1024 up to its last, 1200 by one."""
    good, refused = parted(SAMPLES / "mooncake.jsonl")
    assert good["cached_tokens"].to_list() == [0, 1099, 1023, 512]
    assert good["arrived_at"].to_list() == [START + timedelta(seconds=s) for s in (0, 1, 2, 3.5)]
    assert refused.select("line", "reason").rows() == [
        (6, "output tokens are below 1"),
        (7, "no JSON object: Expecting ',' delimiter"),
        (8, "a value is of another type than expected"),
    ]
    assert refused["raw"][1] == '{"timestamp": 4000, "input_length": 600'


def test_a_bounded_prefix_cache_saves_less() -> None:
    """Two blocks of room hold 0 and 1 after each prompt: the last partial block of the second is not there."""
    bounded, _ = parted(SAMPLES / "mooncake.jsonl", TraceOptions(start=START, prefix_cache_tokens=1100))
    assert bounded["cached_tokens"].to_list() == [0, 1024, 1023, 512]
    none, _ = parted(SAMPLES / "mooncake.jsonl", TraceOptions(start=START, prefix_cache_tokens=511))
    assert none["cached_tokens"].to_list() == [0, 0, 0, 0]


def test_requests_are_replayed_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows = [(2000, [1, 2]), (0, [1]), (1000, [1, 2])]
    path.write_text(
        "".join(
            f'{{"timestamp": {ms}, "input_length": 1000, "output_length": 1, "hash_ids": {ids}}}\n' for ms, ids in rows
        )
    )
    good, _ = parted(path)
    assert good["cached_tokens"].to_list() == [999, 0, 512]


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not there")
def test_the_real_mooncake_trace_reuses_what_its_page_says() -> None:
    """3,993 requests, inputs of 15,325 tokens on average; 64 % of the blocks were seen before."""
    good, refused = parted(DATA / "mooncake" / "synthetic_trace.jsonl.gz")
    assert (good.height, refused.height) == (3993, 0)
    assert round(float(good["input_tokens"].mean())) == 15_325  # type: ignore[arg-type]
    assert (good["cached_tokens"] < good["input_tokens"]).all()
    assert good["cached_tokens"].sum() / good["input_tokens"].sum() == pytest.approx(0.65, abs=0.01)
    last = good["arrived_at"].max()
    assert isinstance(last, datetime)
    assert (last - START).total_seconds() == pytest.approx(1022, abs=1)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not there")
@pytest.mark.parametrize(("name", "rows"), [("code", 8819), ("conv", 19_366)])
def test_the_real_azure_traces_are_read_without_a_refusal(name: str, rows: int) -> None:
    good, refused = parted(DATA / "azure-llm-2023" / f"AzureLLMInferenceTrace_{name}.csv.gz")
    assert (good.height, refused.height) == (rows, 0)
