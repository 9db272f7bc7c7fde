"""Downloads in a folder: fetch, prove, and only then give a file its name; and what of the catalog is already there.

Nothing ever stands under its final name that is not proven. A file that cannot be fetched can be placed by hand under
that name: it is proven the same way, and the error that says so names the file, the folder and the address.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.catalog import TraceSource
from workbench.errors import TraceError
from workbench.traces.download.fetching import Patience, Unreachable, fetch, note_of, refuse_unsafe
from workbench.traces.download.proving import prove

PART = ".part"
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A file that is there and proven; ``was_there`` where nothing had to be fetched."""

    source: TraceSource
    path: Path
    proof: str
    was_there: bool


def download(
    source: TraceSource,
    *,
    to: Path,
    mirror: str | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> Downloaded:
    """Fetch one public trace file into a folder, or prove that it is there already.

    ``mirror`` is an address to fetch files of the same names from instead (https, or on this machine); ``progress`` is
    told how many bytes of how many have arrived. A broken download continues at the next call. Raises TraceError
    where the server cannot be reached (naming the file to place by hand, and where), where what arrived is not the
    published file (it is deleted), or where another file has the name.
    """
    path = to / source.file
    url = source.url if mirror is None else f"{mirror.rstrip('/')}/{source.file}"
    refuse_unsafe(url)
    if path.exists():
        return _found(path, source)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(path.name + PART)) as part:
            _make_sure_of_room(source, to, have=part.stat().st_size)
            fetch(url, part, will_be_proven=source.sha256 is not None, patience=patience, progress=progress)
            proof = _proven(part, source)
            part.replace(path)
            note_of(part).unlink(missing_ok=True)
    except Unreachable as error:
        kept = path.with_name(path.name + PART)
        later = f" The {kept.stat().st_size:,} bytes that have come are kept." if kept.exists() else ""
        raise TraceError(
            f"{source.file} cannot be fetched from {url}: {error}. Without network, fetch it elsewhere, place it "
            f"as {path} and run this again, which proves it.{later}"
        ) from error
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error)
        raise TraceError(f"{path} cannot be written: {reason}; what has arrived is continued once it can.") from error
    return Downloaded(source=source, path=path, proof=proof, was_there=False)


def downloads_at(folder: Path, sources: Iterable[TraceSource]) -> pl.DataFrame:
    """Return every source with its state in a folder: key, label, rows, bytes, licence, file and ``there``.

    ``there`` is 'yes' for a file that is proven, 'in part' with how much, 'other file' with why, or 'no'.
    """
    rows = [
        {
            "name": source.key,
            "what": source.label,
            "rows": source.rows,
            "size_bytes": source.size_bytes,
            "licence": source.licence,
            "file": str(folder / source.file),
            "there": _state(folder / source.file, source),
        }
        for source in sources
    ]
    text = ("name", "what", "licence", "file", "there")
    columns = ("name", "what", "rows", "size_bytes", "licence", "file", "there")
    return pl.DataFrame(rows, schema={name: pl.String if name in text else pl.Int64 for name in columns})


def ingest_command(source: TraceSource, path: Path) -> str:
    """Return the command that reads a downloaded file into the store, with options to be adapted.

    An archive is unpacked beside itself first.
    """
    options = f"--name {source.key} --format {source.format} {source.ingest_options}"
    if source.unpacked is None:
        return f"workbench ingest {path} {options}"
    return f"tar -xzf {path} -C {path.parent} && workbench ingest {path.parent / source.unpacked} {options}"


def _found(path: Path, source: TraceSource) -> Downloaded:
    try:
        return Downloaded(source=source, path=path, proof=prove(path, source), was_there=True)
    except TraceError as error:
        raise TraceError(f"{path} is there already, but {error} Move it away and download again.") from error
    except OSError as error:
        raise TraceError(
            f"{path} is there already and cannot be read ({error.strerror}). Move it away and download again."
        ) from error


def _state(path: Path, source: TraceSource) -> str:
    part = path.with_name(path.name + PART)
    if path.exists():
        try:
            prove(path, source)
        except (TraceError, OSError) as error:
            return f"other file: {error}"
        return "yes"
    if not part.exists():
        return "no"
    have = part.stat().st_size
    return f"in part: {have / source.size_bytes:.0%}" if source.size_bytes else f"in part: {have:,} bytes"


def _proven(part: Path, source: TraceSource) -> str:
    try:
        return prove(part, source)
    except TraceError:
        part.unlink(missing_ok=True)
        note_of(part).unlink(missing_ok=True)
        raise


def _make_sure_of_room(source: TraceSource, folder: Path, *, have: int) -> None:
    free = shutil.disk_usage(folder).free
    if source.size_bytes is not None and source.size_bytes - have > free:
        raise TraceError(
            f"{source.file} needs {source.size_bytes - have:,} more bytes and {folder} has {free:,} left; free some "
            "space or choose another folder."
        )


@contextmanager
def _alone(part: Path) -> Iterator[Path]:
    """Hold a part file for this process alone, so that two downloads do not write into one."""
    lock = part.with_name(part.name + ".lock")
    with lock.open("w") as holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TraceError(f"{part} is being downloaded by another process; wait for it.") from error
        part.touch()
        try:
            yield part
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()
            lock.unlink(missing_ok=True)
