"""What all charts share: the template, the frame with its title, axes, thresholds, and how words are cut to fit."""

import csv
import html
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg, render
from core.i18n.formats import interval, metric
from reporting.tokens import CAPTION_SIZE, FONT_FAMILY, SECTION_SIZE, STEP, Palette, palette, translucent

__all__ = ["Estimate", "Style", "chart_config", "chart_csv", "template"]

Estimate = tuple[float, float, float]
"""A value with the low and the high end of its interval; the ends may be NaN."""

_TITLE_WIDTH = 62  # in Latin letters of 14 px: what a panel of half a page holds
_TEXT_WIDTH = 70
_CHINESE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_CHINESE_GAP = re.compile(f"(?<={_CHINESE}) (?={_CHINESE})")
_GAP = "\u2003"
_CALENDAR_STEPS = (1, 2, 3, 4, 6, 12, 24, 36, 60, 120)  # of months, quarters or years


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


def start(style: Style, title: MessageLike, subtitle: str = "", *, height: int = 320, y_label: str = "") -> go.Figure:
    """Return an empty figure with its title, a quiet second line and room for them.

    `subtitle` and `y_label` are already safe; the label of the y axis stands level above it, where it can be read.
    """
    lines = balanced(style.say(title), _TITLE_WIDTH)
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
    """Write a direct label at a place of the chart, on a ground that keeps lines off the letters."""
    settings = {"xanchor": "left", "yanchor": "middle", "font": {"color": color, "size": CAPTION_SIZE}} | place
    ground = figure.layout.template.layout.paper_bgcolor
    figure.add_annotation(
        text=text, x=x, y=y, showarrow=False, bgcolor=translucent(ground, 0.8), borderpad=0, **settings
    )


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
        note(figure, label, 0 if side["xanchor"] == "left" else 1, value, color, xref="x domain", yref=yref, **side)


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


def estimate(value: Estimate | None) -> str:
    """Return a metric with its interval as text, the interval left out where it is not known."""
    if value is None or not math.isfinite(value[0]):
        return "–"
    known = all(map(math.isfinite, value[1:]))
    return f"{metric(value[0])} {interval(value[1], value[2])}" if known else metric(value[0])


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign, a real minus among them.

    Examples
    --------
    >>> signed(-0.314), signed(0.5)
    ('−0.31', '+0.50')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def plain(value: float) -> str:
    """Return an amount in as few digits as tell it, thousands separated.

    Examples
    --------
    >>> plain(1234567.8), plain(0.123456), plain(12.0)
    ('1,234,568', '0.123', '12')
    """
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def metric_ticks(low: float, high: float, n: int = 8) -> tuple[list[float], list[str]]:
    """Return round tick positions within `low` to `high` and their texts, written as metrics are (``.40``).

    Examples
    --------
    >>> metric_ticks(0.28, 0.45)
    ([0.3, 0.35, 0.4, 0.45], ['.30', '.35', '.40', '.45'])
    """
    step = nice_step((high - low) / n)
    first, last = math.ceil(round(low / step, 6)), math.floor(round(high / step, 6))
    ticks = [round(i * step, 10) for i in range(first, last + 1)]
    digits = max(2, -math.floor(math.log10(step)))
    return ticks, [_without_leading_zero(f"{tick:.{digits}f}") for tick in ticks]


def nice_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the smallest not below `rough`.

    Examples
    --------
    >>> nice_step(0.034)
    0.05
    """
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    factor = next((f for f in (1, 2, 5) if f * power >= rough * 0.999), 10)
    return factor * power


def _without_leading_zero(text: str) -> str:
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    return sign + (digits[1:] if digits.startswith("0.") and float(digits) else digits.replace("0.00", "0"))


def thin(labels: Sequence[str], most: int = 7) -> list[str]:
    """Return at most `most` of the labels, evenly spaced, the last one always among them.

    Examples
    --------
    >>> thin(["1", "2", "3", "4", "5"], most=3)
    ['1', '3', '5']
    """
    if len(labels) <= most:
        return list(labels)
    fewest = math.ceil(len(labels) / most)
    step = next((step for step in _CALENDAR_STEPS if step >= fewest), fewest)
    return list(reversed(labels[::-1][::step]))


def safe(text: str) -> str:
    """Return `text` with the signs that a figure would read as markup made harmless."""
    return html.escape(text, quote=False)


def tight(text: str) -> str:
    """Return `text` without the blanks that filled-in names leave between Chinese characters.

    Examples
    --------
    >>> tight("渠道（近 6 个月） 影响最大")
    '渠道（近 6 个月）影响最大'
    """
    return _CHINESE_GAP.sub("", text)


def text_width(text: str) -> int:
    """Return how many Latin letters wide `text` is; a Chinese character counts two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def shorten(name: str, width: int = 30) -> str:
    """Return `name`, cut in the middle where it is wider than `width` letters, its ends kept.

    Examples
    --------
    >>> shorten("mean(repay_record.amount, 12 months)", 20)
    'mean(repa…2 months)'
    """
    if text_width(name) <= width:
        return name
    half = (width - 1) // 2
    head, tail = "", ""
    for letter in name:
        if text_width(head + letter) > half:
            break
        head += letter
    for letter in reversed(name):
        if text_width(letter + tail) > half:
            break
        tail = letter + tail
    return f"{head.rstrip()}…{tail}"


def wrap(text: str, width: int) -> list[str]:
    """Return `text` in lines of at most about `width` letters, broken at blanks or between Chinese characters.

    Examples
    --------
    >>> wrap("one two three", 8)
    ['one two', 'three']
    """
    lines, line = [], ""
    for piece in _pieces(text):
        if line and text_width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines or [""]


def balanced(text: str, width: int) -> list[str]:
    """Return `text` in as few lines as `width` allows, about equally long, so that no word stands alone.

    Examples
    --------
    >>> balanced("one two three four", 15)
    ['one two', 'three four']
    """
    lines = wrap(text, width)
    while len(lines) > 1 and width > 1 and len(narrower := wrap(text, width - 1)) == len(lines):
        lines, width = narrower, width - 1
    return lines


_NOT_FIRST = "，。；：、）】》！？%,.;:)]"


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for letter in text:
        wide = east_asian_width(letter) in "WF"
        after_break = not pieces or pieces[-1].endswith(" ") or east_asian_width(pieces[-1][-1]) in "WF"
        if pieces and (letter == " " or letter in _NOT_FIRST or not (wide or after_break)):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces
