"""What is known about GPUs, machines, prices, models, their speed, tiers, regions and public traces: rows with source.

A new model, GPU or price is a row, packaged or in a folder of one's own, never a change of code; a new profile is
fitted from measurements by :func:`fit_profile` and written as a row by :func:`profile_row`.
"""

from workbench.catalog.fitting import fit_profile
from workbench.catalog.loading import load
from workbench.catalog.lookup import Catalog, ChosenPrice, NetworkLatency
from workbench.catalog.measurements import DecodePoint, Measurements, PrefillPoint, import_measurements
from workbench.catalog.trace_sources import TraceSource
from workbench.catalog.writing import profile_row

__all__ = [
    "Catalog",
    "ChosenPrice",
    "DecodePoint",
    "Measurements",
    "NetworkLatency",
    "PrefillPoint",
    "TraceSource",
    "fit_profile",
    "import_measurements",
    "load",
    "profile_row",
]
