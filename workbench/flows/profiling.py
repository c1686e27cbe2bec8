"""The warehouse's figures of stored tables, in the form the Data page draws and the project keeps."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.flows.importing import ColumnProfile, RelationshipView, TableProfile

if TYPE_CHECKING:
    from warehouse import profile as figures
    from warehouse.data_model import TableSpec
    from warehouse.standard.choices import StandardChoices
    from warehouse.table_set import TableSet

__all__ = ["views"]

_N_TOP_VALUES = 8


def views(
    found: "figures.DataProfile", table_set: "TableSet", choices: "StandardChoices | None" = None
) -> tuple[tuple[TableProfile, ...], tuple[RelationshipView, ...]]:
    """Return the profile of every table, in the order of the data model, and of every relationship."""
    from warehouse.quality.personal import LOOKED_AT, personal_columns
    from warehouse.standard import load
    from warehouse.standard.matching import match_columns

    standard = load()
    match = match_columns(table_set.data_model, standard, choices)
    personal = {
        name: personal_columns(
            table_set.spec(name), table_set.first_rows(name, LOOKED_AT), match.fields_of(name, standard)
        )
        for name in table_set.names
    }
    links = tuple(
        RelationshipView(link.parent, link.parent_column, link.child, link.child_column, link.n_orphans)
        for link in found.links
    )
    return tuple(_table(table, personal[table.name], table_set.spec(table.name)) for table in found.tables), links


def _table(table: "figures.TableProfile", personal: Collection[str], spec: "TableSpec") -> TableProfile:
    return TableProfile(
        name=table.name,
        label={str(language): text for language, text in table.label.items()},
        n_rows=table.n_rows,
        primary_key=table.primary_key,
        event_time=table.event_time,
        known_at=table.known_at,
        first_event=_moment(table.first_event),
        last_event=_moment(table.last_event),
        columns=tuple(_column(column, is_personal=column.name in personal) for column in table.columns),
        is_macro=spec.is_macro,
    )


def _column(column: "figures.ColumnProfile", *, is_personal: bool) -> ColumnProfile:
    has_few_values = column.type in ("category", "boolean") and not is_personal
    return ColumnProfile(
        name=column.name,
        label={str(language): text for language, text in column.label.items()},
        type=column.type,
        role=column.role,
        unit=column.unit,
        missing_rate=column.missing_rate,
        n_distinct=column.n_distinct,
        minimum=_text(column.minimum),
        maximum=_text(column.maximum),
        mean=column.mean,
        top_values=tuple((top.value, top.count) for top in column.top[:_N_TOP_VALUES]) if has_few_values else (),
        is_personal=is_personal,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(value: float | str | None) -> str | None:
    if isinstance(value, float | int):
        return f"{value:,.6g}"
    return None if value is None else value.removesuffix("T00:00:00")
