"""The tables as the feature step sees them: what is a case, what leads to it, and how well the rows are linked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.flows.importing import ImportResult, RelationshipView, TableProfile

if TYPE_CHECKING:
    from features.spec import FeatureSpec

__all__ = ["TableGraph", "TableLink", "TableNode", "table_graph"]

Place = Literal["cases", "parent", "child", "by_time", "apart"]


@dataclass(frozen=True)
class TableNode:
    """A table: its place seen from the cases, and whether its rows are used."""

    profile: TableProfile
    place: Place
    is_used: bool

    @property
    def name(self) -> str:
        """The table's name."""
        return self.profile.name


@dataclass(frozen=True)
class TableLink:
    """A link, and what share of the child's rows found their parent; `n_unlinked` name none or one that is not there.

    `n_orphans` of the unlinked rows name a parent that is not there.
    """

    parent: str
    parent_column: str
    child: str
    child_column: str
    n_rows: int
    n_orphans: int
    n_unlinked: int

    @property
    def matched(self) -> float:
        """Share of the child's rows that found their parent, 0 to 1."""
        return 1 - self.n_unlinked / max(self.n_rows, 1)


@dataclass(frozen=True)
class TableGraph:
    """All tables and links of a project; `root` is the table of the cases."""

    root: str
    nodes: tuple[TableNode, ...]
    links: tuple[TableLink, ...]

    def node(self, name: str) -> TableNode:
        """Return one table."""
        return next(node for node in self.nodes if node.name == name)

    def links_of(self, name: str) -> list[TableLink]:
        """Return the links that begin or end at a table."""
        return [link for link in self.links if name in (link.parent, link.child)]


def table_graph(data: ImportResult, root: str, choice: "FeatureSpec") -> TableGraph:
    """Return the graph of the imported tables, as `choice` uses them for the cases in `root`."""
    links = tuple(_link(data, link) for link in data.relationships)
    up = [(link.child, link.parent) for link in links]
    above, linked = _reached(root, up), _reached(root, up + [(link.parent, link.child) for link in links])

    def place(table: TableProfile) -> Place:
        if table.name == root:
            return "cases"
        if table.is_macro:
            return "by_time"
        if table.name in above:
            return "parent"
        return "child" if table.name in linked else "apart"

    nodes = tuple(TableNode(profile, place(profile), choice.allows(profile.name)) for profile in data.tables)
    return TableGraph(root, nodes, links)


def _link(data: ImportResult, link: RelationshipView) -> TableLink:
    child = data.table(link.child)
    column = next(column for column in child.columns if column.name == link.child_column)
    n_null = round(column.missing_rate * child.n_rows)
    return TableLink(
        link.parent,
        link.parent_column,
        link.child,
        link.child_column,
        child.n_rows,
        link.n_orphans,
        link.n_orphans + n_null,
    )


def _reached(start: str, steps: list[tuple[str, str]]) -> set[str]:
    """Return the tables that can be reached from `start` by the `steps`."""
    reached = {start}
    while True:
        more = {to for origin, to in steps if origin in reached} - reached
        if not more:
            return reached - {start}
        reached |= more
