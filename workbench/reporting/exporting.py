"""From an executed notebook to one HTML page without code and without any reference to a server.

The stock templates of nbconvert fetch scripts from the network. The page here is our own: prose, tables, and charts
drawn from the figures' JSON by plotly's script, which the page carries once.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter

from workbench import __version__
from workbench.charts import embedding

TEMPLATES = Path(__file__).parent
TEMPLATE = "page"


def page(notebook: Any, *, made_at: datetime, made_from: str) -> str:
    """Return an executed notebook as an HTML page; its first heading becomes the page's title."""
    drawn, charts = _with_charts(notebook)
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name=TEMPLATE, extra_template_basedirs=[str(TEMPLATES)], exclude_anchor_links=True
    )
    facts = {
        "title": _title(notebook),
        "made_at": f"{made_at:%Y-%m-%d %H:%M} UTC",
        "made_from": made_from,
        "version": __version__,
        "script": embedding.script() if charts else "",
    }
    body, _ = exporter.from_notebook_node(drawn, resources={"report": facts})
    return str(body)


def _title(notebook: Any) -> str:
    headings = (
        line.removeprefix("# ").strip()
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("# ")
    )
    return next(headings, "Report")


def _with_charts(notebook: Any) -> tuple[Any, int]:
    """Return a copy in which every figure is the HTML that draws it, and how many there are."""
    import copy

    drawn, count = copy.deepcopy(notebook), 0
    for cell in drawn.cells:
        for output in cell.get("outputs", []):
            figure = output.get("data", {}).get(embedding.MIME_TYPE)
            if figure is not None:
                count += 1
                output["data"] = {"text/html": embedding.piece(figure, name=f"chart-{count}")}
    return drawn, count
