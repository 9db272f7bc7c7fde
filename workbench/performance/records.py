"""How a profile compares with the best that others have published: a sanity check, not a calibration.

Ours are BF16 figures; the records are of engines tuned for the benchmark at FP8 or FP4, which halve or quarter the
bytes that decoding reads and double or quadruple the peak of prefill. So a share well under 1 is right, and one above 1
is wrong. What share is expected depends on what the profile rests on:

- engines of 2024 and later, measured or composed from their operators: 0.25 to 1, the bytes and what tuning brings.
- engines before that, at tensor parallel 8: 0.05 to 0.5. Decoding then took 2.6 to 3.5 times the operators' bound, and
  no less at eight GPUs than at four, while the records run many small replicas; batches beyond 64 are extrapolated too.

A share under the expected is not always an error: tensor parallel over PCIe is as slow as it looks.
"""

from __future__ import annotations

import polars as pl

from workbench.catalog import Catalog, Record
from workbench.domain import Profile, TokenMix
from workbench.performance.limits import max_rps
from workbench.performance.memory import replica

EXPECTED_FRACTION = (0.25, 1.0)
EXPECTED_OF_OLD_FRACTION = (0.05, 0.5)
OLD_BEFORE = "2024"
COLUMNS = {
    "model": pl.String,
    "gpu": pl.String,
    "gpus_per_replica": pl.Int64,
    "basis": pl.String,
    "record": pl.String,
    "precision": pl.String,
    "output_tps_per_gpu": pl.Float64,
    "record_output_tps_per_gpu": pl.Float64,
    "reached_fraction": pl.Float64,
    "expected_from_fraction": pl.Float64,
    "expected_to_fraction": pl.Float64,
    "verdict": pl.String,
}


def against_records(known: Catalog) -> pl.DataFrame:
    """Compare the largest throughput of every profile with the records of its model and GPU kind, per GPU.

    One row per profile and record, with the share of the record that is reached, the share expected and a verdict: as
    expected, above, or below.
    """
    rows = [
        _row(known, profile, record)
        for profile in known.profiles.values()
        for record in known.records
        if profile.model in record.models and profile.gpu == record.gpu
    ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _row(known: Catalog, profile: Profile, record: Record) -> tuple[object, ...]:
    kind = replica(known.model(profile.model), known.gpu(profile.gpu), profile)
    mix = TokenMix(input_tokens=record.input_tokens, output_tokens=record.output_tokens)
    ours = max_rps(kind, mix) * record.output_tokens / kind.gpus
    reached, (low, high) = ours / record.output_tps_per_gpu, _expected(profile)
    verdict = "above" if reached > high else "below" if reached < low else "as expected"
    return (
        profile.model,
        profile.gpu,
        kind.gpus,
        profile.basis,
        record.scenario,
        record.precision,
        ours,
        record.output_tps_per_gpu,
        reached,
        low,
        high,
        verdict,
    )


def _expected(profile: Profile) -> tuple[float, float]:
    return EXPECTED_OF_OLD_FRACTION if profile.date < OLD_BEFORE else EXPECTED_FRACTION
