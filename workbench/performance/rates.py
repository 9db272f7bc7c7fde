"""What each replica of a fleet is worth to the planner, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from workbench.domain import Replica, TokenMix
from workbench.errors import ScenarioError, nearest
from workbench.performance.steady import PLANNING_SIGNAL_FRACTION, sustained
from workbench.tables import REPLICA_RATES


def rates(
    replicas: Iterable[Replica],
    mixes: Mapping[str, TokenMix],
    *,
    signal_fraction: float = PLANNING_SIGNAL_FRACTION,
    signal: str = "largest",
) -> pl.DataFrame:
    """Return what each replica sustains as ``REPLICA_RATES``: one row per model and GPU kind.

    ``mixes`` holds the token mix by model. The prompt rate is the programme's theta (sageserve.md section 6.1), under
    the replica's prefill chunk where it has one.

    Raises ScenarioError for a model without a token mix.
    """
    return REPLICA_RATES.conform(
        pl.DataFrame(
            [_row(kind, _mix_of(kind, mixes), signal_fraction, signal) for kind in replicas],
            schema=REPLICA_RATES.schema,
        )
    )


def _row(kind: Replica, mix: TokenMix, signal_fraction: float, signal: str) -> dict[str, object]:
    load = sustained(kind, mix, signal_fraction=signal_fraction, signal=signal)
    return {
        "model": kind.model,
        "gpu": kind.gpu,
        "gpus_per_replica": kind.gpus,
        "rps": load.rps,
        "input_tps": load.rps * mix.input_tokens,
        "output_tps": load.rps * mix.output_tokens,
        "signal_fraction": load.signal_fraction,
        "binding": load.binding,
    }


def _mix_of(kind: Replica, mixes: Mapping[str, TokenMix]) -> TokenMix:
    if kind.model not in mixes:
        raise ScenarioError(f"rates: model {kind.model} has no token mix; {nearest(kind.model, mixes)}.")
    return mixes[kind.model]
