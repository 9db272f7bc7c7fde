"""Rows that are refused, with what they must say."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.catalog.rows import Kind, facts_of, read_file
from workbench.domain import Gpu, Profile, Tier

GPU = Kind(name="gpu", file="gpus.toml", value=Gpu, key=lambda gpu: gpu.key)
TIER = Kind(name="tier", file="tiers.toml", value=Tier, key=lambda tier: tier.key)
PROFILE = Kind(name="profile", file="profiles.toml", value=Profile, key=lambda p: (p.model, p.gpu))


def gpu_row(**changes: Any) -> dict[str, Any]:
    row = {
        "key": "x1",
        "label": "X1",
        "memory_gb": 10,
        "peak_bf16_tflops": 1.0,
        "bandwidth_gb_s": 2.0,
        "source": "data sheet",
        "date": "2026-01",
    } | changes
    return {name: value for name, value in row.items() if value is not None}


def findings(kind: Kind[Any], *rows: dict[str, Any]) -> str:
    return "\n".join(facts_of(kind, list(rows), kind.file)[1])


def test_a_good_row_becomes_a_fact_with_numbers_as_floats():
    facts, wrong = facts_of(GPU, [gpu_row()], "gpus.toml")
    assert wrong == []
    assert facts["x1"].memory_gb == 10.0
    assert isinstance(facts["x1"].memory_gb, float)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"memory_bg": 3}, "unknown key memory_bg; did you mean 'memory_gb'?"),
        ({"memory_gb": None}, "memory_gb is missing"),
        ({"memory_gb": "much"}, "memory_gb must be a number, got 'much'"),
        ({"memory_gb": True}, "memory_gb must be a number, got True"),
        ({"memory_gb": -1}, "memory_gb must be positive, got -1"),
        ({"label": 5}, "label must be text, got 5"),
        ({"date": "last year"}, "date must be YYYY"),
        ({"source": " "}, "source must say where"),
    ],
)
def test_a_bad_row_says_what_is_wrong_and_where(changes: dict[str, Any], expected: str):
    text = findings(GPU, gpu_row(**changes))
    assert expected in text
    assert "gpus.toml" in text
    assert "x1" in text


def test_several_faults_of_several_rows_are_reported_together():
    text = findings(GPU, gpu_row(memory_gb=None, colour="red"), gpu_row(key="x2", date="soon"))
    assert all(part in text for part in ("memory_gb is missing", "unknown key colour", "gpu x2: date"))


def test_a_repeated_key_is_a_fault():
    assert "a row of the same key x1" in findings(GPU, gpu_row(), gpu_row())


def test_an_optional_value_may_be_left_out_and_a_flag_must_be_a_flag():
    row = {"key": "t", "label": "T", "ttft_slo_s": 1, "deferrable": False, "priority": 0, "source": "s", "date": "2026"}
    facts, wrong = facts_of(TIER, [row], "tiers.toml")
    assert wrong == []
    assert facts["t"].deadline_s is None
    assert "deferrable must be true or false, got 'no'" in findings(TIER, row | {"deferrable": "no"})
    assert "priority must be a whole number, got 1.5" in findings(TIER, row | {"priority": 1.5})


def test_lists_and_choices_are_checked():
    text = findings(PROFILE, {"prefill_tokens": 5, "basis": "guessed"})
    assert "prefill_tokens must be a list of numbers, got 5" in text
    assert "basis must be one of measured, estimated, got 'guessed'" in text


def test_a_file_that_is_no_toml_or_holds_no_rows_is_a_finding(tmp_path):
    broken = tmp_path / "gpus.toml"
    broken.write_text("[[gpu]\n")
    assert "gpus.toml cannot be read" in read_file(broken)[1][0]
    broken.write_text("gpu = 3\n")
    assert "must be rows written as [[gpu]]" in read_file(broken)[1][0]
