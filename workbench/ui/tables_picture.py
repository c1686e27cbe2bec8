"""The tables of a project as a picture, as the Data, Tables and Features pages draw it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reporting import figures
from workbench.flows.importing import TableProfile
from workbench.ui.charts import chart
from workbench.ui.session import theme
from workbench.ui.texts import language

__all__ = ["TableBox", "tables_picture"]


@dataclass(frozen=True)
class TableBox:
    """One table: what stands in its box, and what the pointer is told.

    Parameters
    ----------
    profile : TableProfile
        The table.
    note, times : str, default=""
        The third line, and a sentence for the pointer.
    is_used : bool, default=True
        Whether it counts here; otherwise its frame is dotted.
    share : float, optional
        How far it is, 0 to 1.
    """

    profile: TableProfile
    note: str = ""
    times: str = ""
    is_used: bool = True
    share: float | None = None


def tables_picture(
    boxes: Sequence[TableBox],
    links: Sequence[tuple[str, str, str, float]],
    name: str,
    *,
    root: str | None = None,
    selected: str | None = None,
    title: str | None = None,
    on_click: Callable[[str], None] | None = None,
) -> None:
    """Draw tables and their links.

    Parameters
    ----------
    boxes : sequence of TableBox
        The tables.
    links : sequence of (parent, child, child's column, share of its rows that found their parent)
        Drawn once for each pair of tables.
    name : str
        Tells the picture from others of the page.
    root, selected : str, optional
        The table that stands out, and the one looked at.
    title : str, optional
        In place of the counted tables, links and rows.
    on_click : callable of str, optional
        Told the table that was clicked.
    """
    nodes = [
        {
            "name": box.profile.name,
            "rows": box.profile.n_rows,
            "columns": len(box.profile.columns),
            "label": box.profile.label.get(language(), ""),
            "note": box.note,
            "times": box.times,
            "is_used": box.is_used,
            "share": box.share,
        }
        for box in boxes
    ]
    said: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for parent, child, column, matched in links:
        said.setdefault((parent, child), []).append((column, matched))
    figure = figures.tables_graph(
        nodes,
        [(parent, child) for parent, child, _, _ in links],
        root=root,
        selected=selected,
        link_notes=said,
        title=title,
        language=language(),
        theme=theme(),
    )
    chart(figure, name, on_click=on_click)
