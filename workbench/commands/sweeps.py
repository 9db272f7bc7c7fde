"""The verb that runs a scenario over a grid of settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.places import DATA, DataDir, StorePath, now, store_at
from workbench.commands.settings import setting
from workbench.errors import ScenarioError

if TYPE_CHECKING:
    from workbench.studies import Sweep

SWEEP_EXAMPLE = (
    "Example: workbench sweep data/scenarios/paper_gap_threshold.toml --over policy.lt_ua.override_out_ratio=2,3,5,10"
)


def sweep(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (.toml).")],
    over: Annotated[
        list[str], typer.Option("--over", help="KEY=V1,V2,...: values of one key; several keys make a grid.")
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE changes one key at every point.")] = None,
    workers: Annotated[int | None, typer.Option(help="Most processes to use; one per core where not given.")] = None,
    equal_service: Annotated[
        bool, typer.Option("--equal-service", help="Print what each strategy takes where all serve equally well.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="File for the chart of cost over service, as a page.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the frames as Parquet.")] = None,
    store: StorePath = None,
    data_dir: DataDir = DATA,
) -> None:
    """Run a scenario once for every combination of settings, and print one table; goes on where it was stopped."""
    from workbench import console, scenarios, studies

    given = scenarios.read(scenario)
    overrides = dict(setting(text, example="demand.scale=4") for text in set_ or [])
    content = scenarios.with_overrides(given, overrides)
    axes = dict(axis(text) for text in over)
    with console.progress() as tell:
        tell("Sweeping", 0.0)
        made = studies.sweep(
            content,
            axes,
            source=str(scenario),
            store=store_at(store, content.get("store"), data_dir=data_dir),
            data_dir=data_dir,
            now=now(),
            workers=workers,
            progress=lambda done, total: tell("Sweeping", done / total, f"{done} of {total} points"),
        )
    console.print_frame(studies.readable_sweep(made), f"{scenario.stem}: {len(made.totals)} runs")
    if equal_service:
        baseline = scenarios.parse(content, source=str(scenario)).baseline
        levels = studies.at_levels(made, baseline=baseline, deferrable=_deferrable(data_dir))
        console.print_frame(studies.readable_levels(levels, made), "At equal service")
    if html is not None:
        _write_frontier(html, made, data_dir, source=f"sweep of {scenario.stem} over {', '.join(axes)}")
        console.screen().print(f"Chart: {html}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        made.totals.write_parquet(out / "totals.parquet")
        made.tiers.write_parquet(out / "tiers.parquet")
        console.screen().print(f"Frames: {out / 'totals.parquet'}, {out / 'tiers.parquet'}")


def _deferrable(data_dir: Path) -> list[str]:
    from workbench import catalog

    return [key for key, tier in catalog.load_beside(data_dir).tiers.items() if tier.deferrable]


def _write_frontier(path: Path, made: Sweep, data_dir: Path, *, source: str) -> None:
    from workbench import charts, studies

    waits = _deferrable(data_dir)
    labels = dict(made.totals.select("strategy", "label").unique().iter_rows())
    figure = charts.frontier(
        studies.service_points(made, deferrable=waits),
        studies.frontier(made, deferrable=waits),
        source=source,
        labels=labels,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


def axis(text: str) -> tuple[str, list[Any]]:
    """Return the key and the values of one ``--over``; values as in a TOML list, or as text where they are none.

    >>> axis("policy.cooldown_s=15,60.5"), axis("scheduler=fcfs,edf")
    (('policy.cooldown_s', [15, 60.5]), ('scheduler', ['fcfs', 'edf']))
    """
    key, sign, values = text.partition("=")
    if not sign or not key or not values:
        raise ScenarioError(f"--over takes KEY=V1,V2,... such as policy.cooldown_s=15,60,240, got {text!r}.")
    try:
        return key, list(tomllib.loads(f"values = [{values}]")["values"])
    except tomllib.TOMLDecodeError:
        return key, values.split(",")
