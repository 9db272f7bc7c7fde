"""workbench.catalog.judging: errors by hand, and what the shipped fits reach beside what SageServe published."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace

import pytest
from profile_recipe import DATA, SAGESERVE, SPLITWISE

from workbench import catalog, performance
from workbench.catalog import DecodePoint, PrefillPoint, judging
from workbench.domain import FitError, Profile

KNOWN = catalog.load()
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")


def prompts(*seconds: float) -> list[PrefillPoint]:
    return [PrefillPoint(input_tokens=float(number), seconds=time) for number, time in enumerate(seconds)]


def mean_of(points):
    mean = sum(point.seconds for point in points) / len(points)
    return lambda at: [mean] * len(at)


def test_an_error_by_hand():
    # left over 1 + 1 of a spread of 2 x 4; off by 1/2 and 1/6 of what was measured
    error = judging.error_of(prompts(2.0, 6.0), [3.0, 5.0])
    assert (error.r2, error.mape_fraction) == (pytest.approx(1 - 2 / 8), pytest.approx((1 / 2 + 1 / 6) / 2))


def test_equal_times_are_explained_or_not():
    assert judging.error_of(prompts(2.0, 2.0), [2.0, 2.0]) == FitError(r2=1.0, mape_fraction=0.0)
    assert judging.error_of(prompts(2.0, 2.0), [2.0, 3.0]).r2 == 0.0


def test_every_point_is_judged_by_a_fit_that_has_not_seen_it():
    # of five runs of two equal points, the mean of the other four predicts: a run of 10 among zeros is seen as 0
    points = [replace(point, run=str(number // 2)) for number, point in enumerate(prompts(*[1.0] * 8, 11.0, 11.0))]
    found = judging.held_out(points, mean_of, least_kinds=1)
    assert found is not None
    # 8 points of 1 are seen as 3.5 (the mean of three runs of 1 and the one of 11), two of 11 as 1
    assert found.mape_fraction == pytest.approx((8 * 2.5 + 2 * 10 / 11) / 10)


def test_too_few_points_or_runs_or_what_is_left_are_not_judged():
    assert judging.held_out(prompts(*[1.0] * 5), mean_of, least_kinds=1) is None
    two_runs = [replace(point, run=str(number % 2)) for number, point in enumerate(prompts(*[1.0] * 12))]
    assert judging.held_out(two_runs, mean_of, least_kinds=1) is None
    one_size = [replace(point, input_tokens=1.0) for point in prompts(*[1.0] * 12)]
    assert judging.held_out(one_size, mean_of, least_kinds=2) is None


def test_points_of_one_kind_can_be_left_out_together():
    points = [DecodePoint(requests=2, kv_tokens=9, seconds=1.0), DecodePoint(requests=2, kv_tokens=9, seconds=2.0)]
    first, second = judging.by_kind(points)
    assert first.run == second.run == repr(judging.kind_of(points[0]))


@pytest.mark.parametrize("key", [key for key, profile in KNOWN.profiles.items() if profile.basis == "measured"])
def test_the_shipped_measurements_are_held_out_as_well_as_published(key: tuple[str, str]):
    """SageServe, 80:20: R2 0.99 for prefill, 0.83 for decode, mean error under 3 % (sageserve.md section 8.1)."""
    profile = KNOWN.profile(*key)
    assert profile.prefill_held_out is not None
    assert profile.decode_held_out is not None
    assert profile.prefill_held_out.r2 > 0.99
    assert profile.decode_held_out.r2 > 0.95
    assert profile.decode_held_out.mape_fraction < 0.03
    # the one that misses the published 3 %: repeats of short prompts scatter by a factor of two
    assert profile.prefill_held_out.mape_fraction < (0.05 if key in SCATTERED else 0.03)


SCATTERED = {("llama2_70b", "h100_80gb"), ("llama32_3b", "a100_80gb")}


@needs_data
@pytest.mark.parametrize("gpu", ["a100_80gb", "h100_80gb"])
@pytest.mark.parametrize("model", ["llama2_70b", "bloom_176b"])
def test_decode_guesses_between_batches_and_contexts_it_has_not_seen(model: str, gpu: str):
    names = {"llama2_70b": "llama2-70b", "bloom_176b": "bloom-176b"}
    chosen = {"model": names[model], "hardware": gpu.replace("_", "-"), "tensor_parallel": "8"}
    points = catalog.import_measurements(
        SPLITWISE,
        unit="ms",
        token_time="one_iteration",
        model=KNOWN.model(model),
        gpu=KNOWN.gpu(gpu),
        gpus_per_replica=8,
        where=chosen,
    )
    kinds = replace(points, decode=tuple(judging.by_kind(points.decode)), prefill=points.prefill)
    profile = catalog.fit_profile(
        kinds,
        model=KNOWN.model(model),
        gpu=KNOWN.gpu(gpu),
        gpus_per_replica=8,
        basis="measured",
        source="test",
        date="2023",
    )
    assert profile.decode_held_out is not None
    assert profile.decode_held_out.r2 > 0.8
    assert profile.decode_held_out.mape_fraction < 0.03


@pytest.fixture(scope="module")
def campaign() -> list[PrefillPoint]:
    """2,715 prompts of Llama 3.1 8B at tensor parallel 4, 16 to 8,160 tokens, of another day than the profile file."""
    if not DATA.exists():
        pytest.skip("../shared/data is not here")
    with gzip.open(SAGESERVE / "llama-3.1-8B-tp-4-test.csv.gz", "rt", newline="") as lines:
        return [
            PrefillPoint(input_tokens=float(row["PromptLength"]), seconds=float(row["ExecTime"]))
            for row in csv.DictReader(lines)
        ]


def of_four_gpus(prefill: tuple[PrefillPoint, ...] = ()) -> Profile:
    points = catalog.import_measurements(
        SAGESERVE / "Llama-3.1-8B-tp-4.csv",
        unit="s",
        token_time="whole_output",
        model=KNOWN.model("llama31_8b"),
        gpu=KNOWN.gpu("a100_80gb"),
        gpus_per_replica=4,
        context_max_tokens=8192,
        prompt_time="unknown",
    )
    return catalog.fit_profile(
        replace(points, prefill=prefill or points.prefill),
        model=KNOWN.model("llama31_8b"),
        gpu=KNOWN.gpu("a100_80gb"),
        gpus_per_replica=4,
        basis="measured",
        source="test",
        date="2025",
    )


def test_many_sizes_are_held_out_better_than_published(campaign: list[PrefillPoint]):
    held_out = of_four_gpus(tuple(campaign)).prefill_held_out
    assert held_out is not None
    assert held_out.r2 > 0.999
    assert held_out.mape_fraction < 0.015


def test_another_campaign_on_the_same_label_differs_by_more_than_any_split_shows(campaign: list[PrefillPoint]):
    """Short prompts agree; from 2,000 tokens on the profile file is a quarter slower, though its own splits agree."""
    kind = performance.replica(KNOWN.model("llama31_8b"), KNOWN.gpu("a100_80gb"), of_four_gpus())

    def error(low: float, high: float) -> FitError:
        points = [point for point in campaign if low <= point.input_tokens < high]
        return judging.error_of(points, [performance.prefill_s(kind, point.input_tokens) for point in points])

    assert error(128, 1100).mape_fraction < 0.08
    assert 0.15 < error(2000, 8193).mape_fraction < 0.35
