"""Made traces: the published week, any variation of it at any size, and copies of a trace's load without its rows.

:func:`week` is the small week of tests, docs and first runs. A :class:`Workload` says what arrives: :func:`published`
from published facts, :func:`fit` from a trace in the store, :func:`varied` from another; :func:`generate` makes
requests of it in batches and :func:`store_generated` a trace. :func:`agreement` tells how well a copy agrees with its
trace.
"""

from workbench.traces.synthetic.agreement import AGREEMENT, agreement, summary
from workbench.traces.synthetic.fitting import fit
from workbench.traces.synthetic.generating import expected, generate
from workbench.traces.synthetic.laws import APPS, MODELS, TIERS, UTC_OFFSETS_H
from workbench.traces.synthetic.lengths import LengthLaw
from workbench.traces.synthetic.published import published
from workbench.traces.synthetic.recipes import Recipe, parse_burst, parse_growth, read_recipe, recipe_of
from workbench.traces.synthetic.rhythms import Burst, Noise, Rhythm, Spikes
from workbench.traces.synthetic.storing import store_generated
from workbench.traces.synthetic.tolerances import TOLERANCES
from workbench.traces.synthetic.weeks import week
from workbench.traces.synthetic.workload_files import load, save
from workbench.traces.synthetic.workloads import Part, Stream, Usage, Workload, varied

__all__ = [
    "AGREEMENT",
    "APPS",
    "MODELS",
    "TIERS",
    "TOLERANCES",
    "UTC_OFFSETS_H",
    "Burst",
    "LengthLaw",
    "Noise",
    "Part",
    "Recipe",
    "Rhythm",
    "Spikes",
    "Stream",
    "Usage",
    "Workload",
    "agreement",
    "expected",
    "fit",
    "generate",
    "load",
    "parse_burst",
    "parse_growth",
    "published",
    "read_recipe",
    "recipe_of",
    "save",
    "store_generated",
    "summary",
    "varied",
    "week",
]
