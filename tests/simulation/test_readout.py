"""workbench.simulation.readout: the frames conform, say nothing where nothing is known, and sum what they should."""

from __future__ import annotations

import polars as pl
import pytest

from tests.simulation.fluid.test_fluid import REACTIVE
from tests.simulation.simulation_cases import BATCH, START, constant, fleet
from workbench import simulation
from workbench.tables import SCALING, SIM_POOLS, SIM_WINDOWS, TTFT_HISTOGRAM


def test_frames_conform_and_leave_percentiles_out_where_nothing_arrives() -> None:
    simulated = simulation.run(constant(1.0, 1.0), fleet=fleet(lent=2), policy=REACTIVE, start=START, hours=1.0)
    for frame, table in (
        (simulated.windows, SIM_WINDOWS),
        (simulated.pools, SIM_POOLS),
        (simulated.ttft, TTFT_HISTOGRAM),
        (simulated.scaling, SCALING),
    ):
        assert table.conform(frame).equals(frame)
    quiet = simulated.windows.filter(pl.col("tier") == BATCH)
    assert quiet.get_column("ttft_p95_s").null_count() == quiet.height
    assert quiet.get_column("slo_attainment_fraction").null_count() == quiet.height
    assert not quiet.get_column("is_saturated").any()


def test_a_last_window_that_is_cut_short_counts_only_its_own_steps() -> None:
    simulated = simulation.run(
        constant(1.0, 1.0), fleet=fleet(ready=2), policy=REACTIVE, start=START, hours=0.7, window_s=1800.0
    )
    held = simulated.pools.get_column("gpu_hours").to_list()
    assert held == pytest.approx([2 * 8 * 0.5, 2 * 8 * 0.2])
    assert simulated.pools.get_column("ready").to_list() == [2.0, 2.0]
