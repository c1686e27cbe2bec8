"""What a column has become, as a picture: the column left, then its features, the versions, the slots they are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.i18n import MessageLike, msg
from reporting.figures.canvas import Style, empty, hover, note, start
from reporting.figures.wording import shorten
from reporting.tokens import translucent

__all__ = ["LineageNode", "lineage_graph"]

_WIDTH, _HEIGHT = 0.84, 0.68
_MOST_IN_A_LAYER = 14
_NAME_WIDTH = 27


@dataclass(frozen=True)
class LineageNode:
    """One box: `id` links refer to, what it is called, and a second line."""

    id: str
    name: str
    remark: str = ""


def lineage_graph(
    layers: Sequence[Sequence[LineageNode]],
    links: Sequence[tuple[str, str]],
    *,
    headings: Sequence[MessageLike],
    title: MessageLike,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw layers of boxes from left to right, with lines along `links`.

    Parameters
    ----------
    layers : sequence of sequence of LineageNode
        The column, its features, the versions, the slots. Of a layer of more than 14 the rest is counted.
    links : sequence of (id, id)
        From left to right; those of boxes that are not drawn are left out.
    headings : sequence of str or Message
        One per layer.
    title : str or Message
        What the picture says.
    """
    style = Style.of(language, theme)
    shown = [list(layer[:_MOST_IN_A_LAYER]) for layer in layers]
    if len(shown) < 2 or not any(shown[1:]):
        return empty(style, msg("No kept feature and no version reads this column."))
    deepest = max(len(layer) for layer in shown)
    figure = start(style, title, height=120 + 48 * max(deepest, 2))
    places = {
        node.id: (float(at), row - (len(layer) - 1) / 2)
        for at, layer in enumerate(shown)
        for row, node in enumerate(layer)
    }
    for left, right in dict.fromkeys(links):
        if left in places and right in places:
            _line(figure, style, places[left], places[right])
    top = -(deepest - 1) / 2
    for at, (heading, layer) in enumerate(zip(headings, shown, strict=True)):
        note(figure, style.say(heading), at, top - 0.75, style.colors.muted, xanchor="center")
        left_out = len(layers[at]) - len(layer)
        if left_out:
            more = style.say(msg("{n} more", n=left_out))
            note(figure, more, at, (len(layer) - 1) / 2 + 0.62, style.colors.muted, xanchor="center")
    nodes = [node for layer in shown for node in layer]
    for node in nodes:
        _box(figure, style, node, places[node.id])
    _pointers(figure, style, nodes, places)
    figure.update_xaxes(visible=False, range=[-0.5, len(shown) - 0.5])
    figure.update_yaxes(visible=False, range=[-top + 0.95, top - 1.1])
    return figure


def _pointers(
    figure: go.Figure, style: Style, nodes: Sequence[LineageNode], places: Mapping[str, tuple[float, float]]
) -> None:
    sentences = [style.say(" · ".join(text for text in (node.name, node.remark) if text)) for node in nodes]
    figure.add_scatter(
        x=[places[node.id][0] for node in nodes],
        y=[places[node.id][1] for node in nodes],
        mode="markers",
        marker={"size": 36, "opacity": 0},
        name="lineage",
        **hover(sentences),
    )


def _line(figure: go.Figure, style: Style, left: tuple[float, float], right: tuple[float, float]) -> None:
    x0, y0, x1, y1 = left[0] + _WIDTH / 2, left[1], right[0] - _WIDTH / 2, right[1]
    bend = (x1 - x0) / 2
    figure.add_shape(
        type="path",
        path=f"M {x0:.4f},{y0:.4f} C {x0 + bend:.4f},{y0:.4f} {x1 - bend:.4f},{y1:.4f} {x1:.4f},{y1:.4f}",
        line={"color": translucent(style.colors.reference, 0.7), "width": 1.2},
        layer="below",
    )


def _box(figure: go.Figure, style: Style, node: LineageNode, place: tuple[float, float]) -> None:
    x, y = place
    is_first = x == 0
    figure.add_shape(
        type="rect",
        x0=x - _WIDTH / 2,
        x1=x + _WIDTH / 2,
        y0=y - _HEIGHT / 2,
        y1=y + _HEIGHT / 2,
        fillcolor=style.colors.brand_soft if is_first else style.colors.panel,
        line={"color": style.colors.brand if is_first else translucent(style.colors.reference, 0.6), "width": 1},
    )
    text = style.say(shorten(node.name, _NAME_WIDTH))
    if node.remark:
        text += f'<br><span style="color:{style.colors.muted}">{style.say(shorten(node.remark, _NAME_WIDTH))}</span>'
    figure.add_annotation(x=x, y=y, showarrow=False, text=text)
