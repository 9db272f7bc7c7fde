"""Charts inside a page that needs no network: plotly's script as text, and a figure's JSON as a piece of HTML.

An executed notebook holds each figure as JSON. A page made from it carries plotly's script once and draws the figures
from that JSON, which keeps the notebook small and the page whole without any server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

MIME_TYPE = "application/vnd.plotly.v1+json"
#: Buttons that make no sense in a report are left out; the logo is a link to a site.
CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


@cache
def script() -> str:
    """Return the text of plotly's script, about 5 MB, to be written into a page once."""
    from plotly import offline

    return str(offline.get_plotlyjs())


def piece(figure: Mapping[str, Any], *, name: str) -> str:
    """Return the HTML that draws one figure (its JSON) in a page that holds :func:`script`; ``name`` is its id."""
    height = int(figure.get("layout", {}).get("height") or 420)
    parts = [figure.get("data", []), figure.get("layout", {}), CONFIG]
    arguments = ", ".join(json.dumps(part, ensure_ascii=True).replace("</", "<\\/") for part in parts)
    return (
        f'<div class="chart" id="{name}" style="height:{height}px"></div>'
        f'<script>Plotly.newPlot("{name}", {arguments});</script>'
    )
