"""What is measured, never asserted: ``python -m tests.benchmarks [NAME ...] [--json]``.

Each name is one room: a module ``tests/benchmarks/NAME.py`` with a function ``run`` that returns its figures. A name
without its module is an empty room: it is listed as not yet measured and has no figure.
"""

NAMES = (
    "ingest",
    "demand",
    "generate",
    "forecast",
    "backtest",
    "plan_s",
    "plan_l",
    "fluid",
    "lanes",
    "replay",
    "study",
    "report",
    "slider",
    "sweep",
)
