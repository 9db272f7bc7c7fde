"""What a comparison with the paper says in words, and what a reader must know before believing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench import catalog
from workbench.catalog import Claim
from workbench.errors import StudyError, nearest
from workbench.results import Study
from workbench.studies.reproducing import Asked, setting_of

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
    wanted = [name.strip() for name in figures.split(",") if name.strip()]
    known = {claim.figure for claim in claims}
    missing = [name for name in wanted if not any(figure.startswith(name) for figure in known)]
    if missing:
        raise StudyError(f"no published figure is called {missing[0]!r}; {nearest(missing[0], sorted(known))}.")
    return tuple(claim for claim in claims if not wanted or claim.figure.startswith(tuple(wanted)))


def overrides_of(settings: str) -> dict[str, Any]:
    """Return settings written ``KEY=VALUE`` with semicolons between as overrides of a scenario."""
    return dict(setting_of(text.strip()) for text in settings.split(";") if text.strip())


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


def in_words(table: pl.DataFrame) -> str:
    """Say how many claims were answered, and how far ours are from the published savings; table of ``beside``."""
    answered = table.filter(pl.col("ours").is_not_null())
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
        said.append(f"Not known here: {', '.join(unanswered)}; the fluid engine has no times to the last token.")
    return " ".join(said)


def caveats(studies: Mapping[Asked, Study]) -> list[str]:
    """Return what holds for every comparison, then the notes of the studies, each once with those that it is of."""
    noted: dict[str, list[str]] = {}
    for asked, study in studies.items():
        for note in study.notes:
            noted.setdefault(note, []).append(str(asked))
    told = [
        note if len(of) == len(studies) else f"{note} ({', '.join(of[:3])}{', ...' if len(of) > 3 else ''})"
        for note, of in noted.items()
    ]
    return [*GENERAL, *told]
