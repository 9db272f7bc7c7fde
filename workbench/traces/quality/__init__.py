"""The quality report: what is odd about a trace, as findings with their place, evidence, weight and advice.

A trace is never repaired here. Each finding says what was seen, where and how often, so that a person can decide
whether the numbers that follow can be trusted; holes are handed on as gaps, so that no one takes them for zeros. Every
check is a small function in a visible tuple (:data:`~workbench.traces.quality.looking.CHECKS`); its thresholds, which
are ours, stand at the top of its module.
"""

from workbench.traces.quality.concluding import conclude, cut_finding, look_at_written, source_findings
from workbench.traces.quality.findings import KINDS, Finding, as_frame, finding
from workbench.traces.quality.labels import labels
from workbench.traces.quality.looking import CHECKS, Looked, look_at_requests, look_at_series
from workbench.traces.quality.rechecking import look_again
from workbench.traces.quality.tallying import SourceTally

__all__ = [
    "CHECKS",
    "KINDS",
    "Finding",
    "Looked",
    "SourceTally",
    "as_frame",
    "conclude",
    "cut_finding",
    "finding",
    "labels",
    "look_again",
    "look_at_requests",
    "look_at_series",
    "look_at_written",
    "source_findings",
]
