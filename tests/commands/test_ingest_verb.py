"""What ``ingest`` says and takes beside paths: what every file was taken for, mappings, samples, prefix caches.

The verb is in workbench.commands.traces.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.command_cases import call
from workbench.traces import open_store

WHOSE = ["--model", "llama31_8b", "--region", "us_east", "--tier", "interactive_fast"]
MAPPING = "{samples}/../../data/mappings/gateway_log.toml"
DRAWN = ["--format", "servegen_requests", "--sample", "50%"]


@pytest.fixture
def samples(repo_root: Path) -> Path:
    return repo_root / "tests" / "samples"


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        ("gateway_log.jsonl", ["--mapping", MAPPING], "requests by a mapping of columns"),
        ("mooncake.jsonl", [*WHOSE, "--start", "2025-01-06", "--prefix-cache-tokens", "2_000"], "Mooncake requests"),
        ("servegen", [*WHOSE, "--start", "2025-01-06"], "ServeGen clients as a demand series"),
        ("servegen", [*WHOSE, "--start", "2025-01-06", *DRAWN], "ServeGen clients as drawn requests"),
        ("spans_otlp.jsonl", ["--tier", "interactive_fast"], "OpenTelemetry spans"),
    ],
)  # fmt: skip
def test_ingest_says_what_a_file_was_taken_for(
    file: str, options: list[str], words: str, samples: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [option.format(samples=samples) for option in options]
    assert call("ingest", samples / file, "--name", "x", *given, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert f"{file}: " in out
    assert words in out
    with open_store(tmp_path / "traces.duckdb", read_only=True) as store:
        assert store.has("x")


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("servegen", DRAWN[:2], "needs region or region_split, tier or tier_split, start, sample"),
        ("gateway_log.jsonl", ["--mapping", "none.toml"], "no such file"),
        ("gateway_log.jsonl", [], "Map its columns to ours with a mapping file"),
        ("azure_code.csv", ["--sample", "2"], "sample must be a share"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_ends_in_one_paragraph(
    file: str, options: list[str], said: str, samples: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert call("ingest", samples / file, "--name", "x", *options, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 1
    assert said in " ".join(capsys.readouterr().err.split())
