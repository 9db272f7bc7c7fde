"""What a study that is under way has done so far: whole runs of strategies, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from workbench.studies.controlling import Controlled
from workbench.studies.saving import MANIFEST, plan_facts, read_plan, read_run, run_facts, write_run


class Drafts:
    """Runs that are done before the study is: an interrupted study goes on after the last of them.

    They are read again only by the code that wrote them: a change of any module of the workbench makes all anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stamp = folder / "code"
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != code_digest():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            stamp.write_text(code_digest(), encoding="utf-8")

    def has(self, key: str) -> bool:
        """Tell whether the run of a strategy is whole."""
        return (self.folder / key / MANIFEST).is_file()

    def read(self, key: str) -> Controlled:
        """Return the run of a strategy, and its plan."""
        folder = self.folder / key
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        plan = read_plan(folder, facts["plan"]) if facts["plan"] else None
        return Controlled(run=read_run(folder, key, facts["run"]), plan=plan)

    def keep(self, key: str, done: Controlled) -> None:
        """Write the run of a strategy under a temporary name, and rename it when it is whole."""
        with kept_whole(self.folder / key) as draft:
            write_run(done.run, done.plan, draft)
            facts = {"run": run_facts(done.run), "plan": plan_facts(done.plan) if done.plan else None}
            (draft / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")

    def remove(self) -> None:
        """Remove them: the study is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def kept_whole(folder: Path) -> Iterator[Path]:
    """Hand out an empty folder that takes the place of ``folder`` when all is written, or vanishes where it fails."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@cache
def code_digest() -> str:
    """Return a digest of the workbench's own modules and facts."""
    package = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted(file for ending in ("py", "toml", "csv") for file in package.rglob(f"*.{ending}")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
