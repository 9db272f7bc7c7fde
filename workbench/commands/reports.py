"""The verbs about reports and pages: quickstart, report, lab, app."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.commands.places import DATA, REPORTS, DataDir, ReportsDir, StorePath, now, store_at


def quickstart(
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
    requests: Annotated[int, typer.Option(help="Requests in the synthetic week.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic week.")] = 7,
    store: StorePath = None,
) -> None:
    """Run the whole job on a synthetic week: store, forecast, plan, simulate, score, report."""
    from workbench import catalog, console, reporting, scenarios, studies
    from workbench.traces import ingest_frame, open_store, synthetic

    name = f"quickstart_week_{requests}_{seed}"
    with console.progress() as tell, open_store(store_at(store, data_dir=data_dir)) as opened:
        tell("Making a week", 0.0)
        if not opened.has(name):
            week = synthetic.week(seed=seed, requests=requests, start=scenarios.QUICKSTART_START)
            tell("Storing it", 0.0)
            ingest_frame(week, store=opened, name=name, source=f"synthetic week, seed {seed}", format="synthetic")
        content = scenarios.quickstart(trace=name, requests=requests)
        scenario = scenarios.parse(content, source="quickstart")
        study = studies.run(
            scenario, opened, catalog=catalog.load_beside(data_dir), root=data_dir / "studies", now=now(), progress=tell
        )
        tell("Writing the report", 0.0)
        report = reporting.monthly_cost(study, reports_dir=reports_dir, now=now())
    console.show_study(study)
    console.screen().print(f"Report: {report.html}")


def report(
    month: Annotated[str, typer.Argument(help="Month the cost is stated for, as YYYY-MM.")],
    study: Annotated[str, typer.Option(help="Study the report is made from.")] = "latest",
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
) -> None:
    """Write the monthly cost report of a study as HTML."""
    from workbench import console, reporting, studies

    opened = studies.open_study(study, root=data_dir / "studies")
    files = reporting.monthly_cost(opened, month=month, reports_dir=reports_dir, now=now())
    console.screen().print(f"Report: {files.html}")


def lab(data_dir: DataDir = DATA) -> None:
    """Open JupyterLab on the notebooks."""
    from workbench import reporting

    raise typer.Exit(reporting.start_lab(data_dir=data_dir))


def serve_app(
    port: Annotated[int, typer.Option(help="Port of the page on this machine.")] = 8866, data_dir: DataDir = DATA
) -> None:
    """Serve the what-if dashboard as a page."""
    from workbench import reporting

    raise typer.Exit(reporting.start_app(data_dir=data_dir, port=port))
