"""The what-if page: widgets that show and set the choices, and what the panels make of them. No maths here.

Results are computed first and shown when they are whole. The figure is put into its output as a finished bundle, so
nothing runs under a widget that would swallow a failure: a mistake a person can repair is shown as a banner above the
last good result, anything else is raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as widgets
import polars as pl
import traitlets

from workbench.charts import embedding, whatif
from workbench.dashboards import answers, panels, state
from workbench.dashboards.state import Choices
from workbench.errors import WorkbenchError
from workbench.results import Study

CONTROL_WIDTH, LABEL_WIDTH, PAGE_WIDTH = "420px", "200px", "1320px"
LOOKS: Mapping[str, Any] = {"style": {"description_width": LABEL_WIDTH}, "layout": {"width": CONTROL_WIDTH}}
#: What each slider says, the step it moves by and how its value is written.
SLIDERS: Mapping[str, Mapping[str, Any]] = {
    "demand_factor": {
        "description": "Demand, times the study's",
        "tooltip": "Multiplies every arrival and the forecast; the fleet at the start stays",
        "step": 0.05,
        "readout_format": ".2f",
    },
    "planning_signal_fraction": {
        "description": "Load to plan a replica at",
        "tooltip": "A lower load leaves more headroom: more replicas for the same demand",
        "step": 0.05,
        "readout_format": ".0%",
    },
    "scale_out_above_fraction": {
        "description": "Load to scale out above",
        "tooltip": "The strategy may start a replica when the load signal of a pool is above this",
        "step": 0.05,
        "readout_format": ".0%",
    },
    "reclaim_minutes": {
        "description": "Lent replica back in, minutes",
        "tooltip": "Time until a replica lent to the spot pool serves again",
        "step": 0.5,
        "readout_format": ".1f",
    },
}
STYLE = """<style>
.wb-whatif .wb-summary p { font-size: 1.15em; line-height: 1.5; margin: 0.2em 0 0.6em; max-width: 70em }
.wb-whatif .wb-note p { line-height: 1.45; margin: 0.4em 0; opacity: 0.75; max-width: 80em }
.wb-whatif .wb-banner { border-left: 4px solid #c0392b; background: #fdecea; color: #611a15; padding: 0.6em 0.9em }
.wb-whatif table { border-collapse: collapse; margin: 0.4em 0 1em; font-variant-numeric: tabular-nums }
.wb-whatif caption { text-align: left; font-weight: 600; padding: 0.4em 0 }
.wb-whatif th, .wb-whatif td { padding: 0.3em 1.1em 0.3em 0; text-align: right; border-bottom: 1px solid #8884 }
.wb-whatif th, .wb-whatif td { line-height: 1.3; vertical-align: baseline }
.wb-whatif thead th { font-weight: 600; vertical-align: bottom; max-width: 9em }
.wb-whatif tbody th { font-weight: 400; white-space: nowrap }
.wb-whatif th:first-child, .wb-whatif .wb-words { text-align: left }
.wb-whatif .wb-figure .jp-OutputArea-output { display: block; width: 100%; min-height: FIGURE_HEIGHT }
</style>""".replace("FIGURE_HEIGHT", f"{whatif.HEIGHT_PX}px")


class Page:
    """One what-if page: the choices, the controls linked to them, and the outputs that are redrawn.

    ``view`` is the whole as one widget; ``choices`` may be set from code as from a slider.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.choices = state.of_study(study)
        self.controls = controls_of(study, self.choices)
        self.summary = widgets.HTML().add_class("wb-summary")
        self.banner = widgets.HTML()
        self.figure = widgets.Output().add_class("wb-figure")
        self.tables = widgets.HTML()
        self.reset = widgets.Button(
            description="Back to the study's choices",
            tooltip="Set every choice to what the study of this strategy was made with",
            icon="undo",
            layout={"width": CONTROL_WIDTH},
        )
        for name, control in self.controls.items():
            traitlets.link((self.choices, name), (control, "value"))
        self.reset.on_click(lambda _: self.back_to_study())
        self._drawn: object = None
        self.redraw()
        self.choices.observe(lambda _: self.redraw())
        self.view = self._laid_out()

    def back_to_study(self) -> None:
        """Set every choice to that of the study for the strategy that is shown, in one move."""
        own = state.of_study(self.study, self.choices.strategy).trait_values()
        with self.choices.hold_trait_notifications():
            for name, value in own.items():
                setattr(self.choices, name, value)

    def redraw(self) -> None:
        """Compute the answer to the choices and show it; show a mistake in them as a banner instead."""
        if self._drawn == self.choices.now():
            return
        self._drawn = self.choices.now()
        try:
            found = answers.answer(self.study, self.choices)
        except WorkbenchError as error:
            self.banner.value = banner_html(str(error))
            return
        figure = panels.figure(self.study, found)
        self.banner.value = ""
        self.summary.value = f'<p role="status" aria-live="polite">{escape(panels.summary(self.study, found))}</p>'
        self.figure.outputs = (shown(figure),)
        self.tables.value = table_html(panels.effort_table(found), "Effort and money") + table_html(
            panels.service_table(self.study, found), "What every tier gets"
        )
        self._disable(state.idle_choices(self.study, found.policy))

    def _disable(self, idle: frozenset[str]) -> None:
        for name, control in self.controls.items():
            control.disabled = name in idle

    def _laid_out(self) -> widgets.Widget:
        note = widgets.HTML(f"<p>{escape(panels.note(self.study))}</p>").add_class("wb-note")
        controls = widgets.HBox([*self.controls.values(), self.reset], layout={"flex_flow": "row wrap"})
        view = widgets.VBox(
            [widgets.HTML(STYLE), self.banner, self.summary, controls, self.figure, self.tables, note],
            layout={"max_width": PAGE_WIDTH},
        )
        return view.add_class("wb-whatif")


def what_if(study: Study) -> widgets.Widget:
    """Return the what-if page of a study as one widget: five sliders, the strategy, and what they lead to."""
    return Page(study).view


def controls_of(study: Study, choices: Choices) -> dict[str, widgets.Widget]:
    """Return one control per choice, by the name of the choice; each label says what it sets and in which unit."""
    strategies = [(policy.label, policy.key) for policy in study.scenario.strategies]
    quantiles = [(f"{quantile * 100:g}%", quantile) for quantile in sorted(study.scenario.quantiles)]
    return {
        "strategy": widgets.Dropdown(
            options=strategies,
            value=choices.strategy,
            description="Strategy",
            tooltip="Who decides to scale",
            **LOOKS,
        ),
        "demand_factor": _slider("demand_factor", choices),
        "quantile": widgets.SelectionSlider(
            options=quantiles,
            value=choices.quantile,
            description="Forecast quantile to plan for",
            tooltip="The share of cases in which the load is not expected to exceed what is planned",
            continuous_update=False,
            **LOOKS,
        ),
        "planning_signal_fraction": _slider("planning_signal_fraction", choices),
        "scale_out_above_fraction": _slider("scale_out_above_fraction", choices),
        "reclaim_minutes": _slider("reclaim_minutes", choices),
    }


def _slider(name: str, choices: Choices) -> widgets.Widget:
    """Return the slider of one choice over the span it may take."""
    low, high = state.span_of(name, getattr(choices, name))
    return widgets.FloatSlider(
        value=getattr(choices, name), min=low, max=high, continuous_update=False, **SLIDERS[name], **LOOKS
    )


def shown(figure: Any) -> dict[str, Any]:
    """Return a figure as the finished output of a cell."""
    bundle = json.loads(figure.to_json()) | {"config": embedding.CONFIG}
    return {
        "output_type": "display_data",
        "data": {embedding.MIME_TYPE: bundle, "text/plain": "figure"},
        "metadata": {},
    }


def banner_html(text: str) -> str:
    """Return a mistake as a banner that screen readers announce."""
    return f'<div class="wb-banner" role="alert">{escape(text)} The result below is that of the choices before.</div>'


def table_html(frame: pl.DataFrame, caption: str) -> str:
    """Return a frame of texts as a table with a caption: the first column heads its row, words stand left."""
    words = {name: ' class="wb-words"' if name in panels.WORDS else "" for name in frame.columns}
    head = "".join(f'<th scope="col"{place}>{escape(name)}</th>' for name, place in words.items())
    body = ""
    for first, *rest in frame.iter_rows():
        cells = zip(list(words.values())[1:], rest, strict=True)
        body += f'<tr><th scope="row">{escape(first)}</th>'
        body += "".join(f"<td{place}>{escape(cell)}</td>" for place, cell in cells) + "</tr>"
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
