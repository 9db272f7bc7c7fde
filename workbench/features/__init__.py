"""From a trace to demand per window, the shapes of requests, and the tables that characterise a load.

Every question of a characterisation is a function: of a DEMAND where sums per window are enough, of the store where
single requests must be asked and must not come into memory. Each returns a tidy frame with units in its column names,
and :mod:`workbench.charts` draws it.
"""

from workbench.features.burstiness import (
    counts_by_scale,
    counts_of_demand,
    dispersion,
    gap_cv,
    gaps_by_hour,
    peak_to_mean,
)
from workbench.features.characterise import Characterisation, characterise, characterise_demand
from workbench.features.demand import demand, shape, token_mixes
from workbench.features.lengths import (
    cache_hits,
    length_distribution,
    length_drift,
    length_histogram,
    length_moments,
    output_by_prompt,
    token_quantiles,
)
from workbench.features.mixes import deferrable_over_time, deferrable_share, regional_split, tier_split
from workbench.features.periodicity import periodicity_score
from workbench.features.profiles import diurnal_profile, weekly_profile
from workbench.features.rates import daily_totals, known_by_series, rates_by, rates_over_time, window_for
from workbench.features.regions import regional_imbalance, regional_lags
from workbench.features.senders import concentration, top_senders
from workbench.features.telling import in_words, readable, sentences

__all__ = [
    "Characterisation",
    "cache_hits",
    "characterise",
    "characterise_demand",
    "concentration",
    "counts_by_scale",
    "counts_of_demand",
    "daily_totals",
    "deferrable_over_time",
    "deferrable_share",
    "demand",
    "dispersion",
    "diurnal_profile",
    "gap_cv",
    "gaps_by_hour",
    "in_words",
    "known_by_series",
    "length_distribution",
    "length_drift",
    "length_histogram",
    "length_moments",
    "output_by_prompt",
    "peak_to_mean",
    "periodicity_score",
    "rates_by",
    "rates_over_time",
    "readable",
    "regional_imbalance",
    "regional_lags",
    "regional_split",
    "sentences",
    "shape",
    "tier_split",
    "token_mixes",
    "token_quantiles",
    "top_senders",
    "weekly_profile",
    "window_for",
]
