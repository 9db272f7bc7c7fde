"""The verbs of the command line, one module per field of work: traces, studies, reports.

Each verb is a thin call of a Python function of the same name. Heavy libraries are imported inside the verbs, so that
``--help`` answers at once.
"""
