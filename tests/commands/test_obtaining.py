"""workbench.commands.obtaining: download and generate do their job, and every mistake is one paragraph."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from tests.commands.command_cases import call
from tests.traces.download.serving import Behaviour, serving
from workbench.traces import open_store, synthetic

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CODE = SHARED / "azure-llm-2023" / "AzureLLMInferenceTrace_code.csv.gz"


def test_download_lists_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("download", "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    for word in ("azure_llm_2024_conv", "27,303,999", "CC-BY 4.0", "burstgpt_3", "mooncake_conversation", "servegen"):
        assert word in shown
    assert not (tmp_path / "downloads").exists()


@pytest.mark.skipif(not CODE.exists(), reason="the Azure 2023 files are not here")
def test_download_fetches_proves_and_says_what_to_cite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = gzip.decompress(CODE.read_bytes())
    words = ["download", "azure_llm_2023_code", "--to", tmp_path / "here"]
    with serving(Behaviour(content=content, breaks=[100_000])) as address:
        assert call(*words, "--mirror", address, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "sha256 54e9a6d2a4bd" in shown
    assert "CC-BY 4.0" in shown
    assert "ISCA 2024" in shown
    assert "16 November 2023" in shown
    assert "workbench ingest" in shown
    assert call(*words, monkeypatch=monkeypatch) == 0
    assert "was already there" in capsys.readouterr().out
    command = shown.partition("workbench ingest ")[2].split("\n")[0].split()
    assert call("ingest", *command, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0


def test_download_without_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["download", "mooncake_synthetic", "--data-dir", tmp_path, "--mirror", "https://no-such-name.invalid/x"]
    assert call(*words, monkeypatch=monkeypatch) == 1
    error = capsys.readouterr().err
    assert f"place it as {tmp_path / 'downloads' / 'synthetic_trace.jsonl'}" in error
    assert "Traceback" not in error


def test_generate_stores_a_trace_of_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "busy.toml").write_text('requests = 1\ndays = 2\ngrowth = "5%/week"\n[regions]\nus_east = 0.6\n')
    words = ["generate", "busy", "--recipe", tmp_path / "busy.toml", "--requests", "6_000", "--burst", "4x20min/6h"]
    words += ["--set", "tiers.non_interactive=0.5", "--seed", "3", "--save", tmp_path / "busy.json"]
    assert call(*words, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    assert "is stored" in capsys.readouterr().out
    with open_store(tmp_path / "traces.duckdb", read_only=True) as store:
        rows = store.requests("busy")
    assert rows.height == pytest.approx(6_000, rel=0.1)
    assert (rows["region"] == "us_east").mean() == pytest.approx(0.6, abs=0.03)
    workload = synthetic.load(tmp_path / "busy.json")
    assert rows.equals(pl.concat(synthetic.generate(workload, seed=3, days=2, requests=6_000)))
    assert call(*words, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 0
    assert "was already there" in capsys.readouterr().out


def test_generate_copies_a_trace_and_says_how_well(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "traces.duckdb").write_bytes((small_store / "traces.duckdb").read_bytes())
    words = ["generate", "copy", "--like", "small", "--data-dir", tmp_path]
    assert call(*words, monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "fitted to trace small" in shown
    assert "How copy agrees with small" in shown
    with open_store(tmp_path / "traces.duckdb", read_only=True) as store:
        assert store.describe("copy").rows == pytest.approx(20_000, rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["download", "azure_llm_2022"], "did you mean"),
        (["download", "servegen", "--mirror", "http://example.org"], "only https"),
        (["generate", "x", "--requests", "many"], "--requests takes a number"),
        (["generate", "x", "--burst", "often"], "burst: found 'often'"),
        (["generate", "x", "--growth", "much"], "growth: found 'much'"),
        (["generate", "x", "--set", "tiers.batch=0.5"], "no tier 'batch'"),
        (["generate", "x", "--set", "tier.batch=0.5"], "did you mean 'tiers'"),
        (["generate", "x", "--set", "noise"], "--set takes KEY=VALUE"),
        (["generate", "x", "--recipe", "none.toml"], "the recipe cannot be read"),
        (["generate", "x", "--like", "none.json"], "no workload can be read"),
        (["generate", "x", "--like", "nothing"], "no trace 'nothing'"),
        (["generate", "a b", "--requests", "10"], "no name for a trace"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_one(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(*words, "--data-dir", tmp_path, monkeypatch=monkeypatch) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
