"""A real HTTP server on this machine that behaves as told: whole, broken off, without ranges, silent, elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_S = 0.6


@dataclass(kw_only=True)
class Behaviour:
    """What the server does; ``breaks`` are numbers of bytes after which an answer is broken off, one per request.

    ``stalls`` are numbers of bytes after which an answer falls silent.
    """

    content: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = None
    has_ranges: bool = True
    says_length: bool = True
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retry_after: str | None = None
    silence_s: list[float] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    redirect: str | None = None
    wrong_range: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        """Answer as the behaviour says."""
        b = self.behaviour
        b.asked.append(dict(self.headers))
        if b.silence_s and (wait := b.silence_s.pop(0)):
            time.sleep(wait)
            return
        if b.statuses and (status := b.statuses.pop(0)) != 200:
            self._empty(status)
        elif b.redirect and self.path.startswith("/from"):
            self.send_response(302)
            self.send_header("Location", b.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif (first := self._first()) is not None and first >= len(b.content):
            self._empty(416, {"Content-Range": f"bytes */{len(b.content)}"})
        else:
            self._send(first)

    def _first(self) -> int | None:
        """The first byte asked for, where ranges are served and the file is still the one meant."""
        b = self.behaviour
        asked, meant = self.headers.get("Range"), self.headers.get("If-Range")
        if not b.has_ranges or asked is None or (meant is not None and meant not in (b.etag, b.last_modified)):
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _send(self, first: int | None) -> None:
        b = self.behaviour
        part = b.content[first or 0 :]
        self.send_response(200 if first is None else 206)
        if first is not None:
            shown = 0 if b.wrong_range else first
            self.send_header("Content-Range", f"bytes {shown}-{len(b.content) - 1}/{len(b.content)}")
        if b.says_length:
            self.send_header("Content-Length", str(len(part)))
        for name, value in (("ETag", b.etag), ("Last-Modified", b.last_modified)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        if b.stalls:
            self.wfile.write(part[: b.stalls.pop(0)])
            time.sleep(STALL_S)
            return
        broken = b.breaks.pop(0) if b.breaks else len(part)
        self.wfile.write(part[:broken])
        self.close_connection = True

    def _empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.behaviour.retry_after:
            self.send_header("Retry-After", self.behaviour.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serve on a free port of this machine and yield the address."""
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
