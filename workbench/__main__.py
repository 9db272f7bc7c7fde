"""The command line: the verbs of :mod:`workbench.commands` under one name, and how it ends.

A mistake of the user ends in one paragraph on standard error and exit code 1; Ctrl-C in exit code 130 with nothing
half-written.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from workbench.commands import forecasts, obtaining, plans, profiles, reports, studies, sweeps, traces
from workbench.errors import WorkbenchError

app = typer.Typer(
    name="workbench",
    help="Plan the capacity of large-language-model serving: traces, forecast, plan, simulation, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(epilog="Example: workbench quickstart --data-dir data")(reports.quickstart)
app.command(epilog=obtaining.DOWNLOAD_EXAMPLE)(obtaining.download)
app.command(epilog=obtaining.GENERATE_EXAMPLE)(obtaining.generate)
app.command(epilog=traces.INGEST_EXAMPLE)(traces.ingest)
app.add_typer(traces.traces_app, name="traces")
app.add_typer(forecasts.forecast_app, name="forecast")
app.add_typer(studies.study_app, name="study")
app.command(epilog=sweeps.SWEEP_EXAMPLE)(sweeps.sweep)
app.add_typer(plans.plan_app, name="plan")
app.add_typer(profiles.profile_app, name="profile")
app.command(epilog="Example: workbench report 2025-07 --study latest")(reports.report)
app.command(epilog="Example: workbench lab")(reports.lab)
app.command("app", epilog="Example: workbench app --port 8866")(reports.serve_app)
INTERRUPTED = 130


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
