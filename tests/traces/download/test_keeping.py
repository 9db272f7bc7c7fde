"""workbench.traces.download.keeping: only what is proven gets its name, and what is there is told."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
from pathlib import Path

import pytest

from tests.traces.download.serving import Behaviour, serving
from workbench import catalog
from workbench.catalog import TraceSource
from workbench.errors import TraceError
from workbench.traces import FORMATS
from workbench.traces.download import Patience, download, downloads_at, ingest_command

CONTENT = b"TIMESTAMP,ContextTokens,GeneratedTokens\n" + b"2023-11-16 18:15:46.6805900,374,44\n" * 2000
IMPATIENT = Patience(tries=2, pause=lambda _: None, silence_s=5.0)


@pytest.fixture
def source() -> TraceSource:
    return dataclasses.replace(
        catalog.load().trace_sources["azure_llm_2023_code"],
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        rows=2000,
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once_and_proven_each_time(tmp_path: Path, source: TraceSource) -> None:
    behaviour = Behaviour(content=CONTENT, breaks=[1000])
    folder = tmp_path / "data" / "downloads"
    with serving(behaviour) as address:
        first = download(source, to=folder, mirror=address, patience=IMPATIENT)
        again = download(source, to=folder, mirror=f"{address}/", patience=IMPATIENT)
    assert first.path == folder / source.file
    assert first.path.read_bytes() == CONTENT
    assert (first.was_there, again.was_there) == (False, True)
    assert "sha256" in first.proof
    assert files(folder) == [source.file]
    assert len(behaviour.asked) == 2


def test_a_wrong_checksum_keeps_nothing(tmp_path: Path, source: TraceSource) -> None:
    changed = CONTENT.replace(b"374", b"375", 1)
    refused = pytest.raises(TraceError, match=f"expected {source.sha256}")
    with serving(Behaviour(content=changed)) as address, refused as caught:
        download(source, to=tmp_path, mirror=address, patience=IMPATIENT)
    assert hashlib.sha256(changed).hexdigest() in str(caught.value)
    assert files(tmp_path) == []


def test_offline_one_line_names_the_file_and_where_to_put_it(tmp_path: Path, source: TraceSource) -> None:
    with serving(Behaviour(content=CONTENT)) as address:
        pass
    with pytest.raises(TraceError) as caught:
        download(source, to=tmp_path / "new", mirror=address, patience=IMPATIENT)
    said = str(caught.value)
    assert "\n" not in said
    assert f"place it as {tmp_path / 'new' / source.file}" in said
    assert f"{address}/{source.file}" in said
    assert files(tmp_path / "new") == []


def test_a_file_placed_by_hand_is_proven(tmp_path: Path, source: TraceSource) -> None:
    (tmp_path / source.file).write_bytes(CONTENT)
    assert download(source, to=tmp_path).was_there
    (tmp_path / source.file).write_bytes(CONTENT + b"x")
    with pytest.raises(TraceError, match=r"is there already, but .* Move it away"):
        download(source, to=tmp_path)
    assert (tmp_path / source.file).exists()


def test_what_has_come_is_kept_for_the_next_time(tmp_path: Path, source: TraceSource) -> None:
    behaviour = Behaviour(content=CONTENT, breaks=[1000, 0, 0])
    with serving(behaviour) as address:
        with pytest.raises(TraceError, match="The 1,000 bytes that have come are kept"):
            download(source, to=tmp_path, mirror=address, patience=IMPATIENT)
        listed = downloads_at(tmp_path, [source])
        assert listed["there"].to_list() == ["in part: 1%"]
        behaviour.breaks = []
        download(source, to=tmp_path, mirror=address, patience=IMPATIENT)
    assert behaviour.asked[-1]["Range"] == "bytes=1000-"
    assert files(tmp_path) == [source.file]


def test_the_listing_tells_what_is_there(tmp_path: Path, source: TraceSource) -> None:
    assert downloads_at(tmp_path, [source])["there"].to_list() == ["no"]
    (tmp_path / source.file).write_bytes(CONTENT)
    row = downloads_at(tmp_path, [source]).row(0, named=True)
    assert (row["name"], row["rows"], row["licence"], row["there"]) == (source.key, 2000, "CC-BY 4.0", "yes")
    assert row["file"] == str(tmp_path / source.file)
    (tmp_path / source.file).write_bytes(b"x")
    assert downloads_at(tmp_path, [source])["there"][0].startswith("other file: ")
    unknown = dataclasses.replace(source, file="other.csv", size_bytes=None)
    (tmp_path / "other.csv.part").write_bytes(b"12345")
    assert downloads_at(tmp_path, [unknown])["there"].to_list() == ["in part: 5 bytes"]


def test_two_processes_do_not_write_one_file(tmp_path: Path, source: TraceSource) -> None:
    with (tmp_path / f"{source.file}.part.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TraceError, match="by another process"):
            download(source, to=tmp_path, mirror="http://127.0.0.1:9")


def test_a_file_larger_than_the_disk_is_not_begun(tmp_path: Path, source: TraceSource) -> None:
    with pytest.raises(TraceError, match=r"needs 1,000,000,000,000,000,000 more bytes"):
        download(dataclasses.replace(source, size_bytes=10**18), to=tmp_path, mirror="http://127.0.0.1:9")


def test_a_folder_that_is_a_file_is_said(tmp_path: Path, source: TraceSource) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(TraceError, match="cannot be written"):
        download(source, to=tmp_path / "taken", mirror="http://127.0.0.1:9")


def test_a_folder_of_the_name_is_said(tmp_path: Path, source: TraceSource) -> None:
    (tmp_path / source.file).mkdir()
    unsized = dataclasses.replace(source, size_bytes=None)
    with pytest.raises(TraceError, match="is there already and cannot be read"):
        download(unsized, to=tmp_path, patience=IMPATIENT)
    assert downloads_at(tmp_path, [unsized])["there"][0].startswith("other file")


def test_a_mirror_must_be_safe(tmp_path: Path, source: TraceSource) -> None:
    with pytest.raises(TraceError, match="only https"):
        download(source, to=tmp_path, mirror="http://example.org")


def test_the_command_that_reads_it(source: TraceSource) -> None:
    command = ingest_command(source, Path("data/downloads") / source.file)
    assert command.startswith("workbench ingest data/downloads/AzureLLMInferenceTrace_code.csv --name azure_llm_2023_")
    assert "--format azure_llm --model llama31_8b" in command


def test_an_archive_is_unpacked_first() -> None:
    command = ingest_command(catalog.load().trace_sources["servegen"], Path("d/ServeGen-f891d118.tar.gz"))
    assert command.startswith(
        "tar -xzf d/ServeGen-f891d118.tar.gz -C d && workbench ingest d/ServeGen-f891d1189eb32b38"
    )


def test_every_source_has_a_reader() -> None:
    known = {known.key for known in FORMATS}
    assert {source.format for source in catalog.load().trace_sources.values()} <= known
