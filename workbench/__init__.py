"""Planning workbench for large-language-model serving capacity.

How many GPUs, of which kind, in which region, serving which model, hour by hour, so that every latency promise holds
at the least cost. Importing this package imports nothing else; take the module you need: ``from workbench import
studies``.
"""

__version__ = "0.1.0"
