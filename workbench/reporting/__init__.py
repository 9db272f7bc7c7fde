"""Reports: check parameters, run a notebook template in a fresh kernel, export one page that needs no network.

A template is a notebook under ``notebooks/templates``; a report is a folder with the executed notebook, the page and a
manifest that names everything it was made from. papermill, nbconvert and nbformat have their only door here and are
imported when the first report is built. Jupyter's two servers are started from here as well, because they serve the
same notebooks.
"""

from __future__ import annotations

from workbench.reporting.building import build, monthly_cost
from workbench.reporting.rendering import Html, labels, paragraphs, source_line, table
from workbench.reporting.serving import start_app, start_lab

__all__ = ["Html", "build", "labels", "monthly_cost", "paragraphs", "source_line", "start_app", "start_lab", "table"]
