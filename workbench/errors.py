"""Every mistake a person can make, as one kind of exception that says what, where, what was found and what to do.

Expected bad news (shortfall, backlog, missed deadlines, rejected rows) is never an exception: it is data in the result.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """A mistake that the user can repair; its text is one paragraph ready to be shown."""


class TableError(WorkbenchError, ValueError):
    """A frame does not fit the table it is handed over as."""


class ScenarioError(WorkbenchError, ValueError):
    """A setting is unknown, contradictory or out of range."""


class CatalogError(WorkbenchError, ValueError):
    """A model, GPU kind, VM, region or tier is missing from the catalog, or a fact in it is impossible."""


class TraceError(WorkbenchError):
    """A trace cannot be read, recognised or stored."""


class StoreError(WorkbenchError):
    """The trace store cannot be opened, is held by another process or is of another version."""


class ForecastError(WorkbenchError):
    """A forecast was asked for that the history cannot give."""


class PlanError(WorkbenchError):
    """The planner got contradictory input or the solver could not answer."""


class SimulationError(WorkbenchError):
    """The simulator got input that describes no possible system."""


class StudyError(WorkbenchError):
    """A study cannot be opened, found or saved."""


class ComputeError(WorkbenchError):
    """Work cannot be spread over processes, or one of them died."""


class ReportError(WorkbenchError):
    """A report template failed or was given parameters it does not have."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, as the tail of an error message.

    Words that begin with it come before words that merely look like it.

    >>> nearest("horizn", ["horizon", "seed"])
    "did you mean 'horizon'? known: horizon, seed"
    """
    words = sorted(known)
    longer = [other for other in words if word and other.startswith(word)]
    close = longer[:2] or difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    listing = "known: " + (", ".join(words) if words else "none")
    meant = " or ".join(f"'{other}'" for other in close)
    return f"did you mean {meant}? {listing}" if close else listing


def together(findings: Iterable[str]) -> str:
    """Join several findings of one pass into one message, one line each when there is more than one."""
    lines = list(findings)
    return lines[0] if len(lines) == 1 else "".join(f"\n  - {line}" for line in lines)
