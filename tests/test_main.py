"""workbench.__main__: the verbs under one name, each with help, and how a mistake ends."""

from __future__ import annotations

import pytest

from tests.commands.command_cases import call


def test_a_mistyped_command_or_option_names_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("stdy", monkeypatch=monkeypatch) == 2
    assert "Did you mean" in capsys.readouterr().err
    assert call("study", "show", "x", "--data", "y", monkeypatch=monkeypatch) == 2
    assert "No such option" in capsys.readouterr().err


def test_every_verb_has_help_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = [["quickstart"], ["ingest"], ["report"], ["lab"], ["app"]]
    verbs += [["traces", name] for name in ("list", "check", "remove")]
    verbs += [["study", name] for name in ("run", "list", "show", "compare")]
    verbs += [["profile", name] for name in ("fit", "list", "check")]
    for verb in verbs:
        assert call(*verb, "--help", monkeypatch=monkeypatch) == 0
        assert "Example: workbench" in " ".join(capsys.readouterr().out.split()), verb
