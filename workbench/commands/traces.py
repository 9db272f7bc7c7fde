"""The verbs about traces: ingest, list, check, remove."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.places import DATA, DataDir

if TYPE_CHECKING:
    from workbench.traces import TraceOptions

traces_app = typer.Typer(help="What is in the trace store.", no_args_is_help=True)


INGEST_EXAMPLE = (
    "Example: workbench ingest code.csv conv.csv --name azure_2023 --model code=llama31_8b,conv=llama2_70b "
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
