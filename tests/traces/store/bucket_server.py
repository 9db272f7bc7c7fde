"""A folder served as a bucket in the words of S3, read-only: list, head and ranged get over HTTP on this machine.

Enough of the protocol for the client that is tested to talk to it as it does to any object storage; what it is asked
is kept, so that a test can tell which files were opened.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "lake"
XML = '<?xml version="1.0" encoding="UTF-8"?>'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    opened: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        _, bucket, *key = unquote(parts.path).split("/", 2)
        if bucket != BUCKET:
            self._fail("NoSuchBucket")
        elif not key or not key[0]:
            self._list(parse_qs(parts.query))
        elif (self.folder / key[0]).is_file():
            self._file(key[0])
        else:
            self._fail("NoSuchKey")

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        keys = {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in paths}
        found = [
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>e</ETag>"
            "<LastModified>2025-07-09T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for key, size in keys.items()
            if key.startswith(prefix)
        ][: int(query.get("max-keys", ["1000"])[0])]
        body = (
            f"{XML}<ListBucketResult><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>"
            f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{''.join(found)}</ListBucketResult>"
        )
        self._send(200, body.encode(), "application/xml")

    def _file(self, key: str) -> None:
        content = (self.folder / key).read_bytes()
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(200, content, "application/octet-stream", whole=len(content))
            return
        self.opened.append(key)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1]
        place = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        self._send(206, part, "application/octet-stream", place=place)

    def _fail(self, code: str) -> None:
        self._send(404, f"{XML}<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), "application/xml")

    def _send(self, status: int, body: bytes, kind: str, *, place: str = "", whole: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(whole if whole is not None else len(body)))
        self.send_header("ETag", '"e"')
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def bucket(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; yield the options that a URI of the bucket needs, and the keys of which parts were read."""
    opened: list[str] = []
    handler = type("Handler", (_Handler,), {"folder": folder, "opened": opened})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"endpoint_override=127.0.0.1:{server.server_address[1]}&scheme=http&region=us-east-1", opened
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
