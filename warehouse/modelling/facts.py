"""A data model as a flat list of single facts: what versions are compared by, and changes are put together by."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec

__all__ = ["Fact", "as_facts", "as_model", "completed", "put_together"]

Fact = tuple[str, ...]
"""What is said, from the large to the small: ``("column", "loans", "amount", "unit")``."""

_TABLE_FIELDS: Final = (
    "label", "file", "sheet", "encoding", "delimiter", "primary_key", "event_time", "known_at", "known_at_lag_days",
    "is_macro",
)  # fmt: skip
_COLUMN_FIELDS: Final = ("type", "role", "label", "unit", "feature_unit", "code_table", "levels")


def as_facts(model: DataModel) -> dict[Fact, Any]:
    """Return all that `model` says beyond the defaults, in its order.

    Examples
    --------
    >>> model = DataModel.from_text("tables: {loans: {primary_key: [id], columns: {id: {type: id, role: key}}}}")
    >>> sorted(as_facts(model))  # doctest: +NORMALIZE_WHITESPACE
    [('column', 'loans', 'id'), ('column', 'loans', 'id', 'role'), ('column', 'loans', 'id', 'type'),
     ('table', 'loans'), ('table', 'loans', 'primary_key')]
    """
    facts: dict[Fact, Any] = {} if model.as_of is None else {("as_of",): model.as_of}
    for name, table in model.tables.items():
        facts["table", name] = True
        for field in _TABLE_FIELDS:
            _say(facts, ("table", name, field), getattr(table, field), TableSpec.model_fields[field].get_default(
                call_default_factory=True))  # fmt: skip
        for column, spec in table.columns.items():
            facts["column", name, column] = True
            facts["column", name, column, "type"] = spec.type
            facts["column", name, column, "role"] = spec.role
            for field in _COLUMN_FIELDS[2:]:
                default = ColumnSpec.model_fields[field].get_default(call_default_factory=True)
                _say(facts, ("column", name, column, field), getattr(spec, field), default)
        for group in table.late_columns:
            facts |= {("late", name, column): group.known_at for column in group.columns}
    for link in model.relationships:
        place = ("link", link.child, link.child_column)
        facts[place] = (*facts.get(place, ()), (link.parent, link.parent_column))
    return facts


def as_model(facts: Mapping[Fact, Any]) -> DataModel:
    """Return the model that says `facts`; what belongs to a table or column that is not there is left out."""
    tables = {
        fact[1]: _table(facts, fact[1])
        for fact, said in facts.items()
        if len(fact) == 2 and fact[0] == "table" and said
    }
    links = [
        Relationship(parent=parent, parent_column=parent_column, child=fact[1], child_column=fact[2])
        for fact, parents in facts.items()
        if fact[0] == "link"
        for parent, parent_column in parents
        if all(name in tables and column in tables[name].columns
               for name, column in ((parent, parent_column), fact[1:]))
    ]  # fmt: skip
    about = {"as_of": facts[("as_of",)]} if ("as_of",) in facts else {}
    return DataModel(tables=tables, relationships=links, **about)


def put_together(
    base: Mapping[Fact, Any], mine: Mapping[Fact, Any], theirs: Mapping[Fact, Any]
) -> tuple[dict[Fact, Any], tuple[Fact, ...]]:
    """Return what two people made of one model, and the facts that both changed, to different ends; `mine` goes there.

    What one of them took away and the other changed is such a conflict too.
    """
    put: dict[Fact, Any] = {}
    conflicts = []
    for fact in (*theirs, *(fact for fact in mine if fact not in theirs)):
        before, here, there = (side.get(fact) for side in (base, mine, theirs))
        if here != before and there not in (before, here):
            conflicts.append(fact)
        chosen = here if here != before else there
        if chosen is not None:
            put[fact] = chosen
    return put, tuple(conflicts)


def completed(model: DataModel) -> DataModel:
    """Return the same model in the one form in which versions are written: short, and nothing left to be inferred."""
    return as_model(as_facts(model))


def _say(facts: dict[Fact, Any], fact: Fact, value: Hashable | Any, default: Any) -> None:
    if value != default:
        facts[fact] = value


def _table(facts: Mapping[Fact, Any], name: str) -> TableSpec:
    columns: dict[str, ColumnSpec] = {}
    for fact in facts:
        if fact[:2] == ("column", name) and len(fact) == 3:
            fields = {field: facts.get((*fact, field)) for field in _COLUMN_FIELDS}
            columns[fact[2]] = ColumnSpec(**{field: value for field, value in fields.items() if value is not None})
    given = {field: facts[("table", name, field)] for field in _TABLE_FIELDS if ("table", name, field) in facts}
    said: dict[str, Any] = {
        "primary_key": [],
        "event_time": None,
        "known_at": None,
        "late_columns": [],
    }  # an import infers what is unsaid
    late = _late(facts, name, columns)
    return TableSpec(**{**_existing(given, columns), "columns": columns, **said, **_existing(given, columns), **late})


def _existing(given: dict[str, Any], columns: Mapping[str, ColumnSpec]) -> dict[str, Any]:
    """Leave out keys and times of columns that are not there any more."""
    kept = dict(given)
    if not set(given.get("primary_key", ())) <= columns.keys():
        del kept["primary_key"]
    for field in ("event_time", "known_at"):
        if field in given and given[field] not in columns:
            del kept[field]
    return kept


def _late(facts: Mapping[Fact, Any], name: str, columns: Mapping[str, ColumnSpec]) -> dict[str, Any]:
    groups: dict[str, list[str]] = {}
    for fact, known_at in facts.items():
        if fact[:2] == ("late", name) and fact[2] in columns and known_at in columns:
            groups.setdefault(known_at, []).append(fact[2])
    late = [LateColumns(columns=group, known_at=known_at) for known_at, group in groups.items()]
    return {"late_columns": late} if late else {}
