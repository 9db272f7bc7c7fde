"""Put studies side by side: one table of what every strategy took and gave, and in what the scenarios differ.

Numbers of two studies say something about a strategy only where everything else is the same, so what is not the same
stands before the numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench import scoring
from workbench.domain import Policy, Scenario
from workbench.studies import saving

UNCOMPARED = ("name", "title", "store")
PERCENT = 100


def compare(names: Sequence[str], *, root: Path = Path("data/studies")) -> pl.DataFrame:
    """Put the totals of several studies under each other, with service and latency of every tier beside them.

    One row per study and strategy; of a tier the attainment is in ``TIER_kept_fraction``, the 95th percentile of the
    time to the first token in ``TIER_ttft_p95_s``. Raises StudyError where one of them is not there.
    """
    parts = []
    for name in names:
        manifest = saving.read_manifest(root, name)
        with saving.damage_told(root / manifest["id"]):
            frames = saving.read_frames(root / manifest["id"])
        totals = frames["totals"]
        for measure, ending in (("slo_attainment_fraction", "kept_fraction"), ("ttft_p95_s", "ttft_p95_s")):
            named = frames["tiers"].with_columns(pl.format("{}_{}", "tier", pl.lit(ending)).alias("tier"))
            wide = named.pivot(on="tier", index="strategy", values=measure)
            totals = totals.join(wide, on="strategy", how="left", maintain_order="left")
        missed = frames["tiers"].group_by("strategy").agg(pl.col("missed_deadlines").sum())
        parts.append(
            totals.join(missed, on="strategy", how="left", maintain_order="left").select(
                pl.lit(manifest["id"]).alias("study"), pl.all()
            )
        )
    return pl.concat(parts, how="diagonal_relaxed")


def differences(names: Sequence[str], *, root: Path = Path("data/studies")) -> pl.DataFrame:
    """Return the settings that are not the same in all studies: a row per setting, its value in a column per study.

    A setting of one strategy is named after it, and empty where a study has no such strategy. The span and the
    fingerprint of the trace count as settings. Raises StudyError where a study is not there.
    """
    settings: dict[str, dict[str, str]] = {}
    for name in names:
        manifest = saving.read_manifest(root, name)
        folder = root / manifest["id"]
        with saving.damage_told(folder):
            found = _settings(saving.read_scenario(folder))
        found |= {"trace.fingerprint": manifest["trace"]["fingerprint"][:12], "as_of": manifest["as_of"]}
        settings[manifest["id"]] = found | {"hours": f"{manifest['hours']:g}"}
    keys = dict.fromkeys(key for found in settings.values() for key in found)
    rows = [
        {"setting": key, **{study: found.get(key, "") for study, found in settings.items()}}
        for key in keys
        if len({found.get(key, "") for found in settings.values()}) > 1
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(["setting", *settings], pl.String))


def _settings(scenario: Scenario) -> dict[str, str]:
    """Return every setting of a scenario in words; those of risk and strategies by their dotted names."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(scenario):
        value = getattr(scenario, field.name)
        if field.name == "strategies":
            for policy in value:
                found |= _of_policy(policy)
        elif field.name == "risk":
            found |= {f"risk.{part.name}": _told(getattr(value, part.name)) for part in dataclasses.fields(value)}
        elif field.name not in UNCOMPARED:
            found[field.name] = _told(value)
    return found


def _of_policy(policy: Policy) -> dict[str, str]:
    parts = (part.name for part in dataclasses.fields(policy) if part.name not in ("key", "label"))
    return {f"policy.{policy.key}.{name}": _told(getattr(policy, name)) for name in parts}


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def readable(compared: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return what :func:`compare` gives as two tables for people, by title: shares in percent, no number anew."""
    tiers = [name.removesuffix("_kept_fraction") for name in compared.columns if name.endswith("_kept_fraction")]
    timed = [tier for tier in tiers if compared.get_column(f"{tier}_ttft_p95_s").null_count() < compared.height]
    who = (pl.col("study"), pl.col("label").alias("strategy"))
    effort = compared.select(
        *who,
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        (pl.col("gpu_hours_saved_fraction") * PERCENT).round(1).alias("saved, %"),
        *scoring.interval_column(compared),
        pl.col("keeps_service").alias("serves as well"),
        pl.col("waste_gpu_hours").round(1).alias("waste, GPU h"),
        pl.col("lent_gpu_hours").round(0).alias("lent, GPU h"),
    )
    service = compared.select(
        *who,
        *((pl.col(f"{tier}_kept_fraction") * PERCENT).round(2).alias(f"{tier} kept, %") for tier in tiers),
        *(pl.col(f"{tier}_ttft_p95_s").round(2).alias(f"{tier} TTFT P95, s") for tier in timed),
        pl.col("missed_deadlines").round(0).alias("missed deadlines"),
    )
    return {"Studies compared: effort and money": effort, "Studies compared: what every tier got": service}
