"""workbench.catalog.measurements: the same file is right in one unit and refused in the other."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from workbench import catalog
from workbench.catalog import Measurements, import_measurements
from workbench.errors import CatalogError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MIXED = DATA / "sageserve" / "original" / "perf_model_4_models.csv"
SPLITWISE = DATA / "splitwise-sim" / "perf_model.csv"
NORMALISED = DATA / "splitwise-sim" / "normalised_profile_medians.csv"
KNOWN = catalog.load()
HEADER = "model,prompt_size,batch_size,token_size,prompt_time,token_time\n"

needs_data = pytest.mark.skipif(not MIXED.exists(), reason="../shared/data is not here")


def read(path: Path, **changes) -> Measurements:
    arguments = {
        "unit": "ms",
        "token_time": "one_iteration",
        "model": KNOWN.model("llama31_8b"),
        "gpu": KNOWN.gpu("a100_80gb"),
        "gpus_per_replica": 2,
        "prompt_time": "unknown",
    } | changes
    return import_measurements(path, **arguments)


def runs(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_every_run_in_seconds_and_medians_over_repeats(tmp_path: Path):
    path = runs(tmp_path, "m,512,1,128,30,9", "m,512,1,128,32,11", "m,512,1,128,40,10", "m,512,4,128,90,12")
    assert [point.seconds for point in read(path).prefill] == pytest.approx([0.030, 0.032, 0.040])
    assert len(read(path).decode) == 4
    points = read(path).medians()
    assert [(point.input_tokens, point.seconds) for point in points.prefill] == [(512, 0.032)]
    assert [(point.requests, point.kv_tokens, point.seconds) for point in points.decode] == [
        (1, 576, pytest.approx(0.010)),
        (4, 2304, pytest.approx(0.012)),
    ]


def test_a_whole_output_is_divided_by_the_tokens_after_the_first(tmp_path: Path):
    points = read(runs(tmp_path, "m,512,1,101,0.03,1.2"), unit="s", token_time="whole_output")
    assert points.decode[0].seconds == pytest.approx(0.012)


def test_rows_and_contexts_can_be_chosen(tmp_path: Path):
    path = runs(tmp_path, "m,512,1,128,30,9", "m,8192,1,128,600,19", "other,512,1,128,60,20")
    points = read(path, where={"model": "m"}, context_max_tokens=8192)
    assert len(points.prefill) == 2
    assert len(points.decode) == 1


def test_bad_files_say_what_is_wrong(tmp_path: Path):
    path = runs(tmp_path, "m,512,1,128,30,nine")
    with pytest.raises(CatalogError, match="not a number"):
        read(path)
    with pytest.raises(CatalogError, match="no row where"):
        read(path, where={"model": "unknown"})
    with pytest.raises(CatalogError, match="column models is missing; did you mean 'model'"):
        read(path, where={"models": "m"})
    with pytest.raises(CatalogError, match="unit must be one of s, ms, got 'minutes'"):
        read(path, unit="minutes")
    with pytest.raises(CatalogError, match="token_time must be one of one_iteration, whole_output"):
        read(path, token_time="two")
    with pytest.raises(CatalogError, match="no such file"):
        read(tmp_path / "absent.csv")


@needs_data
@pytest.mark.parametrize(("model", "stored"), [("llama31_8b", "C"), ("llama32_3b", "D")])
@pytest.mark.parametrize("gpus", [2, 4])
def test_the_published_mixture_of_units_is_refused(model: str, stored: str, gpus: int):
    """Models C and D are stored in seconds and for the whole output beside A and B in milliseconds per token."""
    with pytest.raises(CatalogError, match=r"(?s)prefill points .* times the dense peak.*decode points .* the weights"):
        read(
            MIXED,
            model=KNOWN.model(model),
            gpus_per_replica=gpus,
            where={"model": stored, "tensor_parallel": str(2 * gpus)},
        )


@needs_data
@pytest.mark.parametrize(
    ("model", "stored", "name"), [("llama31_8b", "C", "Llama-3.1-8B"), ("llama32_3b", "D", "Llama-3.2-3B")]
)
@pytest.mark.parametrize("gpus", [2, 4])
def test_the_published_mixture_read_in_its_true_units_agrees_with_the_converted_table(
    model: str, stored: str, name: str, gpus: int
):
    points = read(
        MIXED,
        unit="s",
        token_time="whole_output",
        model=KNOWN.model(model),
        gpus_per_replica=gpus,
        where={"model": stored, "tensor_parallel": str(2 * gpus)},
    ).medians()
    with NORMALISED.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if (row["model"], row["tensor_parallel"]) == (name, str(gpus))]
    converted = {
        (
            int(row["batch_size"]),
            int(row["batch_size"]) * (int(row["prompt_size"]) + int(row["token_size"]) / 2),
        ): float(row["decode_iter_ms"])
        for row in rows
    }
    assert {(point.requests, point.kv_tokens): point.seconds * 1e3 for point in points.decode} == pytest.approx(
        converted, abs=1e-4
    )
    alone = {
        int(row["prompt_size"]): float(row["prefill_ms"])
        for row in rows
        if (row["batch_size"], row["token_size"]) == ("1", "128")
    }
    assert {point.input_tokens: point.seconds * 1e3 for point in points.prefill} == pytest.approx(alone, rel=0.05)


@needs_data
def test_models_of_the_mixture_that_are_in_milliseconds_are_accepted():
    points = read(
        MIXED,
        model=KNOWN.model("llama2_70b"),
        gpus_per_replica=8,
        where={"model": "A", "hardware": "a100-80gb", "tensor_parallel": "8"},
    )
    assert points.medians().decode[0].seconds == pytest.approx(0.0430, abs=1e-4)


@needs_data
@pytest.mark.parametrize("gpu", ["a100_80gb", "h100_80gb"])
def test_a_batch_of_splitwise_that_cannot_have_been_read_is_refused(gpu: str):
    """Llama-2 70B at tensor parallel 2: the stored time of 64 prompts is shorter than the arithmetic takes."""
    chosen = {"model": "llama2-70b", "hardware": gpu.replace("_", "-"), "tensor_parallel": "2"}
    asked = {"model": KNOWN.model("llama2_70b"), "gpu": KNOWN.gpu(gpu), "where": chosen}
    with pytest.raises(CatalogError, match=r"1 of 6 batches .* first 64 x 512 tokens: .* the dense peak"):
        read(SPLITWISE, prompt_time="whole_batch", **asked)
    assert len(read(SPLITWISE, **asked).medians().prefill) == 7


@needs_data
@pytest.mark.parametrize("gpus", [4, 8])
@pytest.mark.parametrize("gpu", ["a100_80gb", "h100_80gb"])
def test_the_other_runs_of_splitwise_are_possible(gpu: str, gpus: int):
    chosen = {"model": "llama2-70b", "hardware": gpu.replace("_", "-"), "tensor_parallel": str(gpus)}
    asked = {"model": KNOWN.model("llama2_70b"), "gpu": KNOWN.gpu(gpu), "where": chosen, "gpus_per_replica": gpus}
    assert len(read(SPLITWISE, prompt_time="whole_batch", **asked).prefill) == 75
