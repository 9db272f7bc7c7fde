"""workbench.traces.synthetic.workload_files: a workload read back is the same value, and anything else is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from workbench.errors import TraceError
from workbench.traces.synthetic import Burst, load, published, save
from workbench.traces.synthetic.workload_files import as_text


def test_a_workload_read_back_is_equal(tmp_path: Path) -> None:
    bursts = (Burst(ratio=3.0, minutes=20.0, every_h=6.0),)
    workload = dataclasses.replace(published(), bursts=bursts, growth_per_week=1 / 3, notes=("a note",))
    save(workload, tmp_path / "w.json")
    assert load(tmp_path / "w.json") == workload
    assert as_text(load(tmp_path / "w.json")) == as_text(workload)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "workbench workload 0"}, "no workload of this version"),
        ({"streams": [{"region": "x"}]}, "damaged"),
        ({"days": -1}, "longer than zero"),
        ({"surprise": 1}, "damaged"),
    ],
)
def test_a_file_that_is_no_workload_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "w.json"
    path.write_text(json.dumps(json.loads(as_text(published())) | change))
    with pytest.raises(TraceError, match=message):
        load(path)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no workload can be read"):
        load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[1, 2")
    with pytest.raises(TraceError, match="no workload can be read"):
        load(tmp_path / "bad.json")
    with pytest.raises(TraceError, match="cannot be written"):
        save(published(), tmp_path / "no" / "folder.json")
