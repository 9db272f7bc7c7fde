"""Opening a file as a stream of bytes, unpacked where its bytes (not its name) say that it is packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from workbench.errors import TraceError

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
BLOCK_BYTES = 8 << 20
LONGEST_LINE_BYTES = 16 << 20


def packing_of(path: Path) -> str | None:
    """Return how a file is packed, gzip or zstd, by its first bytes; None for a plain one."""
    with path.open("rb") as file:
        first = file.read(4)
    return next((packing for magic, packing in PACKED.items() if first.startswith(magic)), None)


def unpacked(path: Path, file: BinaryIO) -> Any:
    """Return a stream of the unpacked bytes of an open file, whose own position tells how far it is read."""
    import pyarrow as pa

    packing = packing_of(path)
    return pa.CompressedInputStream(file, packing) if packing else file


def first_bytes(path: Path, size: int) -> bytes:
    """Return the first unpacked bytes of a file, fewer where it is shorter."""
    with path.open("rb") as file:
        stream = unpacked(path, file)
        content = b""
        while len(content) < size and (part := stream.read(size - len(content))):
            content += part
    return content


def line_blocks(path: Path) -> Iterator[tuple[bytes, float]]:
    """Yield the unpacked file in blocks of whole lines, each with the share of the file that is read.

    Raises TraceError where one line is longer than ``LONGEST_LINE_BYTES``: memory stays bounded whatever the file is.
    """
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        stream = unpacked(path, file)
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            whole, end, tail = block.rpartition(b"\n")
            if end:
                yield rest + whole + end, min(1.0, file.tell() / size)
                rest = tail
            else:
                rest += block
            if len(rest) > LONGEST_LINE_BYTES:
                raise TraceError(
                    f"{path.name} has a line longer than {LONGEST_LINE_BYTES >> 20} MiB; a trace has one request per "
                    "line. The file is of another kind, or its line ends were lost; write it with a line end per row."
                )
        if rest:
            yield rest, 1.0
