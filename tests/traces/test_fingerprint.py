"""A fingerprint changes with anything that can change a trace, and with nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.traces.trace_cases import SAMPLES
from workbench.traces import Source, TraceOptions, detect
from workbench.traces.fingerprint import fingerprint_of

OPTIONS = TraceOptions(model="m", region="r", tier="t")


def of(path: Path, options: TraceOptions = OPTIONS) -> str:
    return fingerprint_of([(Source(path=path, options=options), detect(path))])


def test_equal_files_elsewhere_are_equal(tmp_path: Path) -> None:
    copy = tmp_path / "azure_code.csv"
    copy.write_bytes((SAMPLES / "azure_code.csv").read_bytes())
    assert of(copy) == of(SAMPLES / "azure_code.csv")


def test_names_bytes_and_options_count(tmp_path: Path) -> None:
    content = (SAMPLES / "azure_code.csv").read_bytes()
    seen = {
        of(SAMPLES / "azure_code.csv"),
        of(SAMPLES / "azure_code.csv", TraceOptions(model="n", region="r", tier="t")),
    }
    for name, changed in (("other.csv", content), ("azure_code.csv", content.replace(b"1", b"2", 1))):
        (tmp_path / name).write_bytes(changed)
        seen.add(of(tmp_path / name))
    assert len(seen) == 4


def test_the_order_of_files_counts() -> None:
    found = [
        (Source(path=SAMPLES / name, options=OPTIONS), detect(SAMPLES / name))
        for name in ("azure_code.csv", "azure_conv.csv")
    ]
    assert fingerprint_of(found) != fingerprint_of(found[::-1])
