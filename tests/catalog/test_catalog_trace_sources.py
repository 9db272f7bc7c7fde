"""workbench.catalog.trace_sources: every public trace says where it is, what proves it whole and what must be cited."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path

import pytest

from workbench import catalog
from workbench.catalog import TraceSource
from workbench.errors import CatalogError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
COPIES = {
    "azure_llm_2023_code": "azure-llm-2023/AzureLLMInferenceTrace_code.csv.gz",
    "azure_llm_2023_conv": "azure-llm-2023/AzureLLMInferenceTrace_conv.csv.gz",
    "mooncake_synthetic": "mooncake/synthetic_trace.jsonl.gz",
}


@pytest.fixture
def code() -> TraceSource:
    return catalog.load().trace_sources["azure_llm_2023_code"]


def test_every_source_has_a_licence_a_citation_and_a_page() -> None:
    sources = catalog.load().trace_sources.values()
    assert {source.collection for source in sources} == {
        "azure_llm_2023",
        "azure_llm_2024",
        "azure_lmm_2025",
        "burstgpt",
        "mooncake",
        "servegen",
    }
    for source in sources:
        assert source.licence in {"CC-BY 4.0", "Apache-2.0"}
        assert '"' in source.citation
        assert source.source.startswith("https://")
        assert source.verified_by


def test_no_two_sources_are_the_same_file() -> None:
    sources = catalog.load().trace_sources.values()
    assert len({source.file for source in sources}) == len(sources)
    checksums = [source.sha256 for source in sources if source.sha256]
    assert len(set(checksums)) == len(checksums)


@pytest.mark.parametrize("key", COPIES)
def test_the_copies_at_hand_are_the_published_files(key: str) -> None:
    path = SHARED / COPIES[key]
    if not path.exists():
        pytest.skip(f"{COPIES[key]} is not here")
    source = catalog.load().trace_sources[key]
    content = gzip.decompress(path.read_bytes())
    assert source.is_named_like(path.name)
    assert source.size_bytes == len(content)
    assert source.sha256 == hashlib.sha256(content).hexdigest()
    lines = len(content.splitlines())
    assert source.rows == lines - (source.format == "azure_llm")


def test_a_name_is_a_key_or_a_collection() -> None:
    known = catalog.load()
    assert [source.key for source in known.sources("azure_llm_2023")] == ["azure_llm_2023_code", "azure_llm_2023_conv"]
    assert [source.file for source in known.sources("burstgpt_3")] == ["BurstGPT_3.csv"]
    assert [source.key for source in known.sources("servegen")] == ["servegen"]
    with pytest.raises(CatalogError, match=r"trace source 'burstgpt_4'.*did you mean 'burstgpt_"):
        known.sources("burstgpt_4")


def test_a_stem_is_shared_by_packed_copies_only(code: TraceSource) -> None:
    assert code.stem == "AzureLLMInferenceTrace_code"
    assert code.is_named_like("AzureLLMInferenceTrace_code.csv.zst")
    assert not code.is_named_like("AzureLLMInferenceTrace_code_1week.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "http://example.org/code.csv"}, "url must begin with https"),
        ({"file": "../code.csv"}, "file must be a bare file name"),
        ({"file": ".."}, "file must be a bare file name"),
        ({"sha256": "54E9"}, "sha256 must be 64"),
        ({"size_bytes": 0}, "size_bytes must be positive"),
        ({"rows": -1}, "rows must be positive"),
        ({"stated_from": "2023-11-12"}, "in order"),
        ({"stated_from": "11 Nov"}, "YYYY-MM-DD"),
    ],
)
def test_impossible_facts_are_refused(code: TraceSource, change: dict[str, object], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        dataclasses.replace(code, **change)


def test_an_own_folder_adds_a_source(tmp_path: Path, code: TraceSource) -> None:
    row = {name: value for name, value in dataclasses.asdict(code).items() if value is not None} | {"key": "mine"}
    lines = [f'{name} = "{value}"' for name, value in row.items() if name not in ("size_bytes", "rows", "citation")]
    (tmp_path / "trace_sources.toml").write_text("\n".join(["[[trace_source]]", *lines, 'citation = "me"']))
    known = catalog.load(tmp_path)
    assert known.trace_sources["mine"].size_bytes is None
    assert "burstgpt_1" in known.trace_sources
