"""What was expected beside what comes: the override of a paced plan compares the two, and so does staffing by arrivals.

Compared is the interactive input of the last minute, or of the time over which a policy takes its mean, so that at
every step only what came before it counts.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.simulation.loads import Laid, Span, windows_per_mean
from workbench.tables import INSTANT
from workbench.units import SECONDS_PER_MINUTE

Floats = NDArray[np.float64]


class Surprise:
    """Observed over expected interactive input tokens per second, filled in step by step as both become known.

    ``ratio`` (steps, regions, models) stays 1 where nothing is expected and nothing comes, and where the expectation
    says nothing; where nothing is ever expected it has one step, which holds for all. Engines keep a view of it. The
    observed is a mean over the last ``over_s``, the highest such mean of the last ``highest_s``.
    """

    def __init__(
        self,
        fleet: Fleet,
        span: Span,
        *,
        is_expecting: bool,
        over_s: float = SECONDS_PER_MINUTE,
        highest_s: float = 0.0,
    ) -> None:
        shape = (span.steps if is_expecting else 1, len(fleet.regions), len(fleet.models))
        self.ratio = np.ones(shape)
        self._fleet, self._span, self._over_s, self._highest_s = fleet, span, over_s, highest_s
        self._observed_tokens = np.zeros(shape)
        self._expected_tps = np.full(shape, np.nan)

    @property
    def is_expecting(self) -> bool:
        """Whether anything is ever expected: else nothing surprises and nothing is kept."""
        return self.ratio.shape[0] == self._span.steps

    def expect(self, expected: pl.DataFrame, first: int, last: int) -> None:
        """Expect for the steps [first, last) what ``expected`` says (see :func:`expectation_of`)."""
        self._expected_tps[first:last] = expectation_of(expected, self._fleet, self._span, first=first, last=last)

    def observe(
        self, step: NDArray[np.int64], region: NDArray[np.int16], model: NDArray[np.int16], tokens: Floats
    ) -> None:
        """Take note of the prompts of interactive requests by the step that they come in."""
        if self.is_expecting:
            np.add.at(self._observed_tokens, (step, region, model), tokens)

    def observe_all(self, laid: Laid) -> None:
        """Take note of a load that is laid out over the whole span."""
        if not self.is_expecting:
            return
        interactive = [i for i, tier in enumerate(self._fleet.tiers) if not tier.deferrable]
        per_window = int(self._span.demand_window_s / self._span.step_s)
        block = np.arange(laid.rps.shape[0]) // windows_per_mean(self._span.demand_window_s)
        input_tps = (laid.rps * laid.prompt_mean[block])[..., interactive].sum(axis=-1)
        self._observed_tokens[:] = np.repeat(input_tps, per_window, axis=0)[: self._span.steps] * self._span.step_s

    def tell(self, first: int, last: int) -> None:
        """Fill in the ratio of the steps [first, last), in which all that comes is known."""
        if not self.is_expecting or first >= last:
            return
        looks = max(int(self._highest_s / self._span.step_s), 1)
        seen = self._seen_tps(max(first + 1 - looks, 0), last)
        if looks > 1:
            before = np.zeros((looks - 1 - min(looks - 1, first), *seen.shape[1:]))
            seen = sliding_window_view(np.concatenate([before, seen]), looks, axis=0).max(axis=-1)
        wanted = self._expected_tps[first:last]
        is_known = ~np.isnan(wanted) & ((wanted > 0) | (seen > 0))
        self.ratio[first:last] = np.where(is_known, seen / np.maximum(wanted, 1e-9), 1.0)

    def _seen_tps(self, first: int, last: int) -> Floats:
        """Return the mean rate observed by each of the steps [first, last)."""
        steps = max(int(self._over_s / self._span.step_s), 1)
        begin = max(first + 1 - steps, 0)
        total = np.cumsum(self._observed_tokens[begin:last], axis=0)
        total = np.concatenate([np.zeros_like(total[:1]), total])
        step = np.arange(first, last)
        since = np.maximum(step + 1 - steps, 0)
        seconds = (step + 1 - since) * self._span.step_s
        return np.asarray((total[step + 1 - begin] - total[since - begin]) / seconds[:, None, None])


def surprise_for(
    policy: Policy, fleet: Fleet, span: Span, *, expected: pl.DataFrame | None, is_steered: bool = False
) -> Surprise:
    """Return what compares for a policy, with nothing observed yet.

    Where pools scale by arrivals these are held against what one replica can just serve, so that the ratio is the load
    in replicas; else against what is expected beforehand, or hour by hour where the run ``is_steered``.
    """
    if policy.scale_by == "arrivals":
        surprise = Surprise(
            fleet, span, is_expecting=True, over_s=policy.arrivals_mean_s, highest_s=policy.arrivals_highest_s
        )
        surprise.expect(one_replica(fleet, span), 0, span.steps)
        return surprise
    surprise = Surprise(fleet, span, is_expecting=expected is not None or is_steered)
    if expected is not None:
        surprise.expect(expected, 0, span.steps)
    return surprise


def one_replica(fleet: Fleet, span: Span) -> pl.DataFrame:
    """Return as an expectation from the start on what one replica of each model can just serve, in every region.

    Of several GPU kinds it is the one that serves least, so that a mixed group never falls short.
    """
    least: dict[str, float] = {}
    for kind in fleet.replicas:
        mix = fleet.mixes[kind.model]
        input_tps = performance.max_rps(kind, mix) * mix.input_tokens
        least[kind.model] = min(input_tps, least.get(kind.model, input_tps))
    return pl.DataFrame(
        [(span.start, region.key, model, input_tps) for region in fleet.regions for model, input_tps in least.items()],
        schema={"window_start": INSTANT, "region": pl.String, "model": pl.String, "input_tps": pl.Float64},
        orient="row",
    )


def expectation_of(expected: pl.DataFrame, fleet: Fleet, span: Span, *, first: int, last: int) -> Floats:
    """Return expected interactive input tokens per second, per step of [first, last), region and model; else NaN.

    ``expected`` has window_start, region, model and input_tps. Raises SimulationError where it names a region or model
    that the fleet lacks, or expects less than nothing.
    """
    _refuse_impossible(expected, fleet)
    starts = expected.get_column("window_start").unique().sort()
    of_step = np.searchsorted(
        ((starts - span.start).dt.total_microseconds() / 1e6).to_numpy(), np.arange(first, last) * span.step_s, "right"
    )
    rank = {start: i for i, start in enumerate(starts)}
    regions = {region.key: i for i, region in enumerate(fleet.regions)}
    models = {model.key: i for i, model in enumerate(fleet.models)}
    table = np.full((len(rank) + 1, len(regions), len(models)), np.nan)
    for window_start, region, model, input_tps in expected.select(
        "window_start", "region", "model", "input_tps"
    ).iter_rows():
        table[rank[window_start] + 1, regions[region], models[model]] = input_tps
    return np.asarray(table[of_step])


def surprise_of(laid: Laid, expected: pl.DataFrame | None, fleet: Fleet, span: Span, policy: Policy) -> Floats:
    """Return the ratio of a :class:`Surprise` where both the load and what is expected are known beforehand."""
    surprise = surprise_for(policy, fleet, span, expected=expected)
    surprise.observe_all(laid)
    surprise.tell(0, span.steps)
    return surprise.ratio


def _refuse_impossible(expected: pl.DataFrame, fleet: Fleet) -> None:
    for column, places in (("region", fleet.regions), ("model", fleet.models)):
        known = [place.key for place in places]
        unknown = sorted(set(expected.get_column(column).unique()) - set(known))
        if unknown:
            raise SimulationError(
                f"the expectation names {column} {unknown[0]}, which the fleet lacks; it has {', '.join(known)}."
            )
    if expected.filter(pl.col("input_tps") < 0).height:
        raise SimulationError("the expectation holds rates below nought in input_tps; a rate is nought or more.")
