"""workbench.traces.download.fetching: a file arrives whole whatever the connection does, or the reason is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traces.download.serving import Behaviour, serving
from workbench.errors import TraceError
from workbench.traces.download.fetching import Patience, Unreachable, fetch, note_of, refuse_unsafe

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.csv.part"


class Pauses(list[float]):
    """Pauses that are noted and not waited for."""

    def patience(self, **words: float) -> Patience:
        return Patience(pause=self.append, first_pause_s=1.0, **{"tries": 3, "silence_s": 5.0} | words)


def ranges(behaviour: Behaviour) -> list[str | None]:
    return [headers.get("Range") for headers in behaviour.asked]


def test_a_file_arrives_with_progress(part: Path) -> None:
    told: list[tuple[int, int | None]] = []
    behaviour = Behaviour(content=CONTENT)
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, progress=lambda done, total: told.append((done, total)))
    assert part.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert behaviour.asked[0]["User-Agent"].startswith("workbench/")
    assert behaviour.asked[0]["Accept-Encoding"] == "identity"


def test_a_broken_connection_is_continued_where_it_broke(part: Path) -> None:
    pauses, behaviour = Pauses(), Behaviour(content=CONTENT, breaks=[HALF, 1000])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=False, patience=pauses.patience())
    assert part.read_bytes() == CONTENT
    assert ranges(behaviour) == [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert [headers.get("If-Range") for headers in behaviour.asked] == [None, '"v1"', '"v1"']
    assert pauses == [1.0, 1.0]


def test_a_part_of_yesterday_is_continued_today(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT, breaks=[HALF, 0, 0, 0])
    with serving(behaviour) as address:
        with pytest.raises(Unreachable, match="3 times in a row"):
            fetch(f"{address}/a", part, will_be_proven=False, patience=Pauses().patience())
        assert part.stat().st_size == HALF
        behaviour.breaks = []
        fetch(f"{address}/a", part, will_be_proven=False, patience=Pauses().patience())
    assert part.read_bytes() == CONTENT


def test_a_part_of_another_version_begins_anew(part: Path) -> None:
    pauses, behaviour = Pauses(), Behaviour(content=b"old" * 1000, breaks=[1500])
    with serving(behaviour) as address:
        with pytest.raises(Unreachable):
            fetch(f"{address}/a", part, will_be_proven=True, patience=pauses.patience(tries=1))
        behaviour.content, behaviour.etag = CONTENT, '"v2"'
        fetch(f"{address}/a", part, will_be_proven=True, patience=pauses.patience())
    assert part.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT, has_ranges=False, breaks=[HALF])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience())
    assert part.read_bytes() == CONTENT
    assert len(behaviour.asked) == 2


def test_a_server_that_never_gets_to_the_end_is_given_up(part: Path) -> None:
    """Without ranges every attempt begins anew: longer than the last one is not further than ever before."""
    behaviour = Behaviour(content=CONTENT, has_ranges=False, breaks=[HALF, 1000, 2000, 1000, 2000, 1000, 2000])
    with serving(behaviour) as address, pytest.raises(Unreachable, match="3 times in a row"):
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience())


def test_what_came_before_a_silence_is_kept(part: Path) -> None:
    """A thousand bytes, less than a block, and then silence: the next attempt asks for the rest."""
    behaviour = Behaviour(content=CONTENT, stalls=[1000])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience(silence_s=0.15))
    assert part.read_bytes() == CONTENT
    assert ranges(behaviour) == [None, "bytes=1000-"]


@pytest.mark.parametrize(("will_be_proven", "asked"), [(True, f"bytes={HALF}-"), (False, None)])
def test_without_strong_validator_only_a_checksum_allows_to_continue(
    part: Path, will_be_proven: bool, asked: str | None
) -> None:
    behaviour = Behaviour(content=CONTENT, etag='W/"v1"', breaks=[HALF])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=will_be_proven, patience=Pauses().patience())
    assert part.read_bytes() == CONTENT
    assert ranges(behaviour)[1] == asked
    assert behaviour.asked[1].get("If-Range") is None


def test_a_date_is_a_validator_too(part: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    behaviour = Behaviour(content=CONTENT, etag=None, last_modified=date, breaks=[HALF])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=False, patience=Pauses().patience())
    assert behaviour.asked[1]["If-Range"] == date
    assert part.read_bytes() == CONTENT


def test_a_range_that_begins_elsewhere_is_not_trusted(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT, breaks=[HALF], wrong_range=True)
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience(tries=4))
    assert part.read_bytes() == CONTENT


def test_a_part_that_is_all_there_is_complete_and_a_longer_one_begins_anew(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT)
    with serving(behaviour) as address:
        part.write_bytes(CONTENT)
        fetch(f"{address}/a", part, will_be_proven=True)
        assert len(behaviour.asked) == 1
        part.write_bytes(CONTENT + b"more")
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience())
    assert part.read_bytes() == CONTENT


def test_a_length_that_is_not_said_ends_with_the_connection(part: Path) -> None:
    with serving(Behaviour(content=CONTENT, says_length=False)) as address:
        fetch(f"{address}/a", part, will_be_proven=True)
    assert part.read_bytes() == CONTENT


def test_what_is_not_there_is_said_at_once(part: Path) -> None:
    pauses = Pauses()
    with serving(Behaviour(content=CONTENT, statuses=[404])) as address, pytest.raises(TraceError, match="404"):
        fetch(f"{address}/a", part, will_be_proven=True, patience=pauses.patience())
    assert pauses == []
    assert not part.exists()


def test_a_busy_server_is_waited_for_as_long_as_it_says(part: Path) -> None:
    pauses, behaviour = Pauses(), Behaviour(content=CONTENT, statuses=[503, 429], retry_after="7")
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, patience=pauses.patience())
    assert pauses == [7.0, 7.0]
    assert part.read_bytes() == CONTENT


def test_pauses_grow_up_to_the_longest() -> None:
    patience = Patience(first_pause_s=1.0, longest_pause_s=5.0)
    assert [patience.pause_after(failure) for failure in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]


def test_a_silent_server_is_not_waited_for_forever(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT, silence_s=[0.6])
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience(silence_s=0.15))
    assert part.read_bytes() == CONTENT
    assert len(behaviour.asked) == 2


def test_redirects_are_followed_but_never_to_an_unsafe_address(part: Path) -> None:
    behaviour = Behaviour(content=CONTENT, redirect="/to")
    with serving(behaviour) as address:
        fetch(f"{address}/from", part, will_be_proven=True)
        assert part.read_bytes() == CONTENT
        behaviour.redirect = "http://example.org/file"
        with pytest.raises(TraceError, match="only https"):
            fetch(f"{address}/from", part.with_name("b.part"), will_be_proven=True)


def test_only_safe_addresses_are_fetched(part: Path) -> None:
    refuse_unsafe("https://example.org/a")
    for url in ("http://example.org/a", "ftp://example.org/a", "data:,a", "a"):
        with pytest.raises(TraceError, match="only https"):
            fetch(url, part, will_be_proven=True)


def test_nobody_listening_is_unreachable(part: Path) -> None:
    with serving(Behaviour(content=CONTENT)) as address:
        pass
    with pytest.raises(Unreachable, match="refused, 2 times"):
        fetch(f"{address}/a", part, will_be_proven=True, patience=Pauses().patience(tries=2))


def test_an_unknown_name_is_said_without_waiting(part: Path) -> None:
    pauses = Pauses()
    with pytest.raises(Unreachable, match="name of the server is not known"):
        fetch("https://no-such-name.invalid/a", part, will_be_proven=True, patience=pauses.patience())
    assert pauses == []


def test_a_damaged_note_is_no_validator(part: Path) -> None:
    part.write_bytes(CONTENT[:HALF])
    note_of(part).write_text("[]")
    behaviour = Behaviour(content=CONTENT)
    with serving(behaviour) as address:
        fetch(f"{address}/a", part, will_be_proven=False)
    assert ranges(behaviour) == [None]
    assert part.read_bytes() == CONTENT
