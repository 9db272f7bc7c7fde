"""Thousands of scenarios side by side: the fluid simulator with one scenario per lane of a vector instruction.

For sweeps and fans, where a scenario must cost well under a thousandth of a second per pool and week. The equations are
those of the scalar simulator in single precision; what a threshold decides is decided by the same rules.

Carried out as in :mod:`workbench.simulation.fluid`: routing by preference with overflow, the queue of deferrable work
with its release, age and deadline, siloed fleets, scaling with whole replicas, cooldown, floor, stock of GPUs, starts
by kind, drain, plans at once, paced, and with the override. Over random scenarios GPU-hours agree within 1 %, KV cache
within 2 %, P95 within 5 %, and within 10 % where about one in twenty has to wait: tests hold it.

Different:

- what a replica runs when it is taken away counts as served at once;
- the deadline of deferrable work is judged by the queue where it stands, not by origin, and the age at which it is
  routed at once is that of the sweep's policy;
- latencies are kept as one lognormal per bin of the 95th percentile of minutes that are alike, an eighth of an octave
  wide, how widely a minute's spread about their mean and what else of them changes slowly is looked at every fourth
  minute, and the network's part of them is the mean of a pool's arrivals;
- who comes to a pool without a ready replica counts as never served, not as waiting for the next one;
- single precision: where a rule stands exactly on its threshold rounding may decide otherwise; with deferrable work
  and steps of a minute GPU-hours of fewer than two scenarios in a hundred then differ by more than one in a thousand.

Left out: back-pressure and mixed pools (refused), calibration, counts of scaling events, series over time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from workbench.domain import Fleet, Policy
from workbench.results import CapacityPlan
from workbench.simulation.loads import Laid, Span
from workbench.simulation.sweeps import Sweep
from workbench.simulation.sweeps.variations import Variation


def run_many(
    laid: Laid,
    *,
    fleet: Fleet,
    policy: Policy,
    variations: Sequence[Variation],
    span: Span,
    plan: CapacityPlan | None = None,
    expected: pl.DataFrame | None = None,
    by_pool: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Sweep:
    """Simulate a span once per variation, side by side, and return totals over it.

    Arguments as for :func:`workbench.simulation.run_many`, whose engine "lanes" this is. A scenario's numbers do not
    depend on how many others are run with it. Raises SimulationError on back-pressure or mixed pools, and on whatever
    describes no possible system.
    """
    from workbench.simulation import outset, setup
    from workbench.simulation.lanes import engine, preparing, reading
    from workbench.simulation.lanes.layout import WIDTH
    from workbench.simulation.sweeps import Totals, sweep_of
    from workbench.simulation.sweeps.sweeping import promises_of
    from workbench.simulation.sweeps.variations import checked, loads_of

    checked(variations, fleet=fleet, policy=policy)
    policies = [policy, *(variation.policy for variation in variations if variation.policy)]
    preparing.refuse_left_out(policies)
    pools = setup.pools_of(fleet, policy)
    x = setup.inputs_of(laid, fleet=fleet, policy=policy, pools=pools, span=span, plan=plan, expected=expected)
    base = outset.state_of(fleet, pools, span, cooldown_s=policy.cooldown_s)
    site = preparing.site_of(x, base.pools, policy, variations, span)
    slots, offered = preparing.slots_of(x, site, variations, policies, span), reading.offered_of(x, span)
    parts = []
    for first in range(0, len(variations), WIDTH):
        own = variations[first : first + WIDTH]
        loads, promises = loads_of(fleet, own), promises_of(x, fleet, own)
        block = preparing.block_of(x, site, slots, own, loads, fleet=fleet, policy=policy, base=base)
        engine.simulate(block, site, x, span.steps)
        parts.append(reading.totals_of(block, site, x, offered, span, promises, loads, len(own)))
        if progress is not None:
            progress((first + len(own)) / len(variations))
    totals = Totals(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return sweep_of(totals, fleet=fleet, pools=pools, variations=variations, span=span, by_pool=by_pool)
