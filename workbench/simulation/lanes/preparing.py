"""Lay a sweep out in blocks: what all scenarios share, and of each scenario its policy, load and start in its lane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import workbench.simulation.lanes.layout as row
from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.simulation import outset, setup, state
from workbench.simulation import rules as r
from workbench.simulation.fluid.replicas import DRAINED_AFTER
from workbench.simulation.lanes.deciding import ALMOST, BARELY
from workbench.simulation.lanes.latency import BINS
from workbench.simulation.lanes.layout import WIDTH, Block, Floats, Site
from workbench.simulation.lanes.lengths import POINTS_PER_OCTAVE
from workbench.simulation.loads import Span
from workbench.simulation.sweeps.sweeping import surprise_factors
from workbench.simulation.sweeps.variations import Variation, fleet_of

FACT_NAMES = (
    "base_s", "per_request_s", "per_token_s", "kv_room", "batch_cap", "square", "cube", "prompt_cross",
    "output_square", "cross", "dispersion",
)  # fmt: skip
CACHE_LINE = 64
RULES = np.dtype(
    [(name, type(value)) for name, value in r.rules_of(Policy(key="", label=""))._asdict().items()], align=True
)


def refuse_left_out(policies: Sequence[Policy]) -> None:
    """Refuse what lanes leave out and the scalar simulator does."""
    for policy in policies:
        if policy.scale_by != "load" or policy.silos > 2:
            raise SimulationError(
                f"policy {policy.key} scales by {policy.scale_by.replace('_', '-')} or has mixed pools, which "
                "the lanes leave out; run this sweep on engine 'fluid'."
            )


def _facts(x: state.Inputs, pools: state.Pools) -> NDArray[np.float32]:
    """Return what is the same in all scenarios of every pool, as the layout numbers it."""
    shown = (x.noise_seen, np.full(pools.size, x.demand_steps * x.step_s))
    return np.stack([*(pools[name] for name in FACT_NAMES), *shown], axis=1).astype(np.float32)


def site_of(x: state.Inputs, pools: state.Pools, policy: Policy, variations: Sequence[Variation], span: Span) -> Site:
    """Return what all blocks of a sweep read beside the inputs."""
    kinds = int(pools["gpu"].max()) + 1
    same_place = (pools["region"][:, None] == pools["region"]) & (pools["gpu"][:, None] == pools["gpu"])
    return Site(
        region=np.array(pools["region"]),
        model=np.array(pools["model"]),
        gpus=np.array(pools["gpus"]),
        place=np.array(pools["region"] * kinds + pools["gpu"]),
        group=_members(pools["group"][:, None] == pools["group"]),
        twins=_members(same_place & (pools["model"][:, None] == pools["model"])),
        mates=_members(same_place),
        facts=_facts(x, pools),
        grid=x.prompt_grid.astype(np.float32),
        segments=_segments(x, pools, variations),
        requests=_by_cell(x.rps * x.step_s),
        prompts=_by_cell(x.prompt_mean),
        outputs=_by_cell(x.output_mean),
        waiting_rps=_waiting(x),
        waits=x.deferrable * (0 if x.siloed else 1),
        interactive=np.flatnonzero(x.deferrable == 0),
        age_steps=int(min(policy.deferrable_ages_after_s / span.step_s, 1e15)),
        hour_steps=int(3600.0 / span.step_s),
        follow_plan=r.rules_of(policy).follow_plan,
    )


def _members(related: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the places of the true values of each row, padded with -1."""
    table = np.full((len(related), int(related.sum(axis=1).max())), -1, dtype=np.int64)
    for members, relation in zip(table, related, strict=True):
        found = np.flatnonzero(relation)
        members[: found.size] = found
    return table


def _by_cell(of: Floats) -> NDArray[np.float32]:
    """Return numbers by time, origin, model and tier with a row per time."""
    return of.reshape(len(of), -1).astype(np.float32)


def _waiting(x: state.Inputs) -> Floats:
    """Return the deferrable rates by the region where their queue stands: home, or the nearest that hosts the model.

    A tier's lie together: a step reads three windows of them, far apart.
    """
    windows, regions, models, tiers = x.rps.shape
    waiting = np.zeros((tiers, windows, regions, models))
    for k in np.flatnonzero(x.deferrable):
        for (h, m), host in np.ndenumerate(x.hosts):
            waiting[k, :, host if host >= 0 else h, m] += x.rps[:, h, m, k]
    return waiting.reshape(tiers, windows, -1)


def _segments(x: state.Inputs, pools: state.Pools, variations: Sequence[Variation]) -> NDArray[np.int64]:
    """Return the segments of the prompt table that each pool's prompts may lie in, first and last."""
    times = [variation.input_tokens for variation in variations]
    means = [x.prompt_mean[:, :, model] for model in pools["model"]]
    shortest = np.array([min(mean.min(), own) for mean, own in zip(means, pools["prompt"], strict=True)]) * min(times)
    longest = np.array([max(mean.max(), own) for mean, own in zip(means, pools["prompt"], strict=True)]) * max(times)
    lengths = np.maximum(np.stack([shortest * (1 - 1e-4), longest * (1 + 1e-4)], axis=1), 1.0)
    return np.clip((np.log2(lengths) * POINTS_PER_OCTAVE).astype(np.int64), 0, state.PROMPT_GRID - 2)


def slots_of(
    x: state.Inputs, site: Site, variations: Sequence[Variation], policies: Sequence[Policy], span: Span
) -> int:
    """Return how many steps ahead a start or a drain may end; what ends after the span need not be known."""
    delays = [delay for policy in policies for delay in (policy.reclaim_s, policy.swap_s, policy.remote_s)]
    output = max(variation.output_tokens for variation in variations) * float(x.output_mean.max())
    prompt = max(variation.input_tokens for variation in variations) * float(x.prompt_mean.max())
    facts = site.facts.astype(np.float64)
    held = facts[:, row.CROSS] * prompt + facts[:, row.OUTPUT_SQUARE] * output
    slope = facts[:, row.PER_REQUEST_S] + facts[:, row.PER_TOKEN_S] * held
    slowest = facts[:, row.BASE_S] + facts[:, row.BATCH_CAP] * slope
    drain = DRAINED_AFTER * float((0.5 * facts[:, row.OUTPUT_SQUARE] * output * slowest).max())
    longest = max([drain, *(delay for delay in delays if delay < span.steps * span.step_s)])
    return min(math.ceil(longest / span.step_s), span.steps) + 2


def rows(count: int) -> NDArray[np.float32]:
    """Return empty rows that begin where a cache line does: a vector that lies across two of them costs twice."""
    raw = np.zeros((count + 1) * WIDTH, dtype=np.float32)
    first = -raw.ctypes.data % CACHE_LINE // raw.itemsize
    return raw[first : first + count * WIDTH]


def block_of(
    x: state.Inputs,
    site: Site,
    slots: int,
    variations: Sequence[Variation],
    loads: Floats,
    *,
    fleet: Fleet,
    policy: Policy,
    base: state.State,
) -> Block:
    """Return one block of scenarios at its start, with their factors on the load by model and tier.

    Free lanes repeat the last scenario.
    """
    block = _empty(x, site, slots, base.free_gpus.size)
    padded = [*variations, *[variations[-1]] * (WIDTH - len(variations))]
    policies = [variation.policy or policy for variation in padded]
    block.gap.reshape(-1, WIDTH)[:] = surprise_factors(x, fleet, padded).T
    repeated = np.minimum(np.arange(WIDTH), len(variations) - 1)
    block.load.reshape(-1, WIDTH)[:] = loads[repeated].reshape(WIDTH, -1).T
    _write_policies(block, policies, padded, x.step_s)
    alike: dict[tuple[int | None, int], list[int]] = {}
    for lane, (variation, decided) in enumerate(zip(padded, policies, strict=True)):
        alike.setdefault((variation.initial_replicas, decided.floor_replicas), []).append(lane)
    for lanes in alike.values():
        own = setup.pools_of(fleet_of(fleet, padded[lanes[0]]), policies[lanes[0]])
        _write_start(block, lanes, own, site, base)
    return block


def _empty(x: state.Inputs, site: Site, slots: int, places: int) -> Block:
    """Return a block without anything in it."""
    _, regions, models, tiers = x.rps.shape
    pools = site.gpus.size
    interactive = tiers - int(x.deferrable.sum())
    work, scratch = rows(row.WORK_ROWS), rows(row.SCRATCH_ROWS)
    return Block(
        pools=rows(pools * row.POOL_ROWS),
        tiers=rows(pools * tiers * row.TIER_ROWS),
        work=work,
        work_pairs=work.view(np.int64),
        scenario=rows(row.SCENARIO_ROWS),
        scratch=scratch,
        scratch_pairs=scratch.view(np.int64),
        asked=rows(tiers),
        some=np.zeros(tiers, dtype=np.int64),
        load=rows(models * tiers),
        gap=rows(models),
        queue=rows(regions * models * tiers),
        judged=rows(2 * tiers),
        free=rows(places),
        lent=rows(places),
        rules=np.zeros(WIDTH, dtype=RULES).view(np.recarray),
        due=np.zeros((pools, slots, WIDTH, 3), dtype=np.int16),
        any_due=np.zeros((slots, pools), dtype=np.int64),
        clock=np.zeros(2, dtype=np.int64),
        stirred=np.ones(pools, dtype=np.int64),
        young=np.zeros((tiers, regions * models)),
        not_due=np.zeros((tiers, regions * models)),
        sums=np.zeros((pools, row.SUM_ROWS, WIDTH)),
        bad=np.zeros((tiers, WIDTH)),
        deadlines=np.zeros((2, tiers, WIDTH)),
        counted=np.zeros(WIDTH * BINS * (interactive + 3)),
    )


def _odds(limit: float) -> float:
    return limit / max(1.0 - limit, 1e-9)


def _write_policies(block: Block, policies: Sequence[Policy], variations: Sequence[Variation], step_s: float) -> None:
    """Write every scenario's rules, thresholds and factors on the lengths into its lane."""
    rules = [r.rules_of(policy) for policy in policies]
    block.rules[:] = np.array([tuple(each) for each in rules], dtype=RULES)
    values: dict[row.Place, list[float]] = {
        row.ROUTE_BELOW: [each.route_below for each in rules],
        row.ROUTE_ODDS: [_odds(each.route_below) for each in rules],
        row.RELEASE_TWO: [each.release_two_below for each in rules],
        row.RELEASE_ONE: [each.release_one_below for each in rules],
        row.RELEASE_ODDS: [_odds(each.release_one_below) for each in rules],
        row.ALMOST_OUT: [each.out_above * float(ALMOST) for each in rules],
        row.BARELY_IN: [each.in_below * float(BARELY) for each in rules],
        row.COOLDOWN_STEPS: [float(np.ceil(each.cooldown_s / step_s - 1e-9)) for each in rules],
        row.FLOOR: [each.floor for each in rules],
        row.KV_ONLY: [each.kv_cache_only for each in rules],
        row.PROMPT_TIMES: [variation.input_tokens for variation in variations],
        row.OUTPUT_TIMES: [variation.output_tokens for variation in variations],
    }
    for place, value in values.items():
        block.scenario[int(place) : int(place) + WIDTH] = np.array(value)
    pools = block.pools.reshape(-1, row.POOL_ROWS, WIDTH)
    pools[:, int(row.COOL_FROM) // WIDTH] = math.ceil(outset.FIRST_SCALING_S / step_s)
    pools[:, int(row.PROMPT) // WIDTH] = np.array(values[row.PROMPT_TIMES])
    pools[:, int(row.OUTPUT) // WIDTH] = np.array(values[row.OUTPUT_TIMES])


def _write_start(block: Block, lanes: list[int], own: Sequence[setup.Pool], site: Site, base: state.State) -> None:
    """Write replicas, lengths and stock at the start into the lanes of scenarios that start alike."""
    pools, records = block.pools.reshape(-1, row.POOL_ROWS, WIDTH), base.pools
    gpus, places = site.gpus.astype(np.float64), block.free.size // WIDTH
    ready, lent = np.array([pool.ready for pool in own]), np.array([pool.lent for pool in own]) * gpus
    more = (records["ready"] - ready) * gpus + records["lent_gpus"] - lent
    free = base.free_gpus.ravel() + np.bincount(site.place, weights=more, minlength=places)
    pools[:, int(row.READY) // WIDTH, lanes] = ready[:, None]
    pools[:, int(row.LENT) // WIDTH, lanes] = lent[:, None]
    pools[:, int(row.PROMPT) // WIDTH, lanes] *= records["prompt"].astype(np.float32)[:, None]
    pools[:, int(row.OUTPUT) // WIDTH, lanes] *= records["output"].astype(np.float32)[:, None]
    pools[:, int(row.ITERATION) // WIDTH, lanes] = records["base_s"][:, None]
    block.lent.reshape(-1, WIDTH)[:, lanes] = np.bincount(site.place, weights=lent, minlength=places)[:, None]
    block.free.reshape(-1, WIDTH)[:, lanes] = free[:, None]
