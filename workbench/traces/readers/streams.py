"""Opening a file as a stream of bytes, unpacked where its name ends in .gz or .zst."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def text_stream(path: Path) -> Any:
    """Open a file for reading its unpacked bytes."""
    import pyarrow as pa

    return pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix.lower()))


def unpacked(path: Path, file: BinaryIO) -> Any:
    """Return a stream of the unpacked bytes of an open file, whose own position tells how far it is read."""
    import pyarrow as pa

    compression = COMPRESSIONS.get(path.suffix.lower())
    return pa.CompressedInputStream(file, compression) if compression else file
