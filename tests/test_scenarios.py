"""workbench.scenarios: what a file may say, what is refused, and that the shipped scenarios are read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from workbench import scenarios
from workbench.domain import Scenario
from workbench.errors import ScenarioError


def parse(content: dict[str, object], **overrides: object) -> Scenario:
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return scenarios.parse({"trace": "t"} | content, overrides=dotted, source="x.toml")


def test_a_trace_is_all_a_scenario_needs() -> None:
    scenario = parse({})
    assert (scenario.name, scenario.trace, scenario.baseline) == ("t", "t", "reactive")
    assert [policy.key for policy in scenario.strategies] == ["siloed", "reactive", "lt_i", "lt_ua"]
    assert scenario.gpus == ("h100_80gb",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"horizn": 3}, "unknown key horizn"),
        ({"solver": "cbc"}, "did you mean plan.solver"),
        ({"quantile": 0.9}, "did you mean risk.quantile"),
        ({"demand": {"scal": 2}}, r"demand\.scal: did you mean 'scale'"),
        ({"risk": {"quantle": 0.9}}, r"risk\.quantle: did you mean 'quantile'"),
        ({"policy": {"cooldwn_s": 1}}, "did you mean 'cooldown_s'"),
        ({"policy": {"reactive": {"floor": 1}}}, "did you mean 'floor_replicas'"),
        ({"strategies": ["reactiv"]}, "did you mean 'reactive'"),
        ({"policy": {"lt_u": {"cooldown_s": 1.0}}}, "not in strategies"),
        ({"demand": 3}, "must be a section"),
        ({"span": {"as_of": "yesterday"}}, "must be an instant"),
        ({"span": {"as_of": "2025-07-15T00:00:00+02:00"}}, "must be naive UTC"),
        ({"risk": {"quantile": 0.42}}, r"risk\.quantile 0\.42 must be among forecast\.quantiles"),
        ({"risk": {"quantile": 1.5}}, "must lie between 0 and 1"),
        ({"demand": {"scale": 0.0}}, "demand_scale must be positive"),
        ({"demand": {"scale": "much"}}, "wrong type"),
        ({"baseline": "siloed", "strategies": ["reactive"]}, "baseline siloed is none of"),
        ({"strategies": []}, "strategies must not be empty"),
        ({"policy": {"cooldown_s": "15"}}, "wrong type"),
        ({"policy": 3}, "must be a section"),
        ({"risk": 3}, "must be a section"),
        ({"risk": {"quantile": "high"}}, "wrong type"),
        ({"policy": {"floor_replicas": 2.5}}, "floor_replicas must be a whole number"),
        ({"policy": {"siloed": "no"}}, "siloed must be true or false"),
        ({"policy": {"lt_i": {"siloed": True}}}, "follows no plan"),
        ({"forecast": {"quantiles": [0.7, 0.9]}}, "must hold 0.5"),
        ({"forecast": {"quantiles": [0.5, 0.7, 2.0]}}, "must lie between 0 and 1"),
        ({"span": {"warmup_hours": 0.5}}, "warmup_hours must be whole hours"),
        ({"demand": {"window_s": 0}}, "demand_window_s must be positive"),
        ({"fleet": {"stock_gpus_per_region": 0}}, "stock_gpus_per_region must be positive"),
        ({"fleet": {"initial_replicas_per_pool": -1}}, "must not be negative"),
        ({"fleet": {"usd_per_vm_hour": {"azure_nd96isr_h100_v5": -4.0}}}, "prices must be positive"),
        ({"name": "a/b"}, "name may hold"),
        ({"plan": {"solver": "gurobi"}}, "solver must be one of"),
    ],
)
def test_a_bad_setting_is_refused_with_what_to_do(content: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        parse(content)


def test_a_file_without_trace_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="does not exist"):
        scenarios.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("trace = ", encoding="utf-8")
    with pytest.raises(ScenarioError, match="is not TOML"):
        scenarios.load(tmp_path / "bad.toml")
    (tmp_path / "empty.toml").write_text("seed = 3", encoding="utf-8")
    with pytest.raises(ScenarioError, match="trace is missing"):
        scenarios.load(tmp_path / "empty.toml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        scenarios.load(tmp_path)


def test_overrides_reach_into_sections_and_leave_the_rest() -> None:
    scenario = parse({"demand": {"scale": 2.0}}, demand__window_s=600.0, risk__quantile=0.9, seed=3)
    assert (scenario.demand_scale, scenario.demand_window_s, scenario.risk.quantile, scenario.seed) == (2, 600, 0.9, 3)
    with pytest.raises(ScenarioError, match="no section"):
        parse({}, seed__x=1)


def test_thresholds_change_for_all_strategies_or_for_one() -> None:
    scenario = parse({"policy": {"cooldown_s": 30.0, "lt_ua": {"override_out_ratio": 3.0}}})
    by_key = {policy.key: policy for policy in scenario.strategies}
    assert {policy.cooldown_s for policy in scenario.strategies} == {30.0}
    assert (by_key["lt_ua"].override_out_ratio, by_key["lt_i"].override_out_ratio) == (3.0, 5.0)


def test_a_lone_strategy_needs_no_list() -> None:
    assert [policy.key for policy in parse({"strategies": "reactive"}).strategies] == ["reactive"]


def test_a_new_strategy_is_a_block_of_its_own() -> None:
    scenario = parse({"strategies": ["reactive", "eager"], "policy": {"eager": {"scale_out_above_fraction": 0.5}}})
    assert scenario.strategies[1].label == "eager"
    assert scenario.strategies[1].scale_out_above_fraction == 0.5


def test_instants_are_read_as_dates_or_times() -> None:
    assert parse({"span": {"as_of": datetime(2025, 7, 15, 6)}}).as_of == datetime(2025, 7, 15, 6)
    assert parse({"span": {"as_of": "2025-07-15"}}).as_of == datetime(2025, 7, 15)


def test_canonical_json_tells_scenarios_apart() -> None:
    assert scenarios.as_json(parse({})) == scenarios.as_json(parse({}))
    assert scenarios.as_json(parse({})) != scenarios.as_json(parse({"seed": 8}))


def test_every_shipped_scenario_is_read(repo_root: Path) -> None:
    files = sorted((repo_root / "data" / "scenarios").glob("*.toml"))
    assert len(files) >= 5
    for file in files:
        assert scenarios.load(file).trace


def test_the_annotated_quickstart_file_says_what_the_command_does(repo_root: Path) -> None:
    written = scenarios.load(repo_root / "data" / "scenarios" / "quickstart.toml", {"span.simulate_hours": None})
    embedded = scenarios.parse(
        scenarios.quickstart(trace="quickstart_week_1000000_7", requests=1_000_000), source="quickstart"
    )
    assert written == embedded
