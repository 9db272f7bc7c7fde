"""What can befall a store file, told as one paragraph: held by another process, no store, read-only, disk full."""

from __future__ import annotations

import re
from pathlib import Path


def explanation(file: Path, text: str) -> str:
    """Say in one paragraph what happened to the store in ``file`` and what to do, from the text of the error."""
    holder = re.search(r"\(PID (\d+)\)", text)
    cases = {
        "Could not set lock": f"the trace store {file} is open in another process"
        + (f" (PID {holder.group(1)})" if holder else "")
        + "; close it there (a notebook keeps it until its kernel ends), or wait for that command to finish.",
        "different configuration": f"the trace store {file} is already open in this process with other rights; close "
        "it there before it is opened again.",
        "not a valid DuckDB": f"{file} is no DuckDB file and so no trace store; choose another path for the store.",
        "Corrupt database": f"the trace store {file} is damaged and cannot be read; put back a copy, or delete it "
        "and ingest the traces again.",
        "newer version of DuckDB": f"the trace store {file} was made by a newer DuckDB than the one installed; update "
        "duckdb, or ingest into a new file.",
        "Permission denied": f"the trace store {file} cannot be opened for writing: the folder or the file may only be "
        "read; choose a folder that you may write to, or open the store read-only.",
        "read-only": f"the trace store {file} is open read-only and cannot be changed; open it for writing.",
        "Is a directory": f"{file} is a folder; name a file for the trace store, such as {file / 'traces.duckdb'}.",
        "File exists": f"{file.parent} is a file, not a folder; choose another path for the trace store.",
        "Not a directory": f"{file.parent} is no folder; choose another path for the trace store.",
    }
    full = ("No space left", "File too large", "disk is full", "Disk quota")
    if any(sign in text for sign in full):
        return (
            f"the disk is full: the trace store {file} could not be written. Nothing of this trace was kept; free some "
            "space and try again."
        )
    found = " ".join(text.split())[:300]
    return next((said for sign, said in cases.items() if sign in text), f"the trace store {file} failed: {found}")
