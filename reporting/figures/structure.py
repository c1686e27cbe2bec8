"""How the tables hang together, as a picture: parents left, children right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, percent
from reporting.figures.canvas import Style, empty, hover, note, start
from reporting.figures.wording import balanced, shorten
from reporting.tokens import CAPTION_SIZE, translucent

__all__ = ["essential_links", "layered_layout", "tables_graph"]

_BOX_WIDTH, _BOX_HEIGHT = 0.7, 0.76
_MANY: Final = 16
_ALL: Final = 0.9995  # shown as 100 %
_PAGE_PIXELS, _NARROW_PIXELS = 1130, 910
_LETTER_PIXELS, _BOLD_PIXELS = 6.4, 6.9
_FEWEST_LETTERS, _MOST_LETTERS = 10, 26
_PITCH, _LINE = 74, 16
_KEY_LETTERS = 11


@dataclass(frozen=True)
class _Room:
    """How much room a table has in the picture: of many tables each says less, in smaller letters.

    Parameters
    ----------
    pitch : int
        Pixels from one row of tables to the next.
    n_letters : int
        Letters that a line holds.
    size : int or None
        Size of the letters; None for that of the chart.
    n_lines : int
        Lines that a name may take.
    is_dense : bool
        Whether there are many tables: links that another way shows too are then drawn for the selected table only.
    """

    pitch: int
    n_letters: int
    size: int | None
    n_lines: int
    is_dense: bool

    @classmethod
    def of(cls, names: Sequence[str], n_layers: int) -> "_Room":
        if len(names) > _MANY:
            letters = int(_PAGE_PIXELS / max(n_layers, 2) * _BOX_WIDTH / _LETTER_PIXELS)
            return cls(46, letters, CAPTION_SIZE - 1, 1, is_dense=True)
        fitting = int(_NARROW_PIXELS / max(n_layers, 2) * _BOX_WIDTH / _BOLD_PIXELS)
        letters = min(max(fitting, _FEWEST_LETTERS), _MOST_LETTERS)
        n_lines = 2 if any(len(balanced(name, letters)) > 1 for name in names) else 1
        return cls(_PITCH + _LINE * (n_lines - 1), letters, None, n_lines, is_dense=False)

    def lines(self, name: str) -> list[str]:
        """Return a name in as many lines as there is room for, cut where it is longer."""
        if self.n_lines == 1:
            return [shorten(name, self.n_letters)]
        first, *rest = balanced(name, self.n_letters)
        return [shorten(line, self.n_letters) for line in (first, " ".join(rest)) if line]


@dataclass(frozen=True)
class _Sheet:
    """What is drawn on a figure, put there at once: one by one, each costs as much as all before it."""

    shapes: list[dict[str, Any]]
    annotations: list[dict[str, Any]]

    def put_on(self, figure: go.Figure) -> None:
        """Draw it above what is on the figure already."""
        shapes = [*figure.layout.shapes, *self.shapes]
        figure.update_layout(shapes=shapes, annotations=[*figure.layout.annotations, *self.annotations])


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
        As often as there are columns that link the two; drawn once.
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
    known = [(p, c) for p, c in links if p in names and c in names]
    pairs = list(dict.fromkeys(known))
    is_dense = len(tables) > _MANY
    places = layered_layout(names, essential_links(pairs) if is_dense else pairs)
    n_layers = 1 + max(layer for layer, _ in places.values())
    room = _Room.of([str(table.get("label") or table["name"]) for table in tables], n_layers)
    depth = max(sum(1 for layer, _ in places.values() if layer == k) for k in range(n_layers))
    figure = start(
        style, title or _finding(tables, len(known), root), height=90 + room.pitch * max(depth, 2)
    )  # fmt: skip
    drawn = _drawn(pairs, selected) if is_dense else pairs
    sheet = _Sheet([], [])
    for parent, child in sorted(drawn, key=lambda pair: selected in pair):
        _link(sheet, style, places[parent], places[child], stands_out=selected in (parent, child))
    for table in tables:
        name = str(table["name"])
        _box(sheet, style, table, places[name], room, is_root=name == root, is_selected=name == selected)
    sheet.put_on(figure)
    notes = {pair: (link_notes or {}).get(pair, ()) for pair in drawn}
    if is_dense:
        _label_ends(figure, style, places, notes, selected)
    else:
        _label_links(figure, style, places, notes, selected)
    _targets(figure, places, {str(table["name"]): style.say(_sentence(table, pairs)) for table in tables})
    rows = [y for _, y in places.values()]
    figure.update_xaxes(visible=False, range=[-0.44, max(n_layers - 0.56, 1.44)])
    figure.update_yaxes(visible=False, range=[max(rows) + 0.5, min(rows) - 0.5])
    return figure


def _finding(tables: Sequence[Mapping[str, Any]], n_links: int, root: str | None) -> Message:
    n_rows = sum(int(table["rows"]) for table in tables)
    values = {
        "tables": msg("1 table") if len(tables) == 1 else msg("{n} tables", n=len(tables)),
        "links": msg("1 link") if n_links == 1 else msg("{n} links", n=n_links),
        "rows": msg("1 row") if n_rows == 1 else msg("{n} rows", n=count(n_rows)),
    }
    names = {table["name"]: table.get("label") or table["name"] for table in tables}
    if root in names:
        return msg("{tables}, {links}, {rows}; one score for each row of {root}", root=names[root], **values)
    return msg("{tables}, {links}, {rows}", **values)


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


def essential_links(links: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the links without those from a table to one that it leads to by way of others too.

    Examples
    --------
    >>> essential_links([("firm", "loan"), ("loan", "payment"), ("firm", "payment")])
    [('firm', 'loan'), ('loan', 'payment')]
    """
    children: dict[str, set[str]] = {}
    for parent, child in links:
        children.setdefault(parent, set()).add(child)

    def below(name: str) -> set[str]:
        found: set[str] = set()
        open_names = [name]
        while open_names:
            more = children.get(open_names.pop(), set()) - found
            found |= more
            open_names += more
        return found

    reached = {name: below(name) for name in children}
    return [
        (parent, child)
        for parent, child in links
        if parent in reached.get(child, ())  # in a circle every link is a way round
        or not any(
            child in reached.get(other, ()) and parent not in reached.get(other, ())
            for other in children[parent] - {child, parent}
        )
    ]


def _drawn(links: Sequence[tuple[str, str]], selected: str | None) -> list[tuple[str, str]]:
    essential = set(essential_links(links))
    return [link for link in links if link in essential or selected in link]


def _label_ends(
    figure: go.Figure,
    style: Style,
    places: Mapping[str, tuple[int, float]],
    notes: Mapping[tuple[str, str], Sequence[tuple[str, float]]],
    selected: str | None,
) -> None:
    """Write at the far end of the selected table's links what share of the rows found their parent, where not all."""
    for (parent, child), said in notes.items():
        lowest = min((share for _, share in said), default=1.0)
        if selected not in (parent, child) or lowest >= _ALL:
            continue
        x0, y0, x1, y1 = _ends(places[parent], places[child])
        end = (x0, y0, "left") if child == selected else (x1, y1, "right")
        note(figure, percent(lowest, 0), end[0], end[1] - 0.24, style.colors.watch, xanchor=end[2])


def _ends(parent: tuple[int, float], child: tuple[int, float]) -> tuple[float, float, float, float]:
    return parent[0] + _BOX_WIDTH / 2, parent[1], child[0] - _BOX_WIDTH / 2, child[1]


def _label_links(
    figure: go.Figure,
    style: Style,
    places: Mapping[str, tuple[int, float]],
    notes: Mapping[tuple[str, str], Sequence[tuple[str, float]]],
    selected: str | None,
) -> None:
    """Write the keys of the selected table's links at their far ends, and what share of the rows found their parent."""
    for (parent, child), said in notes.items():
        if selected not in (parent, child) or not said:
            continue
        x0, y0, x1, y1 = _ends(places[parent], places[child])
        x, y, anchor, shift = (x0, y0, "left", 5) if child == selected else (x1, y1, "right", -5)
        lines = [style.say(shorten(column, _KEY_LETTERS)) for column, _ in said]
        lowest = min(share for _, share in said)
        color = style.colors.muted if lowest >= _ALL else style.colors.watch
        lines += [] if lowest >= _ALL else [percent(lowest, 0)]
        font = {"color": color, "size": CAPTION_SIZE - 1}
        note(figure, "<br>".join(lines), x, y, color, xanchor=anchor, xshift=shift, font=font)


def _link(
    sheet: _Sheet, style: Style, parent: tuple[int, float], child: tuple[int, float], *, stands_out: bool
) -> None:
    x0, y0, x1, y1 = _ends(parent, child)
    bend = (x1 - x0) / 2
    color = style.colors.brand if stands_out else translucent(style.colors.reference, 0.6)
    path = f"M {x0:.4f},{y0:.4f} C {x0 + bend:.4f},{y0:.4f} {x1 - bend:.4f},{y1:.4f} {x1:.4f},{y1:.4f}"
    sheet.shapes.append({"type": "path", "path": path, "line": {"color": color, "width": 1.5}, "layer": "below"})


def _box(
    sheet: _Sheet,
    style: Style,
    table: Mapping[str, Any],
    place: tuple[int, float],
    room: _Room,
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
    sheet.shapes.append({**box, "x1": left + _BOX_WIDTH, "fillcolor": ground, "line": frame})
    if table.get("share"):
        done = {"fillcolor": translucent(colors.brand, 0.16), "line": {"width": 0}}
        sheet.shapes.append({**box, "x1": left + _BOX_WIDTH * float(table["share"]), **done})
    font = {} if room.size is None else {"font": {"size": room.size}}
    sheet.annotations.append({"x": x, "y": y, "showarrow": False, "text": _words(style, table, room), **font})


def _words(style: Style, table: Mapping[str, Any], room: _Room) -> str:
    muted = style.colors.muted
    label = "<br>".join(map(style.say, room.lines(str(table.get("label") or table["name"]))))
    name = f"<b>{label}</b>" if table.get("is_used", True) else f'<span style="color:{muted}">{label}</span>'
    rows = style.say(msg("{n} rows", n=count(int(table["rows"]))))
    said = style.say(table["note"]) if table.get("note") else ""
    said = shorten(said, room.n_letters if room.is_dense else room.n_letters + 2)  # in lighter letters
    wanted = [said or rows] if room.is_dense else [rows, said]
    lines = [line for line in wanted if line]
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
