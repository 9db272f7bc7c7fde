"""A quotation mark that is not closed costs its own line only: workbench.traces.readers.quotes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from workbench.traces.options import TraceOptions
from workbench.traces.readers.quotes import ClosedQuotes
from workbench.traces.readers.requests import read

TEXT = b'a,b\n"1",2\n"3,4\n5,"6\r\n7,8'


@pytest.mark.parametrize("size", [1, 3, 7, 1000, -1])
def test_torn_lines_are_replaced_and_kept_in_any_blocks(size: int) -> None:
    stream = ClosedQuotes(io.BytesIO(TEXT), fields=2, delimiter=",", longest=100)
    parts = []
    while part := stream.read(size):
        parts.append(part)
    assert b"".join(parts) == b'a,b\n"1",2\n,,\n,,\n7,8'
    assert stream.torn == {3: b'"3,4', 4: b'5,"6'}


def test_one_unclosed_mark_refuses_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    row = '2025-07-09 00:00:01,"m, large",r,t,100,10\n'
    torn = '2025-07-09 00:00:01,"m,r,t,100,10\n'
    path.write_text("arrived_at,model,region,tier,input_tokens,output_tokens\n" + row * 5000 + torn + row * 5000)
    batches = list(read(path, TraceOptions()))
    assert sum(batch.good.height for batch in batches) == 10_000
    (refused,) = [row for batch in batches for row in batch.rejected.to_dicts()]
    assert (refused["line"], refused["reason"]) == (5002, "a quotation mark is not closed on its line")
    assert refused["raw"] == torn.strip()
