"""What the paper publishes of its results: what our own runs are put beside, each with how ours is measured.

A claim is a fact with a source. Which scenario, strategy and figure of ours answers it stands in the same row, and why
the two need not agree, so that the comparison is read off the catalog and is the same wherever it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.domain.facts import refuse
from workbench.errors import CatalogError, nearest

#: What is measured: shares saved against the baseline, ratios to it, shares of promises broken, dollars a month.
MEASURES = (
    "gpu_hours_saved",
    "waste_saved",
    "gpu_hours_ratio",
    "lent_ratio",
    "ttft_p90_ratio",
    "e2e_p90_ratio",
    "violations",
    "usd_per_month",
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A published figure, and what of ours stands beside it.

    ``value`` is a share or a ratio, or dollars; None where the paper shows the comparison and no number of it, or does
    not make it. It is measured of ``strategy`` against ``baseline`` in a shipped ``scenario`` under ``settings``
    (``KEY=VALUE``): in the same run, but where a strategy is held against itself, which is under the settings
    ``against``. ``tier`` is that of latencies and violations, ``model`` and ``region`` those of effort (empty: all).
    ``differs`` says why ours may be another.
    """

    key: str
    figure: str
    claim: str
    measure: str
    scenario: str
    strategy: str
    differs: str
    source: str
    date: str
    value: float | None = None
    baseline: str = ""
    tier: str = ""
    model: str = ""
    region: str = ""
    settings: tuple[str, ...] = ()
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needs_tier = self.measure in ("ttft_p90_ratio", "e2e_p90_ratio", "violations")
        refuse(
            CatalogError,
            f"claim {self.key}",
            {
                f"measure {self.measure} is unknown; {nearest(self.measure, MEASURES)}": self.measure not in MEASURES,
                f"measure {self.measure} needs a tier": needs_tier and not self.tier,
                f"measure {self.measure} needs a baseline": self.measure != "violations" and not self.baseline,
                **{
                    f"settings are written KEY=VALUE, got {text!r}": "=" not in text
                    for text in (*self.settings, *self.against)
                },
            },
        )
