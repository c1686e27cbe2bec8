"""The catalogue: every table and column with its meaning, its standard, its personal mark, and what it has become."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import NotFoundError
from core.i18n import Message, msg
from workbench.flows import features, importing, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.flows.results import MessageField
from workbench.flows.steps import Step, read_step

if TYPE_CHECKING:
    from features.definitions import FeatureDefinition
    from features.plan import FeaturePlan
    from warehouse.standard.matching import ColumnMatch

__all__ = ["FeatureUse", "Field", "Lineage", "VersionUse", "fields", "lineage", "search"]

_MOST_VERSIONS = 12


@dataclass(frozen=True)
class Field:
    """A column as the catalogue lists it.

    Parameters
    ----------
    table, column : str
        Where it stands.
    table_label, label : dict of str to str
        Readable names per language.
    type, role : str
        As in the data model.
    unit : str or None
        Unit of a number.
    missing_rate : float
        Share of empty values.
    is_personal : bool
        Whether its values are shown masked.
    standard_field : str or None
        ``table.field`` of the data standard that it is.
    standard_label : dict of str to str
        Name of that field per language.
    source : Message or None
        Who the standard says it comes from.
    n_features : int
        Kept features that read it.
    """

    table: str
    column: str
    table_label: dict[str, str]
    label: dict[str, str]
    type: str
    role: str
    unit: str | None
    missing_rate: float
    is_personal: bool
    standard_field: str | None
    standard_label: dict[str, str]
    source: MessageField | None
    n_features: int

    def words(self) -> str:
        """Return all that a search looks at, in lower case."""
        names = (self.table, self.column, self.standard_field or "", self.type)
        labels = (*self.table_label.values(), *self.label.values(), *self.standard_label.values())
        return "\n".join((*names, *labels)).casefold()


@dataclass(frozen=True)
class FeatureUse:
    """A kept feature that reads a column."""

    alias: str
    names: dict[str, str]


@dataclass(frozen=True)
class VersionUse:
    """A version with features that read a column; `slots` says where it is at work now."""

    number: int
    state: str
    features: tuple[FeatureUse, ...]
    slots: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """What a column has become: the project's kept features, the versions that hold such, the slots they are in."""

    table: str
    column: str
    features: tuple[FeatureUse, ...]
    versions: tuple[VersionUse, ...]


def fields(ctx: Context, project: str) -> tuple[Field, ...]:
    """Return every column of the project's tables, in the order of the data model; needs ``view``."""
    ctx.require("view")
    projects.get(ctx, project)
    data = importing.stored(ctx, project)
    if data is None:
        return ()
    reads = _reads(_current_plan(ctx, project))
    matched = _matched(data.data_model_yaml, projects.spec(ctx, project).standard.model_dump_json())
    return tuple(
        _field(data, table.name, column.name, matched.get((table.name, column.name)), reads)
        for table in data.tables
        for column in table.columns
    )


def search(found: Iterable[Field], text: str) -> tuple[Field, ...]:
    """Return the fields in which every word of `text` stands: in a name or label, in either language."""
    words = text.casefold().split()
    return tuple(field for field in found if all(word in field.words() for word in words))


def lineage(ctx: Context, project: str, table: str, column: str) -> Lineage:
    """Return what a column has become; needs ``view``.

    Raises
    ------
    NotFoundError
        If there is no such column.
    """
    ctx.require("view")
    data = importing.stored(ctx, project)
    known = {(item.name, one.name) for item in data.tables for one in item.columns} if data is not None else set()
    if (table, column) not in known:
        raise NotFoundError(msg("table {table} has no column {column}", table=table, column=column))
    of_project = _using(_current_plan(ctx, project), table, column)
    return Lineage(table, column, of_project, tuple(_versions(ctx, project, table, column)))


def _versions(ctx: Context, project: str, table: str, column: str) -> Iterable[VersionUse]:
    held: dict[int, list[str]] = {}
    for deployment in ctx.registry.deployments(project):
        if deployment.number is None:
            continue
        held.setdefault(deployment.number, []).append(deployment.slot)
    newest = sorted(ctx.registry.versions(project), key=lambda version: -version.number)
    for place, version in enumerate(newest):
        if place >= _MOST_VERSIONS and version.number not in held:
            continue
        found = _using(ctx.registry.bundle(project, version.number).plan, table, column)
        if found:
            slots = tuple(sorted(held.get(version.number, ())))
            yield VersionUse(version.number, version.state.value, found, slots)


def _current_plan(ctx: Context, project: str) -> "FeaturePlan | None":
    return None if read_step(ctx, project, Step.FEATURES) is None else features.plan(ctx, project)


def _using(plan: "FeaturePlan | None", table: str, column: str) -> tuple[FeatureUse, ...]:
    if plan is None:
        return ()
    return tuple(
        FeatureUse(item.alias, dict(item.names))
        for item in plan.definitions
        if (table, column) in _columns_of(plan, item)
    )


def _reads(plan: "FeaturePlan | None") -> dict[tuple[str, str], int]:
    """Return how many features read each column."""
    counts: dict[tuple[str, str], int] = {}
    for item in plan.definitions if plan is not None else ():
        for place in _columns_of(plan, item) if plan is not None else ():
            counts[place] = counts.get(place, 0) + 1
    return counts


def _columns_of(plan: "FeaturePlan", item: "FeatureDefinition") -> set[tuple[str, str]]:
    """Return the columns a feature is read from; of one that counts rows, the time or key that says which rows."""
    found = set(item.reads(plan.root_table))
    last = item.path[-1] if item.path else None
    if last is not None and last.direction == "down":
        schema = plan.tables[last.table]
        found |= {(last.table, name) for name in (schema.event_time, schema.known_at) if name is not None}
        if not item.reads(plan.root_table):
            found.add((last.table, last.child_column))
    return found


@lru_cache(maxsize=8)
def _matched(data_model: str, choices: str) -> "Mapping[tuple[str, str], ColumnMatch]":
    """Match by names and types; the rows are not read for a list, and reading the YAML of a model takes a second."""
    from warehouse.data_model import DataModel
    from warehouse.standard import load
    from warehouse.standard.choices import StandardChoices
    from warehouse.standard.matching import match_columns

    match = match_columns(DataModel.from_text(data_model), load(), StandardChoices.model_validate_json(choices))
    return {(item.table, item.column): item for item in match.columns}


def _field(
    data: ImportResult,
    table_name: str,
    column_name: str,
    match: "ColumnMatch | None",
    reads: Mapping[tuple[str, str], int],
) -> Field:
    from warehouse.standard import load
    from warehouse.standard.catalogue import SOURCES

    table = data.table(table_name)
    column = next(item for item in table.columns if item.name == column_name)
    standard = None if match is None else load().field(match.standard_table, match.field)
    source: Message | None = None if standard is None else SOURCES.get(standard.source)
    return Field(
        table=table_name,
        column=column_name,
        table_label=table.label,
        label=column.label,
        type=column.type,
        role=column.role,
        unit=column.unit,
        missing_rate=column.missing_rate,
        is_personal=column.is_personal,
        standard_field=None if match is None else f"{match.standard_table}.{match.field}",
        standard_label={} if standard is None else {str(key): text for key, text in standard.label.items()},
        source=source,
        n_features=reads.get((table_name, column_name), 0),
    )
