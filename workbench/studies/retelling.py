"""What a comparison with the paper says in words, and what a reader must know before believing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench import catalog
from workbench.catalog import Claim
from workbench.errors import StudyError, nearest
from workbench.results import Study
from workbench.studies import limits
from workbench.studies.answering import Asked
from workbench.studies.reproducing import setting_of

NUMBER = re.compile(r"(?<!\w)\d[\d,.]*")
GENERAL = (
    "Published figures are those of reading notes of the paper and of its artifact's notebooks; the paper's traces are "
    "not public, so no load here is theirs.",
    "Every strategy starts from one state, and the warm-up of each run is scored for nobody.",
    "No forecast reads anything at or after the hour that it is made for; the oracle does, as a bound.",
    "Savings hold at list prices and are no forecast of a bill; a saving says nothing where the service is worse.",
)


def claims_of(figures: str = "") -> tuple[Claim, ...]:
    """Return the claims of some figures, by the beginnings of their names with commas between; all for an empty text.

    Raises StudyError where no claim is of such a figure.
    """
    claims = catalog.load().claims
    wanted = names_of(figures)
    known = {claim.figure for claim in claims}
    missing = [name for name in wanted if not any(figure.startswith(name) for figure in known)]
    if missing:
        raise StudyError(f"no published figure is called {missing[0]!r}; {nearest(missing[0], sorted(known))}.")
    return tuple(claim for claim in claims if not wanted or claim.figure.startswith(tuple(wanted)))


def overrides_of(settings: str, **more: Any) -> dict[str, Any]:
    """Return settings written ``KEY=VALUE`` with semicolons between as overrides of a scenario.

    ``more`` are overrides by key; those that are empty leave a scenario as it is.
    """
    given = dict(setting_of(text.strip()) for text in settings.split(";") if text.strip())
    return given | {key: value for key, value in more.items() if value}


def names_of(text: str) -> list[str]:
    """Return names written with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_of(text: str) -> list[float]:
    """Return numbers written with commas between. Raises StudyError where one is none."""
    try:
        return [float(name) for name in names_of(text)]
    except ValueError as error:
        raise StudyError(f"numbers are written with commas between, such as 0.0, 0.3; got {text!r}.") from error


def totals_of(studies: Mapping[Asked, Study]) -> pl.DataFrame:
    """Return what every strategy of every run took and gave, as a table for people, one row per run and strategy."""
    parts = []
    for asked, study in studies.items():
        card = study.scorecard
        kept = card.tiers.pivot(on="tier", index="strategy", values="slo_attainment_fraction")
        tiers = [name for name in kept.columns if name != "strategy"]
        parts.append(
            card.totals.join(kept, on="strategy", how="left", maintain_order="left").select(
                pl.lit(str(asked)).alias("run"),
                pl.col("label").alias("strategy"),
                pl.col("gpu_hours").round(0).alias("GPU-hours"),
                (pl.col("gpu_hours_saved_fraction") * 100).round(1).alias("saved, %"),
                pl.col("waste_gpu_hours").round(1).alias("waste, GPU h"),
                pl.col("keeps_service").alias("serves as well"),
                *((pl.col(tier) * 100).round(2).alias(f"{tier} kept, %") for tier in tiers),
            )
        )
    return pl.concat(parts, how="diagonal_relaxed")


def engines_beside(studies: Mapping[Asked, Study], *, fluid: str, replay: str) -> pl.DataFrame:
    """Return what two runs of one day say of the same strategies, by sums and by single requests, for people.

    One row per strategy and tier that cannot wait. ``fluid`` and ``replay`` name the scenarios; empty where one of them
    was not run.
    """
    both = [studies.get(Asked(scenario=name)) for name in (fluid, replay)]
    parts = [_said(study).select("strategy", "tier", pl.all().exclude("strategy", "tier")) for study in both if study]
    if len(parts) < len(both):
        return pl.DataFrame()
    joined = parts[0].join(parts[1], on=["strategy", "tier"], suffix=" by requests", maintain_order="left")
    apart = pl.col("GPU-hours") / pl.col("GPU-hours by requests") - 1.0
    return joined.with_columns((apart * 100).round(1).alias("GPU-hours apart, %"))


def _said(study: Study) -> pl.DataFrame:
    card = study.scorecard
    waits = [tier.key for tier in study.fleet.tiers if tier.deferrable]
    hours = card.totals.select("strategy", "label", pl.col("gpu_hours").round(0).alias("GPU-hours"))
    rows = card.tiers.filter(~pl.col("tier").is_in(waits)).join(hours, on="strategy", maintain_order="left")
    return rows.select(
        pl.col("label").alias("strategy"),
        "tier",
        "GPU-hours",
        (pl.col("slo_attainment_fraction") * 100).round(2).alias("kept, %"),
        pl.col("ttft_p95_s").round(2).alias("TTFT P95, s"),
    )


def least_of(studies: Mapping[Asked, Study], scenario: str) -> pl.DataFrame:
    """Return for a run what nobody could have beaten, as a table for people; empty where it was not run."""
    study = studies.get(Asked(scenario=scenario))
    return pl.DataFrame() if study is None else limits.readable(limits.least_gpu_hours(study))


def in_words(table: pl.DataFrame) -> str:
    """Say how many claims were answered, and how far ours are from the published savings; table of ``beside``."""
    table = table.drop_nulls("published")
    answered = table.drop_nulls("ours")
    savings = answered.filter(pl.col("claim").str.contains("save") & (pl.col("published") < 1))
    said = [f"{answered.height} of {table.height} published figures have one of ours beside them."]
    if savings.height:
        higher = savings.filter(pl.col("ours") >= pl.col("published")).height
        apart = (savings.get_column("ours") - savings.get_column("published")).median()
        said.append(
            f"Of {savings.height} savings ours is as high or higher in {higher}; in the median it lies "
            f"{100 * float(apart):+.1f} points from the published one."  # type: ignore[arg-type]
        )
    within = answered.drop_nulls(["low", "high"])
    if within.height:
        held = within.filter(pl.col("published").is_between(pl.col("low"), pl.col("high"))).height
        said.append(f"Of {within.height} with an interval over days {held} hold the published value.")
    unanswered = table.filter(pl.col("ours").is_null()).get_column("figure").unique(maintain_order=True).to_list()
    if unanswered:
        said.append(f"Not known here: {', '.join(unanswered)}.")
    return " ".join(said)


def caveats(studies: Mapping[Asked, Study]) -> list[str]:
    """Return what holds for every comparison, then the notes of the studies, each once with those that it is of.

    Notes that differ in their numbers alone count as one and are told as in the first study.
    """
    noted: dict[str, tuple[str, list[str]]] = {}
    for asked, study in studies.items():
        for note in study.notes:
            of = noted.setdefault(NUMBER.sub("#", note), (note, []))[1]
            of += [str(asked)] if str(asked) not in of else []
    told = [
        note if len(of) == len(studies) else f"{note} ({of[0]}{f' and {len(of) - 1} like it' if len(of) > 1 else ''})"
        for note, of in noted.values()
    ]
    return [*GENERAL, *told]
