"""workbench.performance.records: profiles of 70 B models against MLPerf v4.1, per GPU.

Of 2024 and later: a quarter to all of the record, which is FP8 or FP4 on an engine tuned for it. Of 2023: a twentieth
to a half. The L40S lies under its band because our replica sums over PCIe, and that is expected too.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from tests.performance.performance_cases import KNOWN, LLAMA
from workbench import performance
from workbench.domain import TokenMix

RESULTS = Path(__file__).resolve().parents[2].parent / "shared/data/mlperf-inference-v4.1/llm_results.csv"
NAMES = {
    "h100_80gb": "NVIDIA H100-SXM-80GB",
    "h200_141gb": "NVIDIA H200-SXM-141GB",
    "b200_180gb": "NVIDIA B200-SXM-180GB",
    "l40s_48gb": "NVIDIA L40S",
}


def test_every_profile_of_seventy_billion_reaches_what_is_expected_of_it_but_the_l40s():
    table = performance.against_records(KNOWN)
    found = {(row["model"], row["gpu"], row["record"]): row for row in table.iter_rows(named=True)}
    assert len(found) == 2 * 5
    verdicts = {(model, gpu): row["verdict"] for (model, gpu, _), row in found.items()}
    assert verdicts == {
        ("llama2_70b", "h100_80gb"): "as expected",
        ("llama31_70b", "h100_80gb"): "as expected",
        ("llama31_70b", "h200_141gb"): "as expected",
        ("llama31_70b", "b200_180gb"): "as expected",
        ("llama31_70b", "l40s_48gb"): "below",
    }
    offline = {(model, gpu): row["reached_fraction"] for (model, gpu, name), row in found.items() if "Offline" in name}
    assert offline["llama2_70b", "h100_80gb"] == pytest.approx(0.097, abs=0.002)
    assert offline["llama31_70b", "h100_80gb"] == pytest.approx(0.69, abs=0.01)


def test_a_profile_a_thousand_times_too_fast_is_above():
    fast = KNOWN.profile("llama31_70b", "h100_80gb")
    fast = replace(
        fast,
        prefill_s=tuple(seconds / 1000 for seconds in fast.prefill_s),
        decode_base_s=fast.decode_base_s / 1000,
        decode_per_request_s=fast.decode_per_request_s / 1000,
        decode_per_token_s=fast.decode_per_token_s / 1000,
    )
    table = performance.against_records(replace(KNOWN, profiles={("llama31_70b", "h100_80gb"): fast}))
    assert table.get_column("verdict").to_list() == ["above", "above"]


def test_the_length_of_prompts_that_is_not_logged_moves_a_share_by_a_tenth_or_so():
    kind = performance.replica(LLAMA, KNOWN.gpu("h100_80gb"), KNOWN.profile("llama2_70b", "h100_80gb"))
    rates = [performance.max_rps(kind, TokenMix(input_tokens=tokens, output_tokens=290)) for tokens in (150, 294, 500)]
    assert rates[0] / rates[1] < 1.12
    assert rates[2] / rates[1] > 0.88


@pytest.mark.skipif(not RESULTS.exists(), reason="../shared/data is not here")
@pytest.mark.parametrize("record", KNOWN.records, ids=lambda record: record.key)
def test_the_records_are_the_medians_of_the_published_results(record):
    with RESULTS.open(newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if (row["division"], row["benchmark"], row["valid"]) == ("closed", "llama2-70b-99", "True")
            and row["accelerator"] == NAMES[record.gpu]
            and float(row["n_accelerators"]) == record.gpus
            and row["scenario"] in record.scenario
        ]
    assert record.output_tps == pytest.approx(median(float(row["tokens_per_s"]) for row in rows), abs=0.01)
    lengths = [float(row["tokens_per_s"]) / float(row["samples_per_s"]) for row in rows]
    assert record.output_tokens == pytest.approx(median(lengths), abs=0.01)
    assert f"median of {len(rows)} result" in record.source
