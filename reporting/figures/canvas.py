"""What all charts share: the template, the frame with its title, axes, thresholds, and how words are cut to fit."""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg, render
from reporting.figures.wording import balanced, safe, sentence_case, tight, wrap
from reporting.tokens import CAPTION_SIZE, FONT_FAMILY, SECTION_SIZE, STEP, Palette, palette, translucent

__all__ = ["Style", "chart_config", "chart_csv", "template"]


_TITLE_WIDTH = 62  # in Latin letters of 14 px: what a panel of half a page holds
_TEXT_WIDTH = 70
_GAP = "\u2003"


@dataclass(frozen=True)
class Style:
    """The language a chart speaks and the palette it is drawn in."""

    language: str
    colors: Palette

    @classmethod
    def of(cls, language: str, theme: str) -> "Style":
        """Return the style for a language and a theme."""
        return cls(language, palette(theme))

    def say(self, message: MessageLike) -> str:
        """Return `message` in the chart's language, safe to stand in a figure."""
        return safe(tight(str(render(message, self.language))))

    def join(self, parts: Iterable[MessageLike]) -> str:
        """Return the parts that are not empty, a middle dot between them."""
        return " · ".join(text for text in map(self.say, parts) if text)


def template(theme: str = "light") -> go.layout.Template:
    """Return the Plotly template of `theme`: fonts, colours, quiet axes, room for what is said.

    Parameters
    ----------
    theme : {"light", "dark"}, default="light"

    Returns
    -------
    plotly.graph_objects.layout.Template
    """
    colors = palette(theme)
    axis = {
        "automargin": True,
        "gridcolor": colors.line,
        "linecolor": colors.line,
        "tickcolor": colors.line,
        "tickfont": {"color": colors.muted, "size": CAPTION_SIZE},
        "title": {"font": {"color": colors.muted, "size": CAPTION_SIZE}, "standoff": 2 * STEP},
        "zeroline": False,
    }
    return go.layout.Template(
        layout={
            "colorway": list(colors.series),
            "font": {"family": FONT_FAMILY, "color": colors.ink, "size": CAPTION_SIZE},
            "paper_bgcolor": colors.panel,
            "plot_bgcolor": colors.panel,
            "hoverlabel": {
                "align": "left",
                "bgcolor": colors.panel,
                "bordercolor": colors.line,
                "font": {"family": FONT_FAMILY, "color": colors.ink, "size": CAPTION_SIZE},
            },
            "hovermode": "closest",
            "showlegend": False,
            "dragmode": False,
            "xaxis": {**axis, "showgrid": False, "showline": True},
            "yaxis": {**axis, "showgrid": True, "showline": False, "ticklabelstandoff": STEP},
        }
    )


def chart_config(file_name: str = "chart") -> dict[str, Any]:
    """Return the Plotly display settings: no logo, no zoom tools, the picture one click away.

    Parameters
    ----------
    file_name : str, default="chart"
        Name of the picture that is saved, without its ending.
    """
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "scrollZoom": False,
        "toImageButtonOptions": {"format": "png", "filename": file_name, "scale": 2},
    }


def chart_csv(figure: go.Figure) -> str:
    """Return what a figure shows as CSV text: one row per mark, with the sentence of its tooltip."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["series", "x", "y", "text"])
    for trace in figure.data:
        if trace.hoverinfo == "skip":
            continue
        xs, ys = list(trace.x if trace.x is not None else []), list(trace.y if trace.y is not None else [])
        texts = list(trace.hovertext) if trace.hovertext is not None else [""] * len(xs)
        for x, y, text in zip(xs, ys, texts, strict=True):
            writer.writerow([html.unescape(trace.name or ""), x, y, html.unescape(str(text)).replace("<br>", " ")])
    return out.getvalue()


def start(
    style: Style,
    title: MessageLike,
    subtitle: str = "",
    *,
    height: int = 320,
    y_label: str = "",
    title_width: int = _TITLE_WIDTH,
) -> go.Figure:
    """Return an empty figure with its title, a quiet second line and room for them.

    `subtitle` and `y_label` are already safe; the label of the y axis stands level above it, where it can be read.
    A line of the title holds `title_width` letters.
    """
    lines = balanced(sentence_case(style.say(title)), title_width)
    top = 3 * STEP + 20 * len(lines) + (20 if subtitle else 0) + (26 if y_label else 10)
    text = "<br>".join(lines)
    if subtitle:
        quiet = f"font-size:{CAPTION_SIZE}px;font-weight:400;color:{style.colors.muted}"
        text += f'<br><span style="{quiet}">{subtitle}</span>'
    figure = go.Figure()
    figure.update_layout(
        template=template("light" if style.colors == palette("light") else "dark"),
        height=height,
        margin={"l": 2 * STEP, "r": 5 * STEP, "t": top, "b": 2 * STEP},
        title={
            "text": text,
            "font": {"size": SECTION_SIZE, "color": style.colors.ink, "weight": 600},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            # Plotly hangs a title of several lines higher than one of a single line.
            "pad": {"l": 2 * STEP, "t": 3 * STEP + (9 if "<br>" in text else 0)},
        },
    )
    if y_label:
        label_y_axis(figure, style, y_label)
    return figure


def empty(style: Style, message: Message, *, height: int = 240) -> go.Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = start(style, msg("Nothing to show yet"), height=height)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text="<br>".join(wrap(style.say(message), 56)),
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        showarrow=False,
        font={"color": style.colors.muted, "size": SECTION_SIZE},
    )
    return figure


def label_y_axis(figure: go.Figure, style: Style, text: str, *, top: float = 1.0) -> None:
    """Write the name and unit of a y axis level above it, at height `top` of the paper."""
    figure.add_annotation(
        name="y-label",
        text=text,
        x=0,
        y=top,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        yshift=STEP,
        showarrow=False,
        font={"color": style.colors.muted, "size": CAPTION_SIZE},
    )


def note(figure: go.Figure, text: str, x: Any, y: Any, color: str, **place: Any) -> None:
    """Write a direct label at a place of the chart, by default on a ground that keeps lines off the letters."""
    settings = {
        "xanchor": "left",
        "yanchor": "middle",
        "font": {"color": color, "size": CAPTION_SIZE},
        "bgcolor": translucent(figure.layout.template.layout.paper_bgcolor, 0.8),
        "borderpad": 0,
    }
    figure.add_annotation(text=text, x=x, y=y, showarrow=False, **(settings | place))


def threshold(figure: go.Figure, value: float, label: str, color: str, *, axis: str, **place: Any) -> None:
    """Draw a threshold as a dashed line across the panel with its value at the end."""
    line = {"color": color, "width": 1, "dash": "dash"}
    if axis == "x":
        figure.add_shape(type="line", x0=value, x1=value, y0=0, y1=1, yref="y domain", line=line, layer="below")
        side = {"xanchor": "center", "yanchor": "bottom"} | place
        note(figure, label, value, 1, color, yref="y domain", **side)
    else:
        yref = place.pop("yref", "y")
        figure.add_shape(
            type="line", y0=value, y1=value, x0=0, x1=1, xref="x domain", yref=yref, line=line, layer="below"
        )
        side = {"xanchor": "right", "yanchor": "bottom"} | place
        note(figure, label, 1, value, color, xref="x domain", yref=yref, **side)


def swatches(parts: Sequence[tuple[MessageLike, str, str]], style: Style) -> str:
    """Return a line that names series by their mark: (text, mark colour, sign), in place of a legend."""
    return _GAP.join(f'<span style="color:{color}">{sign}</span> {style.say(text)}' for text, color, sign in parts)


def side_by_side(*texts: str) -> str:
    """Return the texts that are not empty with a wide gap between them."""
    return _GAP.join(text for text in texts if text)


def hover(sentences: Sequence[str]) -> dict[str, Any]:
    """Return trace settings that show each sentence, and nothing else, beside its mark."""
    return {
        "hovertext": ["<br>".join(wrap(sentence, _TEXT_WIDTH)) for sentence in sentences],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def band(
    x: Sequence[Any], low: npt.ArrayLike, high: npt.ArrayLike, color: str, *, opacity: float = 0.16, **trace: Any
) -> list[go.Scatter]:
    """Return two unseen lines with the room between them filled: an interval."""
    quiet = {"mode": "lines", "line": {"width": 0, "shape": "linear"}, "hoverinfo": "skip", **trace}
    return [
        go.Scatter(x=list(x), y=numbers(high), **quiet),
        go.Scatter(x=list(x), y=numbers(low), fill="tonexty", fillcolor=translucent(color, opacity), **quiet),
    ]


def numbers(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return `values` as one flat array of floats, None as NaN."""
    return np.asarray(values, dtype=np.float64).ravel()
