"""What is installed: pyproject.toml decides, requirements.lock pins it with hashes, environment.yml says it for conda.

The lock is read as pip reads it, and names no place that packages come from.
"""

from __future__ import annotations

import re
import tomllib
import zipfile
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import workbench

PYTHONS = ("3.11.0", "3.11.9", "3.12.8", "3.13.2")
PLATFORMS = (("linux", "Linux"), ("darwin", "Darwin"))
CONDA_NAMES = {"python-duckdb": "duckdb"}
CONDA_ONLY = {"python", "pip"}


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One line of the lock with its hashes."""

    name: str
    version: str
    marker: Marker | None
    hashes: int

    def holds(self, environment: dict[str, str]) -> bool:
        """Whether it is installed there."""
        return self.marker is None or self.marker.evaluate(environment)


def environments() -> list[dict[str, str]]:
    """The Pythons and platforms that the lock is for."""
    return [
        {
            "python_full_version": python,
            "python_version": python.rpartition(".")[0],
            "sys_platform": platform,
            "platform_system": system,
            "os_name": "posix",
            "platform_python_implementation": "CPython",
            "implementation_name": "cpython",
        }
        for python, (platform, system) in product(PYTHONS, PLATFORMS)
    ]


@pytest.fixture(scope="module")
def project(repo_root: Path) -> dict[str, Any]:
    return tomllib.loads((repo_root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def lock_text(repo_root: Path) -> str:
    return (repo_root / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def pins(lock_text: str) -> list[Pin]:
    lines = re.sub(r"(?m)^#.*\n", "", lock_text).replace("\\\n", " ").splitlines()
    pins = []
    for line in lines:
        stated, *hashes = line.split("--hash=sha256:")
        requirement = Requirement(stated)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line[:60]} is not pinned to one version"
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest.strip()) for digest in hashes)
        pins.append(
            Pin(
                name=canonicalize_name(requirement.name),
                version=specifier.version,
                marker=requirement.marker,
                hashes=len(hashes),
            )
        )
    return pins


@pytest.fixture(scope="module")
def conda(repo_root: Path) -> dict[str, Any]:
    environment: dict[str, Any] = yaml.safe_load((repo_root / "environment.yml").read_text())
    return environment


def ranges(stated: list[str]) -> dict[str, SpecifierSet]:
    """Requirements by name."""
    requirements = [Requirement(text) for text in stated]
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}


def conda_ranges(conda: dict[str, Any]) -> dict[str, SpecifierSet]:
    """The run-time libraries of the conda environment under the names of pyproject.toml."""
    split = [text.partition(" ") for text in conda["dependencies"] if isinstance(text, str)]
    return {CONDA_NAMES.get(name, name): SpecifierSet(wanted) for name, _, wanted in split}


def test_the_lock_names_no_place(lock_text: str) -> None:
    assert "://" not in lock_text
    assert not re.search(r"(?m)^\s*-(?!-hash=)", lock_text), "the lock has an option of pip in it"
    assert not re.search(r"[\w-]+\.(org|com|net|io|dev)\b", lock_text), "the lock names a host"


def test_every_pin_has_a_hash(pins: list[Pin]) -> None:
    assert len(pins) > 100
    assert [pin.name for pin in pins if not pin.hashes] == []


def test_a_package_that_stands_twice_is_told_apart_by_its_marker(pins: list[Pin]) -> None:
    both = [
        (first, second)
        for first, second in combinations(pins, 2)
        if first.name == second.name
        for environment in environments()
        if first.holds(environment) and second.holds(environment)
    ]
    assert both == []


@pytest.mark.parametrize("environment", environments(), ids=lambda e: f"{e['python_full_version']}-{e['sys_platform']}")
def test_the_lock_satisfies_every_range(pins: list[Pin], project: dict[str, Any], environment: dict[str, str]) -> None:
    locked = {pin.name: pin.version for pin in pins if pin.holds(environment)}
    wanted = ranges(project["project"]["dependencies"] + project["dependency-groups"]["test"])
    limits = ranges(project["tool"]["uv"]["constraint-dependencies"])
    wrong = {
        name: (locked.get(name), str(specifier))
        for name, specifier in (wanted | limits).items()
        if name not in locked or not specifier.contains(locked[name])
    }
    assert wrong == {}


def test_the_grammar_that_slows_every_process_is_left_out(pins: list[Pin]) -> None:
    assert {"rfc3987-syntax", "lark"} & {pin.name for pin in pins} == set()


def test_pulp_stays_below_4_everywhere(pins: list[Pin], project: dict[str, Any], conda: dict[str, Any]) -> None:
    assert "4" not in ranges(project["project"]["dependencies"])["pulp"]
    assert "4" not in conda_ranges(conda)["pulp"]
    assert {pin.version.split(".")[0] for pin in pins if pin.name == "pulp"} == {"3"}


def test_the_conda_environment_says_what_pyproject_says(project: dict[str, Any], conda: dict[str, Any]) -> None:
    stated = ranges(project["project"]["dependencies"]) | ranges(project["tool"]["uv"]["constraint-dependencies"])
    found = conda_ranges(conda)
    assert {name: found[name] for name in found.keys() - CONDA_ONLY} == stated
    assert found["python"] == SpecifierSet(project["project"]["requires-python"])


def test_the_conda_environment_installs_this_checkout_and_names_no_host(conda: dict[str, Any]) -> None:
    assert conda["dependencies"][-1] == {"pip": ["-e ."]}
    assert conda["channels"] == ["conda-forge", "nodefaults"]


def test_the_wheel_holds_the_catalog_and_the_notices(repo_root: Path, tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(repo_root)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(wheel).namelist())
    facts = {path.relative_to(repo_root).as_posix() for path in (repo_root / "workbench").rglob("*.toml")}
    assert facts <= names
    assert not {name for name in names if name.startswith("tests/")}
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_gate_and_the_hosted_runner_are_the_same(repo_root: Path) -> None:
    workflow = yaml.safe_load((repo_root / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert (repo_root / ".ci" / "run").stat().st_mode & 0o100
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == sorted({python.rpartition(".")[0] for python in PYTHONS})


def test_the_hooks_need_no_network(repo_root: Path) -> None:
    hooks = yaml.safe_load((repo_root / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}


def test_every_command_of_the_makefile_is_explained(repo_root: Path) -> None:
    makefile = (repo_root / "Makefile").read_text()
    phony = re.search(r"(?m)^\.PHONY: (.*)$", makefile)
    assert phony is not None
    assert set(re.findall(r"(?m)^(\w+):.*## \S", makefile)) == set(phony.group(1).split())


def test_the_licence_is_whole_and_the_changelog_knows_the_version(repo_root: Path) -> None:
    licence = (repo_root / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert workbench.__version__ in (repo_root / "CHANGELOG.md").read_text()
