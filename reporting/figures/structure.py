"""How the tables hang together, as a picture: parents left, children right."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, note, start
from reporting.figures.wording import shorten
from reporting.tokens import translucent

__all__ = ["layered_layout", "tables_graph"]

_BOX_WIDTH, _BOX_HEIGHT = 0.7, 0.72


def tables_graph(
    tables: Sequence[Mapping[str, Any]],
    links: Sequence[tuple[str, str]],
    *,
    root: str | None = None,
    selected: str | None = None,
    link_notes: Mapping[tuple[str, str], Sequence[tuple[str, float]]] | None = None,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw tables as boxes with their number of rows, links as lines from parent to child.

    Parameters
    ----------
    tables : sequence of mappings
        Each with ``name`` and ``rows`` (int), and, if known, ``label`` (readable name), ``columns`` (int), ``note`` (a
        third line), ``times`` (a sentence for the pointer), ``is_used`` (bool) and ``share`` (0 to 1: how far it is).
    links : sequence of (parent, child) names
    root : str, optional
        The table a score is made for; it stands out.
    selected : str, optional
        The table looked at: its links stand out and bear their keys.
    link_notes : mapping of (parent, child) to sequence of (key column, share of matched rows), optional
        What is said of each link.
    title : str or Message, optional
        In place of the composed finding.
    """
    style = Style.of(language, theme)
    if not tables:
        return empty(style, msg("Tables appear here once they have been imported."))
    names = [str(table["name"]) for table in tables]
    pairs = [(p, c) for p, c in dict.fromkeys(links) if p in names and c in names]
    places = layered_layout(names, pairs)
    n_layers = 1 + max(layer for layer, _ in places.values())
    depth = max(sum(1 for layer, _ in places.values() if layer == k) for k in range(n_layers))
    figure = start(style, title or _finding(tables, pairs, root), height=90 + 74 * max(depth, 2))
    for parent, child in sorted(pairs, key=lambda pair: selected in pair):
        _link(figure, style, places[parent], places[child], stands_out=selected in (parent, child))
    for table in tables:
        name = str(table["name"])
        _box(figure, style, table, places[name], is_root=name == root, is_selected=name == selected)
    _label_links(figure, style, places, {pair: (link_notes or {}).get(pair, ()) for pair in pairs}, selected)
    _targets(figure, places, {str(table["name"]): style.say(_sentence(table, pairs)) for table in tables})
    rows = [y for _, y in places.values()]
    figure.update_xaxes(visible=False, range=[-0.44, max(n_layers - 0.56, 1.44)])
    figure.update_yaxes(visible=False, range=[max(rows) + 0.5, min(rows) - 0.5])
    return figure


def _finding(tables: Sequence[Mapping[str, Any]], links: Sequence[tuple[str, str]], root: str | None) -> Message:
    values = {
        "tables": len(tables),
        "links": len(links),
        "rows": count(sum(int(table["rows"]) for table in tables)),
    }
    names = {table["name"]: table.get("label") or table["name"] for table in tables}
    if root in names:
        return msg(
            "{tables} tables, {links} links, {rows} rows; one score for each row of {root}", root=names[root], **values
        )
    return msg("{tables} tables, {links} links, {rows} rows", **values)


def _sentence(table: Mapping[str, Any], links: Sequence[tuple[str, str]]) -> Message:
    parents = [parent for parent, child in links if child == table["name"]]
    size = msg(
        "{table}: {rows} rows, {columns} columns, {parents} parents",
        table=table.get("label") or table["name"],
        rows=count(int(table["rows"])),
        columns=count(table.get("columns")),
        parents=len(parents),
    )
    return msg("{size}; {times}", size=size, times=table["times"]) if table.get("times") else size


def _targets(figure: go.Figure, places: Mapping[str, tuple[int, float]], sentences: Mapping[str, str]) -> None:
    """Lay unseen marks over the boxes, which answer the pointer and a click; their custom data is the table's name."""
    names = list(sentences)
    spots = [(name, side) for side in (0.0, -0.24, 0.24) for name in names]
    figure.add_scatter(
        x=[places[name][0] + side for name, side in spots],
        y=[places[name][1] for name, _ in spots],
        customdata=[name for name, _ in spots],
        mode="markers",
        marker={"size": 44, "opacity": 0, "symbol": "square"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        name="tables",
        **hover([sentences[name] for name, _ in spots]),
    )


def _ends(parent: tuple[int, float], child: tuple[int, float]) -> tuple[float, float, float, float]:
    return parent[0] + _BOX_WIDTH / 2, parent[1], child[0] - _BOX_WIDTH / 2, child[1]


def _label_links(
    figure: go.Figure,
    style: Style,
    places: Mapping[str, tuple[int, float]],
    notes: Mapping[tuple[str, str], Sequence[tuple[str, float]]],
    selected: str | None,
) -> None:
    """Write the keys of the selected table's links, and the share of rows that found their parent, on the lines."""
    for (parent, child), said in notes.items():
        if selected in (parent, child) and said:
            x, y = _beside(_ends(places[parent], places[child]), at_parent=child == selected)
            lines = [f"{style.say(shorten(column, 12))}<br>{percent(share, 0)}" for column, share in said]
            note(figure, "<br>".join(lines), x, y, style.colors.muted, xanchor="center")


def _beside(ends: tuple[float, float, float, float], *, at_parent: bool) -> tuple[float, float]:
    """Return the place of a link's line in the middle of the gap beside its child, or its parent."""
    x0, y0, x1, y1 = ends
    half_gap = (1 - _BOX_WIDTH) / 2 / (x1 - x0)
    along = half_gap if at_parent else 1 - half_gap
    low, high = 0.0, 1.0
    for _ in range(20):  # the line is a Bézier curve whose two handles stand in the middle
        t = (low + high) / 2
        low, high = (t, high) if 1.5 * t - 1.5 * t * t + t * t * t < along else (low, t)
    return x0 + (x1 - x0) * along, y0 + (y1 - y0) * (3 * low * low - 2 * low * low * low)


def _link(
    figure: go.Figure, style: Style, parent: tuple[int, float], child: tuple[int, float], *, stands_out: bool
) -> None:
    x0, y0, x1, y1 = _ends(parent, child)
    bend = (x1 - x0) / 2
    figure.add_shape(
        type="path",
        path=f"M {x0:.4f},{y0:.4f} C {x0 + bend:.4f},{y0:.4f} {x1 - bend:.4f},{y1:.4f} {x1:.4f},{y1:.4f}",
        line={"color": style.colors.brand if stands_out else translucent(style.colors.reference, 0.6), "width": 1.5},
        layer="below",
    )


def _box(
    figure: go.Figure,
    style: Style,
    table: Mapping[str, Any],
    place: tuple[int, float],
    *,
    is_root: bool,
    is_selected: bool,
) -> None:
    colors, is_used = style.colors, table.get("is_used", True)
    x, y = place
    left, top = x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2
    frame = {
        "color": colors.brand if is_root or is_selected else translucent(colors.reference, 0.6),
        "width": 2 if is_selected else 1,
        "dash": "solid" if is_used else "dot",
    }
    box = {"type": "rect", "x0": left, "y0": top, "y1": top + _BOX_HEIGHT}
    ground = colors.brand_soft if is_root and table.get("share") is None else colors.panel
    figure.add_shape(**box, x1=left + _BOX_WIDTH, fillcolor=ground, line=frame)
    if table.get("share"):
        done = {"fillcolor": translucent(colors.brand, 0.16), "line": {"width": 0}}
        figure.add_shape(**box, x1=left + _BOX_WIDTH * float(table["share"]), **done)
    figure.add_annotation(x=x, y=y, showarrow=False, text=_words(style, table))


def _words(style: Style, table: Mapping[str, Any]) -> str:
    muted = style.colors.muted
    label = style.say(shorten(str(table.get("label") or table["name"]), 20))
    name = f"<b>{label}</b>" if table.get("is_used", True) else f'<span style="color:{muted}">{label}</span>'
    rows = style.say(msg("{n} rows", n=count(int(table["rows"]))))
    lines = [rows, style.say(table["note"])] if table.get("note") else [rows]
    return f'{name}<br><span style="color:{muted}">{"<br>".join(lines)}</span>'


def layered_layout(names: Sequence[str], links: Sequence[tuple[str, str]]) -> dict[str, tuple[int, float]]:
    """Return (layer, height) of each table: children right of all their parents, crossings few.

    A table stands one layer right of its rightmost parent; links that would close a circle are left out of the count.
    The order within a layer follows the middle of a table's neighbours, swept both ways a few times.

    Examples
    --------
    >>> layered_layout(["firm", "loan", "payment"], [("firm", "loan"), ("loan", "payment")])
    {'firm': (0, 0.0), 'loan': (1, 0.0), 'payment': (2, 0.0)}
    """
    layers = _layers(names, links)
    n_layers = 1 + max(layers.values())
    rows = [[name for name in names if layers[name] == k] for k in range(n_layers)]
    neighbours: dict[str, list[str]] = {name: [] for name in names}
    for parent, child in links:
        neighbours[parent].append(child)
        neighbours[child].append(parent)
    heights = _heights(rows)
    for sweep in range(8):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=lambda name: _middle(name, neighbours, heights))
            heights |= _heights([row])
    return {name: (layers[name], heights[name]) for name in names}


def _middle(name: str, neighbours: Mapping[str, list[str]], heights: Mapping[str, float]) -> float:
    around = [heights[other] for other in neighbours[name]]
    return sum(around) / len(around) if around else heights[name]


def _heights(rows: Sequence[Sequence[str]]) -> dict[str, float]:
    return {name: i - (len(row) - 1) / 2 for row in rows for i, name in enumerate(row)}


def _layers(names: Sequence[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    children: dict[str, list[str]] = {name: [] for name in names}
    for parent, child in links:
        children[parent].append(child)
    layers = dict.fromkeys(names, 0)
    done: list[str] = []
    seen: set[str] = set()

    def visit(name: str, path: frozenset[str]) -> None:
        if name in seen:
            return
        seen.add(name)
        for child in children[name]:
            if child not in path:
                visit(child, path | {child})
        done.append(name)

    for name in names:
        visit(name, frozenset({name}))
    order = {name: i for i, name in enumerate(reversed(done))}
    for name in sorted(names, key=order.__getitem__):
        for child in children[name]:
            if order[child] > order[name]:
                layers[child] = max(layers[child], layers[name] + 1)
    return layers
