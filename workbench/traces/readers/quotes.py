"""A line with a quotation mark that is not closed, taken out of a CSV before it is parsed.

The parser would read such a line and all that follow, up to the next mark, as one value. No line of a trace goes over
a line end, so a line with an odd number of marks is wrong by itself: it is handed on as a row with too many fields,
which the parser reports by its number, and is kept here as it was found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

QUOTE, LINE_END = ord('"'), ord("\n")


class ClosedQuotes:
    """The bytes of a stream with every torn line replaced; ``torn`` holds those lines by their number.

    It is read by the parser in blocks; a line is looked at as soon as its end is there.
    """

    closed = False

    def __init__(self, stream: Any, *, fields: int, delimiter: str, longest: int) -> None:
        self._stream = stream
        self._instead = delimiter.encode() * fields
        self._longest = longest
        self._begun = b""
        self._ready = b""
        self._is_over = False
        self._lines = 0
        self.torn: dict[int, bytes] = {}

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes, all that are left where size is negative; none at the end."""
        while not self._is_over and (size < 0 or len(self._ready) < size):
            block = self._stream.read(max(size, 1 << 16))
            self._is_over = not block
            self._ready += self._whole(block)
        taken = self._ready if size < 0 else self._ready[:size]
        self._ready = self._ready[len(taken) :]
        return taken

    def close(self) -> None:
        """Leave the stream to the one that opened it."""
        self.closed = True

    def _whole(self, block: bytes) -> bytes:
        """Return the lines that are whole with this block; a line beyond the longest is the parser's to refuse."""
        lines = self._begun + block
        end = lines.rfind(b"\n") + 1
        if not block or len(lines) - end > self._longest:
            end = len(lines)
        self._begun = lines[end:]
        return self._mended(lines[:end])

    def _mended(self, lines: bytes) -> bytes:
        first = self._lines + 1
        self._lines += lines.count(b"\n")
        if b'"' not in lines:
            return lines
        marks = np.frombuffer(lines, dtype=np.uint8)
        ends = np.flatnonzero(marks == LINE_END)
        per_line = np.bincount(np.searchsorted(ends, np.flatnonzero(marks == QUOTE)), minlength=ends.size + 1)
        odd = np.flatnonzero(per_line % 2)
        if not odd.size:
            return lines
        parts: list[bytes] = []
        done = 0
        for line in odd:
            start = int(ends[line - 1]) + 1 if line else 0
            end = int(ends[line]) if line < ends.size else len(lines)
            self.torn[first + int(line)] = lines[start:end].rstrip(b"\r")
            parts += [lines[done:start], self._instead]
            done = end
        return b"".join([*parts, lines[done:]])
