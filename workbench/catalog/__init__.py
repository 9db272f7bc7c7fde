"""What is known about GPUs, machines, prices, models, their speed, tiers, regions and public traces: rows with source.

A new model, GPU or price is a row, packaged or in a folder of one's own, never a change of code; a new profile is
fitted from measurements by :func:`fit_profile`, or from benchmarks of one's own server by :func:`fit_benchmarks`, and
written as a row by :func:`add_profile`.
"""

from workbench.catalog.benchmarks import FittedBenchmarks, fit_benchmarks
from workbench.catalog.claims import Claim
from workbench.catalog.fitting import fit_profile
from workbench.catalog.loading import OWN_FOLDER, load, load_beside
from workbench.catalog.lookup import Catalog, ChosenPrice, NetworkLatency
from workbench.catalog.measurements import DecodePoint, Measurements, PrefillPoint, import_measurements
from workbench.catalog.records import Record
from workbench.catalog.trace_sources import TraceSource
from workbench.catalog.writing import add_profile, profile_row

__all__ = [
    "OWN_FOLDER",
    "Catalog",
    "ChosenPrice",
    "Claim",
    "DecodePoint",
    "FittedBenchmarks",
    "Measurements",
    "NetworkLatency",
    "PrefillPoint",
    "Record",
    "TraceSource",
    "add_profile",
    "fit_benchmarks",
    "fit_profile",
    "import_measurements",
    "load",
    "load_beside",
    "profile_row",
]
