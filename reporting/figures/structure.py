"""How the tables hang together, as a picture: parents left, children right."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count
from reporting.figures.canvas import Style, empty, hover, start
from reporting.figures.wording import shorten
from reporting.tokens import translucent

__all__ = ["layered_layout", "tables_graph"]

_BOX_WIDTH, _BOX_HEIGHT = 0.82, 0.64


def tables_graph(
    tables: Sequence[Mapping[str, Any]],
    links: Sequence[tuple[str, str]],
    *,
    root: str | None = None,
    title: MessageLike | None = None,
    language: str = "en",
    theme: str = "light",
) -> go.Figure:
    """Draw tables as boxes with their number of rows, links as lines from parent to child.

    Parameters
    ----------
    tables : sequence of mappings
        Each with ``name`` and ``rows`` (int), and, if known, ``label`` (readable name), ``columns`` (int).
    links : sequence of (parent, child) names
    root : str, optional
        The table a score is made for; it stands out.
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
    figure = start(style, title or _finding(tables, pairs, root), height=90 + 58 * max(depth, 2))
    for parent, child in pairs:
        _link(figure, style, places[parent], places[child])
    for table in tables:
        _box(figure, style, table, places[str(table["name"])], is_root=table["name"] == root)
    sentences = [style.say(_sentence(table, pairs)) for table in tables]
    figure.add_scatter(
        x=[places[name][0] for name in names],
        y=[places[name][1] for name in names],
        mode="markers",
        marker={"size": 40, "opacity": 0},
        name="tables",
        **hover(sentences),
    )
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
    return msg(
        "{table}: {rows} rows, {columns} columns, {parents} parents",
        table=table.get("label") or table["name"],
        rows=count(int(table["rows"])),
        columns=count(table.get("columns")),
        parents=len(parents),
    )


def _link(figure: go.Figure, style: Style, parent: tuple[int, float], child: tuple[int, float]) -> None:
    x0, y0 = parent[0] + _BOX_WIDTH / 2, parent[1]
    x1, y1 = child[0] - _BOX_WIDTH / 2, child[1]
    bend = (x1 - x0) / 2
    figure.add_shape(
        type="path",
        path=f"M {x0:.4f},{y0:.4f} C {x0 + bend:.4f},{y0:.4f} {x1 - bend:.4f},{y1:.4f} {x1:.4f},{y1:.4f}",
        line={"color": style.colors.reference, "width": 1.5},
        layer="below",
    )


def _box(figure: go.Figure, style: Style, table: Mapping[str, Any], place: tuple[int, float], *, is_root: bool) -> None:
    colors = style.colors
    x, y = place
    figure.add_shape(
        type="rect",
        x0=x - _BOX_WIDTH / 2,
        x1=x + _BOX_WIDTH / 2,
        y0=y - _BOX_HEIGHT / 2,
        y1=y + _BOX_HEIGHT / 2,
        fillcolor=colors.brand_soft if is_root else colors.panel,
        line={"color": colors.brand if is_root else translucent(colors.reference, 0.6), "width": 2 if is_root else 1},
    )
    label = style.say(shorten(str(table.get("label") or table["name"]), 16))
    rows = style.say(msg("{n} rows", n=count(int(table["rows"]))))
    figure.add_annotation(
        x=x, y=y, showarrow=False, text=f'<b>{label}</b><br><span style="color:{colors.muted}">{rows}</span>'
    )


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
