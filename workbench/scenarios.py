"""Read a scenario from TOML: the only reader of settings. Unknown keys are refused with the nearest one named.

Every key has a default, so the smallest scenario is ``trace = "NAME"``. Sections group the keys as people think of
them; ``KEYS`` is the whole grammar. Strategies are named (``strategies = ["reactive", "lt_ua"]``, rows of the
catalog); ``[policy]`` changes thresholds for all of them and ``[policy.NAME]`` for one.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from workbench.domain import Policy, RiskPolicy, Scenario
from workbench.errors import ScenarioError, nearest

DEFAULT_STRATEGIES = ("siloed", "reactive", "lt_i", "lt_ua")
#: A Saturday, so that the last day of the embedded week is a Friday: of the weekdays the one nearest to their mean.
QUICKSTART_START = datetime(2025, 7, 12)

#: Section and key of the file -> field of the scenario.
KEYS: Mapping[str, Mapping[str, str]] = {
    "": {
        name: name
        for name in (
            "name",
            "title",
            "trace",
            "store",
            "models",
            "regions",
            "gpus",
            "seed",
            "baseline",
            "engine",
            "scheduler",
        )
    },
    "span": {name: name for name in ("as_of", "simulate_hours", "warmup_hours", "history_days")},
    "demand": {
        "scale": "demand_scale",
        "window_s": "demand_window_s",
        "interactive_per_deferrable": "interactive_per_deferrable",
        "burst_copies": "burst_copies",
    },
    "forecast": {
        "method": "forecast_method",
        "window_s": "forecast_window_s",
        "quantiles": "quantiles",
        "bias_fraction": "forecast_bias_fraction",
        "error_fraction": "forecast_error_fraction",
    },
    "plan": {
        "epsilon_fraction": "epsilon_fraction",
        "solver": "solver",
        "gap_fraction": "solver_gap_fraction",
        "time_limit_s": "solver_time_limit_s",
        "replan": "replan",
    },
    "fleet": {
        name: name
        for name in ("initial_replicas_per_pool", "stock_gpus_per_region", "usd_per_vm_hour", "provider_region")
    },
}
RISK_KEYS = tuple(field.name for field in dataclasses.fields(RiskPolicy))
POLICY_KEYS = tuple(field.name for field in dataclasses.fields(Policy) if field.name != "key")
TUPLES = ("models", "regions", "gpus", "quantiles")


def strategies() -> dict[str, dict[str, Any]]:
    """Return the named strategies of the catalog, as keyword arguments of a policy."""
    return tomllib.loads(files("workbench.catalog").joinpath("strategies.toml").read_text(encoding="utf-8"))


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario file; ``overrides`` are dotted keys such as ``{"demand.scale": 2}``.

    Raises ScenarioError naming file and key.
    """
    return parse(read(path), overrides=overrides, source=str(path))


def read(path: Path) -> dict[str, Any]:
    """Return the content of a scenario file, named after it unless it names itself; :func:`parse` checks it.

    Raises ScenarioError where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ScenarioError(f"scenario file {path} does not exist; give the path of a .toml file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"scenario file {path} cannot be read ({error}).") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"scenario file {path} is not TOML: {error}.") from error
    content.setdefault("name", path.stem)
    return content


def parse(content: Mapping[str, Any], *, overrides: Mapping[str, Any] | None = None, source: str) -> Scenario:
    """Turn the content of a scenario file into a scenario; ``source`` names it in errors."""
    content = with_overrides(content, overrides or {})
    known = {*KEYS[""], *(section for section in KEYS if section), "risk", "policy", "strategies"}
    _refuse_unknown(content, known, source, "")
    values: dict[str, Any] = {}
    for section, keys in KEYS.items():
        block = content if not section else content.get(section, {})
        if not isinstance(block, Mapping):
            raise ScenarioError(f"{source}: [{section}] must be a section, found {block!r}.")
        if section:
            _refuse_unknown(block, keys, source, f"{section}.")
        values |= {field: block[key] for key, field in keys.items() if key in block}
    for name in TUPLES:
        if name in values:
            values[name] = tuple(values[name]) if isinstance(values[name], list) else (values[name],)
    if "trace" not in values:
        raise ScenarioError(f'{source}: trace is missing; name one with trace = "NAME" (workbench traces list).')
    risk, policy = content.get("risk", {}), content.get("policy", {})
    for section, block in (("risk", risk), ("policy", policy)):
        if not isinstance(block, Mapping):
            raise ScenarioError(f"{source}: [{section}] must be a section, found {block!r}.")
    _refuse_unknown(risk, RISK_KEYS, source, "risk.")
    values["as_of"] = _instant(values.get("as_of"), source)
    values.setdefault("name", values["trace"])
    values.setdefault("title", values["name"].replace("_", " "))
    values.setdefault("gpus", ("h100_80gb",))
    try:
        values["strategies"] = _policies(content, policy, source)
        values.setdefault("baseline", _baseline(values["strategies"]))
        return Scenario(risk=RiskPolicy(**risk), **values)
    except (TypeError, AttributeError) as error:
        raise ScenarioError(
            f"{source}: a value has the wrong type ({error}); write numbers without quotes, texts with them, and lists "
            "in brackets, as data/scenarios/quickstart.toml does."
        ) from error


def as_json(scenario: Scenario) -> str:
    """Return the scenario as canonical JSON, for manifests and for telling two scenarios apart.

    Where its store lies is left out: a study of the same trace is the same study on any machine.
    """
    content = {key: value for key, value in dataclasses.asdict(scenario).items() if key != "store"}
    return json.dumps(content, default=str, sort_keys=True, ensure_ascii=False)


def _baseline(policies: tuple[Policy, ...]) -> str:
    keys = [policy.key for policy in policies]
    return "reactive" if "reactive" in keys or not keys else keys[0]


def _instant(value: Any, source: str) -> datetime | None:
    if value is None or (isinstance(value, datetime) and value.tzinfo is None):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ScenarioError(
            f"{source}: span.as_of must be an instant such as 2025-07-15T00:00:00, got {value!r}."
        ) from error
    if parsed.tzinfo is not None:
        raise ScenarioError(f"{source}: span.as_of must be naive UTC, got {value!r}; convert it and drop the zone.")
    return parsed


def _policies(content: Mapping[str, Any], changes: Mapping[str, Any], source: str) -> tuple[Policy, ...]:
    presets, names = strategies(), content.get("strategies", list(DEFAULT_STRATEGIES))
    names = [names] if isinstance(names, str) else names
    common = {key: value for key, value in changes.items() if not isinstance(value, Mapping)}
    own = {key: value for key, value in changes.items() if isinstance(value, Mapping)}
    _refuse_unknown(common, POLICY_KEYS, source, "policy.")
    for name, block in own.items():
        _refuse_unknown(block, POLICY_KEYS, source, f"policy.{name}.")
    for name in (*names, *own):
        if name not in presets and name not in own:
            raise ScenarioError(f"{source}: strategy {name!r} is not known; {nearest(name, presets)}.")
    unused = [name for name in own if name not in names]
    if unused:
        raise ScenarioError(f"{source}: [policy.{unused[0]}] changes a strategy that is not in strategies {names}.")
    return tuple(
        Policy(key=name, **{"label": name, **presets.get(name, {}), **common, **own.get(name, {})}) for name in names
    )


def with_overrides(content: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with dotted keys set; the input is left as it is."""
    result = json.loads(json.dumps(content, default=str))
    for dotted, value in overrides.items():
        *path, last = dotted.split(".")
        sections = (*(section for section in KEYS if section), "risk", "policy")
        if path and path[0] not in sections:
            raise ScenarioError(f"--set {dotted}: {path[0]} is no section; {nearest(path[0], sections)}.")
        block = result
        for part in path:
            block = block.setdefault(part, {})
            if not isinstance(block, dict):
                raise ScenarioError(f"--set {dotted}: {part} is a value, no section.")
        block[last] = value
    return dict(result)


def _refuse_unknown(block: Mapping[str, Any], known: Any, source: str, prefix: str) -> None:
    unknown = [key for key in block if key not in known]
    if unknown:
        listing = "; ".join(f"{prefix}{key}: {_meant(key, known, prefix)}" for key in unknown)
        raise ScenarioError(f"{source}: unknown key {listing}.")


def _meant(key: str, known: Any, prefix: str) -> str:
    """Say which key was meant: one of another section when it stands there, else the nearest of this one."""
    homes = {section: tuple(keys) for section, keys in KEYS.items()} | {"risk": RISK_KEYS, "policy": POLICY_KEYS}
    elsewhere = [f"{section}.{key}" for section, keys in homes.items() if section and key in keys]
    return f"did you mean {elsewhere[0]}?" if elsewhere and not prefix else nearest(key, known)


def quickstart(*, trace: str, requests: int) -> dict[str, Any]:
    """Return the content of the embedded default: a week taken as a sample of a service of ten million requests."""
    return {
        "name": "quickstart",
        "title": "A synthetic week: four models, three regions, three tiers",
        "trace": trace,
        "demand": {"scale": 10_000_000 / requests},
    }
