"""What tables, columns and times are called where one is chosen: by their labels, else by their names."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench.flows.importing import TableProfile
from workbench.ui.column_words import table_title
from workbench.ui.texts import language, t

__all__ = ["column_namer", "place_namer", "table_namer"]


def table_namer(tables: Mapping[str, TableProfile]) -> Callable[[str], str]:
    """Return what says a table's label with its name."""
    return lambda name: table_title(name, tables[name].label)


def column_namer(table: TableProfile, nothing: str = "") -> Callable[[str], str]:
    """Return what says a column's label with its name, and `nothing` for none."""
    labels = {column.name: column.label for column in table.columns}
    return lambda name: table_title(name, labels[name]) if name else nothing


def place_namer(tables: Mapping[str, TableProfile], places: Iterable[str], nothing: str = "–") -> Callable[[Any], str]:
    """Return what says ``table.column`` by the labels of both, and `nothing` for none.

    Parameters
    ----------
    tables : mapping of str to TableProfile
        All tables, by name.
    places : iterable of str
        All that are offered, as ``table.column``; those whose labels are the same have their names beside these.
    nothing : str
        What stands for no place.
    """
    spoken = language()
    owners = {name: table.label.get(spoken, "") for name, table in tables.items()}
    labels = {
        f"{name}.{column.name}": column.label.get(spoken, "")
        for name, table in tables.items()
        for column in table.columns
    }
    titles = {place: _title(owners[place.split(".", 1)[0]], labels[place]) or place for place in places if place}
    counted = Counter(titles.values())
    said = {
        place: title if counted[title] == 1 or title == place else f"{title} ({place})"
        for place, title in titles.items()
    }
    return lambda place: said.get(place, place) if place else nothing


def _title(table: str, column: str) -> str:
    """Return the two labels as one, nothing where one is missing."""
    return t("{table}: {column}", table=table, column=column) if table and column else ""
