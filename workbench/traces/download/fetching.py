"""One file over HTTP into a part file: resumed where it broke off, tried again with growing pauses, never half-trusted.

What is there of an earlier attempt is only continued when the server says that it is still the same file (``If-Range``
with a strong ETag or a date, kept in a small file beside the part), or when a checksum will tell in the end. A server
that ignores the wish for a range sends the whole file, and the part begins anew.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from workbench import __version__
from workbench.errors import TraceError

BLOCK_BYTES = 1 << 18
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TRY_LATER = (408, 425, 429, 500, 502, 503, 504)
ALL_THERE = 416
PARTIAL = 206
BROKEN = (ConnectionError, TimeoutError, ssl.SSLError)
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for: tries without any progress, the pause after the first, and when it is silent."""

    tries: int = 5
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    silence_s: float = 30.0
    pause: Callable[[float], None] = time.sleep

    def pause_after(self, failure: int) -> float:
        """Return the seconds to wait after some failures in a row: twice as long each time."""
        return min(self.first_pause_s * 2.0 ** (failure - 1), self.longest_pause_s)


class Unreachable(TraceError):
    """The server could not be reached, or broke off too often; the text is the reason, without address."""


def fetch(
    url: str,
    part: Path,
    *,
    will_be_proven: bool,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> None:
    """Bring a file to ``part``, continuing what is there of an earlier attempt; returns when the server has sent all.

    ``will_be_proven`` says that a checksum follows, so that a part may be continued although the server does not say
    whether the file is still the same. Proxies of the environment are used. Raises Unreachable where the server cannot
    be reached or breaks off again and again (the part is kept), TraceError where it refuses, the address is neither
    https nor on this machine, or the disk is full.
    """
    refuse_unsafe(url)
    waits = patience or Patience()
    failures, furthest = 0, _size(part)
    while True:
        try:
            if _attempt(url, part, will_be_proven, waits, progress):
                return
            reason, wait_s = "the connection broke off", 0.0
        except urllib.error.HTTPError as error:
            reason, wait_s = f"the server answered {error.code} {error.reason}", _retry_after_s(error.headers)
            if error.code not in TRY_LATER:
                raise TraceError(
                    f"{url}: {reason}; the address may have changed, see the page of the source."
                ) from error
        except (urllib.error.URLError, http.client.HTTPException, *BROKEN) as error:
            reason, wait_s = str(getattr(error, "reason", None) or error or type(error).__name__), 0.0
            if isinstance(getattr(error, "reason", None), socket.gaierror):
                raise Unreachable(f"the name of the server is not known here ({reason})") from error
        # a server that sends everything anew gets nowhere, although the part grows from nothing each time
        failures = 1 if _size(part) > furthest else failures + 1
        furthest = max(furthest, _size(part))
        if failures >= waits.tries:
            raise Unreachable(f"{reason}, {failures} times in a row without progress")
        waits.pause(min(max(waits.pause_after(failures), wait_s), waits.longest_pause_s))


def refuse_unsafe(url: str) -> None:
    """Raise TraceError for an address that is neither https nor on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise TraceError(f"{url}: only https addresses are fetched, as nobody can change on the way what they send.")


def _attempt(url: str, part: Path, will_be_proven: bool, patience: Patience, progress: Progress | None) -> bool:
    """Ask once for what is missing; return whether the file is complete."""
    have = _size(part)
    validator = _validator(part, url)
    headers = {"User-Agent": f"workbench/{__version__}", "Accept-Encoding": "identity"}
    if have and (validator or will_be_proven):
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    direct = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    opener = urllib.request.build_opener(_SafeRedirects(), *direct)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=patience.silence_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == ALL_THERE and have:
            return _is_all(part, error.headers)
        raise
    with response:
        continues = response.status == PARTIAL and _first_byte(response.headers) == have
        if response.status == PARTIAL and not continues:
            part.unlink(missing_ok=True)
            return False
        _remember(part, url, response.headers)
        return _receive(response, part, have if continues else 0, progress)


def _receive(response: Any, part: Path, have: int, progress: Progress | None) -> bool:
    length = response.headers.get("Content-Length")
    total = have + int(length) if length and length.isdigit() else None
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        try:
            # what has come is written at once: a whole block may never come over a slow connection that often breaks
            while block := response.read1(BLOCK_BYTES):
                file.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
        except http.client.IncompleteRead as error:
            file.write(error.partial)
            return False
    return total is None or have >= total


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects that never lead from a safe address to an unsafe one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """Follow a redirect, or refuse it where it leads to an unsafe address."""
        try:
            refuse_unsafe(newurl)
        except TraceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def note_of(part: Path) -> Path:
    """Return the small file beside a part that holds the address and what identifies the version at the server."""
    return part.with_name(part.name + ".json")


def _remember(part: Path, url: str, headers: Message) -> None:
    tag = headers.get("ETag", "")
    # a weak ETag promises the same meaning, not the same bytes, and must not be used to continue a file
    validator = headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    note_of(part).write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _validator(part: Path, url: str) -> str:
    try:
        note = json.loads(note_of(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(note.get("validator", "")) if isinstance(note, dict) and note.get("url") == url else ""


def _first_byte(headers: Message) -> int:
    """Return where a partial answer begins, from ``Content-Range: bytes 100-199/200``; -1 where it does not say."""
    first = headers.get("Content-Range", "").removeprefix("bytes").strip().partition("-")[0]
    return int(first) if first.isdigit() else -1


def _is_all(part: Path, headers: Message) -> bool:
    """Tell whether nothing is missing when a server has nothing after the part; else begin anew."""
    total = headers.get("Content-Range", "").rpartition("/")[2]
    if total.isdigit() and int(total) == _size(part):
        return True
    part.unlink(missing_ok=True)
    return False


def _retry_after_s(headers: Message) -> float:
    wait = headers.get("Retry-After", "")
    return float(wait) if wait.isdigit() else 0.0
