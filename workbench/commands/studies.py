"""The verbs about studies: run, list, show, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.places import DATA, REPORTS, DataDir, ReportsDir, StorePath, now, store_at
from workbench.commands.settings import setting
from workbench.errors import ScenarioError

if TYPE_CHECKING:
    from workbench.results import Study

study_app = typer.Typer(help="Run, list, show and compare studies.", no_args_is_help=True)
Bound = Annotated[bool, typer.Option("--bound", help="Say too what no strategy could have beaten at that service.")]


@study_app.command("run", epilog="Example: workbench study run data/scenarios/azure_2023.toml --set demand.scale=4")
def study_run(
    scenario: Annotated[Path | None, typer.Argument(help="Scenario file (.toml); or give --trace.")] = None,
    trace: Annotated[str | None, typer.Option(help="Trace to study with every default.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE changes one key of the scenario, such as demand.scale=4."),
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the cost report too.")] = True,
    bound: Bound = False,
    workers: Annotated[int, typer.Option(help="Processes for the days of forecasts and the strategies.")] = 1,
    store: StorePath = None,
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
) -> None:
    """Run a scenario: forecast, plan, simulate every strategy, score, report."""
    from workbench import catalog, console, reporting, scenarios, studies
    from workbench.traces import open_store

    overrides = dict(setting(text, example="demand.scale=4") for text in set_ or [])
    if trace is not None:
        overrides["trace"] = trace
    if scenario is not None:
        value = scenarios.load(scenario, overrides)
    elif trace is not None:
        value = scenarios.parse({}, overrides=overrides, source="command line")
    else:
        raise ScenarioError("nothing to run: give a scenario file or --trace NAME (workbench traces list shows names).")
    place = store_at(store, value.store, data_dir=data_dir)
    with console.progress() as tell, open_store(place, read_only=True) as opened:
        known = catalog.load_beside(data_dir)
        study = studies.run(
            value, opened, catalog=known, root=data_dir / "studies", now=now(), workers=workers, progress=tell
        )
        if report:
            tell("Writing the report", 0.0)
            files = reporting.monthly_cost(study, reports_dir=reports_dir, now=now())
    console.show_study(study)
    if bound:
        _show_bound(study)
    if report:
        console.screen().print(f"Report: {files.html}")


@study_app.command("list", epilog="Example: workbench study list")
def study_list(data_dir: DataDir = DATA) -> None:
    """List the saved studies, oldest first."""
    from workbench import console, studies

    listed = studies.listing(root=data_dir / "studies")
    if listed.is_empty():
        console.screen().print(f"No studies under {data_dir / 'studies'} yet; make one with workbench study run.")
    else:
        console.print_frame(listed, "Studies")


@study_app.command("show", epilog="Example: workbench study show latest")
def study_show(
    name: Annotated[str, typer.Argument(help="Name, a unique beginning of one, or latest.")],
    bound: Bound = False,
    waste_saved: Annotated[
        float | None,
        typer.Option(help="With --bound: share of the baseline's waste that starts must spare, such as 0.8."),
    ] = None,
    data_dir: DataDir = DATA,
) -> None:
    """Print the scorecard of a study."""
    from workbench import console, studies

    study = studies.open_study(name, root=data_dir / "studies")
    console.show_study(study)
    if bound:
        _show_bound(study, waste_saved)


def _show_bound(study: Study, waste_saved: float | None = None) -> None:
    """Print beside each strategy the fewest GPU-hours at its own service."""
    from workbench import console, studies

    least = studies.least_gpu_hours(study, waste_saved_fraction=waste_saved)
    console.print_frame(studies.readable_least(least), "What nobody could have beaten")


@study_app.command("compare", epilog="Example: workbench study compare azure_2023-1a2b servegen-3c4d")
def study_compare(
    names: Annotated[list[str], typer.Argument(help="Two studies or more.")], data_dir: DataDir = DATA
) -> None:
    """Print the strategies of several studies in one table."""
    from workbench import console, studies

    root = data_dir / "studies"
    differing = studies.differences(names, root=root)
    if differing.height:
        console.print_frame(differing, "In what they differ")
    for title, frame in studies.readable_comparison(studies.compare(names, root=root)).items():
        console.print_frame(frame, title)
