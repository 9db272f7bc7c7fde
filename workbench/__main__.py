"""The command line: every verb is a thin call of a Python function of the same name.

Heavy libraries are imported inside the verbs, so that ``--help`` answers at once. A mistake of the user ends in one
paragraph on standard error and exit code 1; Ctrl-C in exit code 130 with nothing half-written.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import ScenarioError, WorkbenchError

if TYPE_CHECKING:
    from workbench.traces import TraceOptions

app = typer.Typer(
    name="workbench",
    help="Plan the capacity of large-language-model serving: traces, forecast, plan, simulation, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
traces_app = typer.Typer(help="What is in the trace store.", no_args_is_help=True)
study_app = typer.Typer(help="Run, list, show and compare studies.", no_args_is_help=True)
app.add_typer(traces_app, name="traces")
app.add_typer(study_app, name="study")

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder of the trace store and the studies.")]
ReportsDir = Annotated[Path, typer.Option("--reports-dir", help="Folder the report is written to.")]
DATA, REPORTS = Path("data"), Path("reports")
INTERRUPTED = 130


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@app.command(epilog="Example: workbench quickstart --data-dir data")
def quickstart(
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
    requests: Annotated[int, typer.Option(help="Requests in the synthetic week.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic week.")] = 7,
) -> None:
    """Run the whole job on a synthetic week: store, forecast, plan, simulate, score, report."""
    from workbench import catalog, console, reporting, scenarios, studies
    from workbench.traces import ingest_frame, open_store, synthetic

    name = f"quickstart_week_{requests}_{seed}"
    with console.progress() as tell, open_store(data_dir / "traces.duckdb") as store:
        tell("Making a week", 0.0)
        if not store.has(name):
            week = synthetic.week(seed=seed, requests=requests, start=scenarios.QUICKSTART_START)
            tell("Storing it", 0.0)
            ingest_frame(week, store=store, name=name, source=f"synthetic week, seed {seed}", format="synthetic")
        content = scenarios.quickstart(trace=name, requests=requests)
        scenario = scenarios.parse(content, source="quickstart")
        study = studies.run(
            scenario, store, catalog=catalog.load(), root=data_dir / "studies", now=_now(), progress=tell
        )
        tell("Writing the report", 0.0)
        report = reporting.monthly_cost(study, reports_dir=reports_dir, now=_now())
    console.show_study(study)
    console.screen().print(f"Report: {report.html}")


@app.command(
    epilog="Example: workbench ingest code.csv conv.csv --name azure_2023 --model code=llama31_8b,conv=llama2_70b "
    "--region us_east --tier interactive_fast"
)
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="One file or more; together they become one trace.")],
    name: Annotated[str, typer.Option(help="Name of the trace in the store.")],
    format: Annotated[str, typer.Option(help="Format of the files; auto recognises it by the columns.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Model key, or LABEL=KEY pairs.")] = None,
    region: Annotated[str | None, typer.Option(help="Region key, or LABEL=KEY pairs.")] = None,
    tier: Annotated[str | None, typer.Option(help="Tier key, or LABEL=KEY pairs.")] = None,
    keep: Annotated[str | None, typer.Option(help="Models of the source to keep, with commas.")] = None,
    region_split: Annotated[
        str | None, typer.Option(help="REGION=SHARE:HOURS,... spreads a source without regions, hours later.")
    ] = None,
    tier_split: Annotated[
        str | None, typer.Option(help="LABEL=TIER:SHARE+TIER:SHARE,... spreads a label over tiers; * is any.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First instant (UTC) of a source with offsets only.")] = None,
    input_tokens: Annotated[str | None, typer.Option(help="Input tokens per request, for series.")] = None,
    output_tokens: Annotated[str | None, typer.Option(help="Output tokens per request, for series.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a trace of that name.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Read files into the trace store and print the quality report."""
    from workbench import console
    from workbench.traces import ingest as ingest_files
    from workbench.traces import open_store

    options = _trace_options(
        model=model,
        region=region,
        tier=tier,
        keep=keep,
        region_split=region_split,
        tier_split=tier_split,
        start=start,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    with console.progress() as tell, open_store(data_dir / "traces.duckdb") as store:
        report = ingest_files(
            paths,
            store=store,
            name=name,
            format=format,
            options=options,
            replace=replace,
            progress=lambda file, share, rows: tell(f"Reading {file}"[:36], share),
        )
    console.show_quality(report)


def _trace_options(**text: str | None) -> TraceOptions:
    from workbench import traces

    parsers: dict[str, Any] = {
        "model": traces.parse_labels,
        "region": traces.parse_labels,
        "tier": traces.parse_labels,
        "keep": lambda value: tuple(word.strip() for word in value.split(",")),
        "region_split": traces.parse_region_split,
        "tier_split": traces.parse_tier_split,
        "start": traces.parse_start,
        "input_tokens": traces.parse_lengths,
        "output_tokens": traces.parse_lengths,
    }
    fields = {"input_tokens": "input_tokens_per_request", "output_tokens": "output_tokens_per_request"}
    return traces.TraceOptions(
        **{fields.get(key, key): parsers[key](value) for key, value in text.items() if value is not None}
    )


@traces_app.command("list", epilog="Example: workbench traces list")
def traces_list(data_dir: DataDir = DATA) -> None:
    """List the traces of the store."""
    from workbench import console
    from workbench.traces import open_store

    with open_store(data_dir / "traces.duckdb", read_only=True) as store:
        listed = store.traces().drop("fingerprint", "rows_read", "version", strict=False)
        console.print_frame(
            listed.rename({"rows_kept": "rows of the source", "rows": "rows stored"}, strict=False), "Traces"
        )


@traces_app.command("check", epilog="Example: workbench traces check azure_2023")
def traces_check(name: Annotated[str, typer.Argument(help="Name of the trace.")], data_dir: DataDir = DATA) -> None:
    """Print the quality report of a trace again, with its rejected rows."""
    from workbench import console
    from workbench.traces import open_store, report

    with open_store(data_dir / "traces.duckdb", read_only=True) as store:
        console.show_quality(report(store, name))
        rejected = store.rejected(name)
    if rejected.height:
        console.print_frame(rejected.head(20), f"Rejected rows, {min(rejected.height, 20)} of {rejected.height:,}")


@traces_app.command("remove", epilog="Example: workbench traces remove azure_2023")
def traces_remove(name: Annotated[str, typer.Argument(help="Name of the trace.")], data_dir: DataDir = DATA) -> None:
    """Remove a trace from the store."""
    from workbench import console
    from workbench.traces import open_store

    with open_store(data_dir / "traces.duckdb") as store:
        store.remove(name)
    console.screen().print(f"Trace {name} is removed.")


@study_app.command("run", epilog="Example: workbench study run data/scenarios/azure_2023.toml --set demand.scale=4")
def study_run(
    scenario: Annotated[Path | None, typer.Argument(help="Scenario file (.toml); or give --trace.")] = None,
    trace: Annotated[str | None, typer.Option(help="Trace to study with every default.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE changes one key of the scenario, such as demand.scale=4."),
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the cost report too.")] = True,
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
) -> None:
    """Run a scenario: forecast, plan, simulate every strategy, score, report."""
    from workbench import catalog, console, reporting, scenarios, studies
    from workbench.traces import open_store

    overrides = dict(_setting(text) for text in set_ or [])
    if trace is not None:
        overrides["trace"] = trace
    if scenario is not None:
        value = scenarios.load(scenario, overrides)
    elif trace is not None:
        value = scenarios.parse({}, overrides=overrides, source="command line")
    else:
        raise ScenarioError("nothing to run: give a scenario file or --trace NAME (workbench traces list shows names).")
    with console.progress() as tell, open_store(data_dir / "traces.duckdb", read_only=True) as store:
        study = studies.run(value, store, catalog=catalog.load(), root=data_dir / "studies", now=_now(), progress=tell)
        if report:
            tell("Writing the report", 0.0)
            files = reporting.monthly_cost(study, reports_dir=reports_dir, now=_now())
    console.show_study(study)
    if report:
        console.screen().print(f"Report: {files.html}")


def _setting(text: str) -> tuple[str, Any]:
    import tomllib

    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ScenarioError(f"--set takes KEY=VALUE such as demand.scale=4, got {text!r}.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


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
    name: Annotated[str, typer.Argument(help="Name, a unique beginning of one, or latest.")], data_dir: DataDir = DATA
) -> None:
    """Print the scorecard of a study."""
    from workbench import console, studies

    console.show_study(studies.open_study(name, root=data_dir / "studies"))


@study_app.command("compare", epilog="Example: workbench study compare azure_2023-1a2b servegen-3c4d")
def study_compare(
    names: Annotated[list[str], typer.Argument(help="Two studies or more.")], data_dir: DataDir = DATA
) -> None:
    """Print the strategies of several studies in one table."""
    import polars as pl

    from workbench import console, studies

    frame = studies.compare(names, root=data_dir / "studies")
    kept = [name for name in frame.columns if name.endswith("_kept_fraction")]
    shown = frame.select(
        "study",
        pl.col("label").alias("strategy"),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        (pl.col("gpu_hours_saved_fraction") * 100).round(1).alias("saved, %"),
        pl.col("keeps_service").alias("serves as well"),
        *((pl.col(name) * 100).round(2).alias(f"{name.removesuffix('_kept_fraction')} kept, %") for name in kept),
    )
    console.print_frame(shown, "Studies compared")


@app.command(epilog="Example: workbench report 2025-07 --study latest")
def report(
    month: Annotated[str, typer.Argument(help="Month the cost is stated for, as YYYY-MM.")],
    study: Annotated[str, typer.Option(help="Study the report is made from.")] = "latest",
    data_dir: DataDir = DATA,
    reports_dir: ReportsDir = REPORTS,
) -> None:
    """Write the monthly cost report of a study as HTML."""
    from workbench import console, reporting, studies

    opened = studies.open_study(study, root=data_dir / "studies")
    files = reporting.monthly_cost(opened, month=month, reports_dir=reports_dir, now=_now())
    console.screen().print(f"Report: {files.html}")


@app.command(epilog="Example: workbench lab")
def lab(data_dir: DataDir = DATA) -> None:
    """Open JupyterLab on the notebooks."""
    from workbench import reporting

    raise typer.Exit(reporting.start_lab(data_dir=data_dir))


@app.command("app", epilog="Example: workbench app --port 8866")
def serve_app(
    port: Annotated[int, typer.Option(help="Port of the page on this machine.")] = 8866, data_dir: DataDir = DATA
) -> None:
    """Serve the what-if dashboard as a page."""
    from workbench import reporting

    raise typer.Exit(reporting.start_app(data_dir=data_dir, port=port))


def main() -> None:
    """Run the command line."""
    code: Any = 0
    try:
        code = app(standalone_mode=False)  # Typer hands back the exit code, 130 after Ctrl-C
    except WorkbenchError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _fail(f"{error.format_message()} (workbench --help lists the commands)", 2)
    if code == INTERRUPTED:
        _fail("stopped; nothing half-written was kept.", INTERRUPTED)
    sys.exit(code or 0)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"workbench: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
