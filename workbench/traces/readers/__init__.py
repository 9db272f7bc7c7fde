"""The readers: one module per public format, the files they read, and how a file is recognised.

Another format is one module with a ``FORMAT`` and one entry in :mod:`workbench.traces.readers.formats`.
"""
