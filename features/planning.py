"""Making a plan of definitions: the schema they need from the data model, and the frozen levels of their categories."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import ConfigurationError
from core.i18n import msg
from features.definitions import Condition, FeatureDefinition
from features.engine import compute
from features.engine_data import EngineData
from features.plan import ColumnKind, FeaturePlan, ReferenceSettings, TableSchema, needed_tables, sort_windows
from features.primitives.interface import Aggregation, Transform
from features.primitives.vocabulary import AGGREGATIONS, TRANSFORMS

if TYPE_CHECKING:
    from core.i18n import Language
    from warehouse.data_model import TableSpec
    from warehouse.table_set import TableSet

__all__ = ["freeze_levels", "make_plan", "table_schema"]

_KINDS: Final[dict[str, ColumnKind]] = {
    "id": "key",
    "text": "key",
    "category": "category",
    "number": "number",
    "integer": "number",
    "boolean": "number",
    "date": "time",
    "datetime": "time",
}
_MAX_LEVELS: Final = 300
_MAX_GROUPS: Final = 10_000
_SAMPLE_ROWS: Final = 50_000
_UNIT_KEEPING_STATISTICS: Final = frozenset({"difference_from_mean", "difference_from_median"})


def make_plan(
    table_set: "TableSet",
    root_table: str,
    key_column: str,
    definitions: Sequence[FeatureDefinition],
    *,
    keys: np.ndarray | None = None,
    cutoffs: np.ndarray | None = None,
    max_levels: int = _MAX_LEVELS,
    reference: ReferenceSettings | None = None,
) -> FeaturePlan:
    """Make a plan of `definitions`.

    Parameters
    ----------
    table_set : TableSet
        The data.
    root_table, key_column : str
        One feature row per row of this table; its key.
    definitions : sequence of FeatureDefinition
        What to compute, in this order.
    keys, cutoffs : arrays of shape (n_training_rows,), optional
        Training rows; category levels are frozen as these rows see them. Without them, as the whole tables hold them,
        later rows included.
    max_levels : int, default=300
        Most levels per category; the most frequent stay.
    reference : ReferenceSettings, optional
        How reference features are made, where there are any.

    Raises
    ------
    ConfigurationError
        A definition names a table or column that is not there, or two definitions share an alias.
    """
    aliases = [definition.alias for definition in definitions]
    if len(set(aliases)) < len(aliases):
        twice = next(alias for alias in aliases if aliases.count(alias) > 1)
        raise ConfigurationError(msg("the feature {alias} comes twice", alias=twice))
    schemas = _with_texts(table_set, root_table, definitions, _schemas(table_set, root_table, key_column, definitions))
    _refuse_keys(root_table, definitions, schemas)
    for item in definitions:
        _refuse_misfits(root_table, item, schemas)
    plan = FeaturePlan(
        root_table=root_table,
        key_column=key_column,
        definitions=tuple(_marked(item, root_table) for item in definitions),
        tables=needed_tables(root_table, key_column, definitions, schemas),
        windows=sort_windows(window for item in definitions if item.is_aggregation for window in item.windows),
        reference=reference or ReferenceSettings() if any(i.liveness == "reference" for i in definitions) else None,
    )
    plan = replace(plan, levels=_group_levels(plan, table_set), units=_units(plan, table_set))
    if keys is not None and cutoffs is not None and len(keys):
        return freeze_levels(plan, table_set, keys, cutoffs, max_levels=max_levels)
    counts = _level_counts(plan, table_set)
    plan = _with_levels(plan, {alias: _most_frequent(count, max_levels) for alias, count in counts.items()})
    return _with_level_names(plan, table_set)


def freeze_levels(
    plan: FeaturePlan, table_set: "TableSet", keys: np.ndarray, cutoffs: np.ndarray, *, max_levels: int = _MAX_LEVELS
) -> FeaturePlan:
    """Return the plan with the levels of its categories as the given training rows see them, most frequent first.

    At most 50,000 rows, spread evenly, are looked at.
    """
    categories = [item.alias for item in _categories(plan)]
    if not categories:
        return plan
    rows = np.linspace(0, len(keys) - 1, min(len(keys), _SAMPLE_ROWS)).astype(np.int64)
    all_levels = {alias: tuple(counts) for alias, counts in _level_counts(plan, table_set).items()}
    small = _with_levels(plan, all_levels).select(categories)
    values = compute(
        small, EngineData.from_table_set(small, table_set), np.asarray(keys)[rows], np.asarray(cutoffs)[rows]
    )
    levels = {}
    for alias, column in zip(categories, values.T, strict=True):
        names = small.levels[alias]
        counts = np.bincount(column[~np.isnan(column)].astype(np.int64), minlength=len(names))
        seen = {name: int(count) for name, count in zip(names, counts, strict=False) if count}
        levels[alias] = _most_frequent(seen, max_levels)
    return _with_level_names(_with_levels(plan, levels), table_set)


def table_schema(spec: "TableSpec", key_columns: Iterable[str]) -> TableSchema:
    """Return how the engine reads a table: kinds of its columns, times, late columns.

    Columns that link tables are keys whatever their type.
    """
    keys = set(key_columns)
    columns: dict[str, ColumnKind] = {
        name: "key" if name in keys else _KINDS[column.type] for name, column in spec.columns.items()
    }
    return TableSchema(
        columns=columns,
        event_time=spec.event_time,
        known_at=spec.known_at,
        known_at_lag_days=spec.known_at_lag_days if spec.known_at is None else 0.0,
        late={column: group.known_at for group in spec.late_columns for column in group.columns},
        primary_key=tuple(spec.primary_key),
        factors={
            name: column.feature_factor
            for name, column in spec.columns.items()
            if columns[name] == "number" and column.feature_factor != 1.0
        },
    )


def _schemas(
    table_set: "TableSet", root_table: str, key_column: str, definitions: Sequence[FeatureDefinition]
) -> dict[str, TableSchema]:
    keys: dict[str, set[str]] = {root_table: {key_column}}
    for item in definitions:
        for path in item.paths:
            table = root_table
            for step in path:
                child, parent = (table, step.table) if step.direction == "up" else (step.table, table)
                keys.setdefault(child, set()).add(step.child_column)
                keys.setdefault(parent, set()).add(step.parent_column)
                table = step.table
        for place, column in item.reads(root_table):
            if column not in table_set.spec(place).columns:
                raise ConfigurationError(msg("there is no column {column}", column=column), where=place)
    return {name: table_schema(table_set.spec(name), columns) for name, columns in keys.items()}


def _with_texts(
    table_set: "TableSet", root_table: str, definitions: Sequence[FeatureDefinition], schemas: dict[str, TableSchema]
) -> dict[str, TableSchema]:
    """Return the schemas with the texts that words are looked for in read as categories are.

    Raises
    ------
    ConfigurationError
        A feature takes such a text for a category.
    """
    places = {
        (table, column)
        for item in definitions
        if item.word is not None
        for table, column in item.reads(root_table)
        if table_set.spec(table).column(column).type == "text" and column not in _linking(table_set, table)
    }
    for item in definitions:
        if item.word is None and (place := next((one for one in item.reads(root_table) if one in places), None)):
            raise ConfigurationError(msg("{column} is a key or a text, not a feature", column=place[1]), where=place[0])
    made = dict(schemas)
    for table, column in places:
        made[table] = replace(made[table], columns={**made[table].columns, column: "category"})
    return made


def _linking(table_set: "TableSet", table: str) -> set[str]:
    """Return the columns of a table that are keys: its own, and those that link it."""
    model = table_set.data_model
    linking = {link.child_column for link in model.parents_of(table)}
    return linking | {link.parent_column for link in model.children_of(table)} | set(model.table(table).primary_key)


def _marked(item: FeatureDefinition, root_table: str) -> FeatureDefinition:
    """Return the definition marked as one of counterparties where it reads their rows."""
    is_network = item.liveness == "self" and item.reaches_others(root_table)
    return replace(item, liveness="network") if is_network else item


def _refuse_keys(root_table: str, definitions: Sequence[FeatureDefinition], schemas: dict[str, TableSchema]) -> None:
    for item in definitions:
        for table, column in item.reads(root_table):
            if schemas[table].columns[column] == "key":
                raise ConfigurationError(msg("{column} is a key or a text, not a feature", column=column), where=table)


def _refuse_misfits(root_table: str, item: FeatureDefinition, schemas: dict[str, TableSchema]) -> None:
    """Refuse a primitive that is unknown or does not read its column, and conditions that compare unlike things."""
    table = item.path[-1].table if item.path else root_table
    kinds = schemas[table].columns
    inner = item.innermost
    known = AGGREGATIONS.get(item.primitive) if inner.is_aggregation else TRANSFORMS.get(item.primitive)
    if known is None or any(stage.primitive not in AGGREGATIONS for stage in item.stack):
        raise ConfigurationError(msg("there is no primitive {primitive}", primitive=item.primitive), where=table)
    if item.peers is not None and item.base.reaches_others(root_table):
        raise ConfigurationError(msg("what is read of counterparties cannot be compared with peers"), where=table)
    for group in item.groups:
        place = group.path[-1].table if group.path else root_table
        if schemas[place].columns[group.column or ""] != "category":
            raise ConfigurationError(msg("peers share a category, not {column}", column=str(group.column)), where=place)
    reads = "rows" if item.column is None else kinds[item.column]
    if not _reads(item, known, reads):
        column = item.column or table
        problem = msg("{primitive} cannot be made of {column}", primitive=item.primitive, column=column)
        raise ConfigurationError(problem, where=table)
    if not inner.is_aggregation and (item.where or item.window or item.against):
        problem = msg("{primitive} reads one row: it takes no window and no condition", primitive=item.primitive)
        raise ConfigurationError(problem, where=table)
    if not _is_pair(item, known, kinds):
        values = {"column": item.column, "other": str(item.second), "primitive": item.primitive}
        raise ConfigurationError(msg("{column} cannot go together with {other} in {primitive}", **values), where=table)
    for place, where in [(table, item.where), *((place, stage.where) for place, stage in item.stages)]:
        if where is not None and not _is_comparable(where, schemas[place].columns[where.column]):
            problem = msg(
                "a condition on {column} compares a category for equality with a text, or a number with a number",
                column=where.column,
            )
            raise ConfigurationError(problem, where=place)


def _reads(item: FeatureDefinition, known: Aggregation | Transform, reads: str) -> bool:
    """Whether the primitive reads what it is given, and each stage a number."""
    if isinstance(known, Transform) and "text" in known.reads:
        return reads == "category" and item.word is not None and item.kind == "number"
    if item.stack:
        gives_level = reads == "category" and (isinstance(known, Transform) or known.gives_level)
        if gives_level or any("number" not in AGGREGATIONS[stage.primitive].reads for stage in item.stack):
            return False
    counts_parents = item.column is None and isinstance(known, Aggregation) and known.of_parents
    if counts_parents and item.innermost.steps_over:
        return True
    return bool({reads, "boolean" if reads == "number" else reads} & set(known.reads))


def _is_pair(item: FeatureDefinition, known: Aggregation | Transform, kinds: Mapping[str, ColumnKind]) -> bool:
    """Whether the second column is there where it must be, and goes with the first."""
    if isinstance(known, Transform):
        return known.second == (None if item.second is None else kinds[item.second])
    if item.second is None:
        return True
    may_have = item.column is not None and (kinds[item.column] != "category" or known.takes_weights)
    return may_have and kinds[item.second] == "number"


def _is_comparable(where: Condition, kind: ColumnKind) -> bool:
    if kind == "category":
        return isinstance(where.value, str) and where.op in ("==", "!=")
    return kind == "number" and not isinstance(where.value, str)


def _categories(plan: FeaturePlan) -> list[FeatureDefinition]:
    return [item for item in plan.definitions if item.kind == "category"]


def _leaf(plan: FeaturePlan, item: FeatureDefinition) -> str:
    return item.path[-1].table if item.path else plan.root_table


def _with_levels(plan: FeaturePlan, levels: Mapping[str, tuple[str, ...]]) -> FeaturePlan:
    """Return the plan with other levels of its categories, and those of the columns that peers share as they are."""
    shared = {alias for item in plan.definitions for alias in item.group_aliases}
    return replace(plan, levels={**levels, **{alias: plan.levels[alias] for alias in sorted(shared)}})


def _group_levels(plan: FeaturePlan, table_set: "TableSet") -> dict[str, tuple[str, ...]]:
    """Return all levels of the columns that peers share; which level comes when does not matter, only its name."""
    from features.preparation import encode

    found: dict[str, tuple[str, ...]] = {}
    for item in plan.definitions:
        for group in item.groups:
            if group.alias not in found:
                _, levels = encode(table_set.frame(_leaf(plan, group))[group.column])
                found[group.alias] = levels
                if len(levels) > _MAX_GROUPS:
                    raise ConfigurationError(
                        msg("{column} has too many levels to tell peers by: {n}, at most {most}",
                            column=str(group.column), n=len(levels), most=_MAX_GROUPS),
                        where=_leaf(plan, group),
                    )  # fmt: skip
    return found


def _with_level_names(plan: FeaturePlan, table_set: "TableSet") -> FeaturePlan:
    """Return the plan with what its levels are called, where the data model says so."""
    found: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for item in _categories(plan):
        names = table_set.spec(_leaf(plan, item)).columns[item.column or ""].level_names
        named = {level: {**names[level]} for level in plan.levels.get(item.alias, ()) if names.get(level)}
        if named:
            found[item.alias] = _told_apart(named)
    return replace(plan, level_names=found)


def _units(plan: FeaturePlan, table_set: "TableSet") -> dict[str, str]:
    """Return per feature the unit of its values, where they are in the unit of the column they are made of."""
    found = {}
    for item in plan.definitions:
        if item.column is None or not _keeps_unit(item):
            continue
        column = table_set.spec(_leaf(plan, item)).columns[item.column]
        unit = column.feature_unit or column.unit
        if unit is not None:
            found[item.alias] = unit
    return found


def _keeps_unit(item: FeatureDefinition) -> bool:
    if item.kind != "number" or item.second is not None or item.against is not None:
        return False
    if item.peers is not None and item.peers.statistic not in _UNIT_KEEPING_STATISTICS:
        return False
    primitives = (item.primitive, *(stage.primitive for stage in item.stack))
    return all((AGGREGATIONS.get(name) or TRANSFORMS[name]).keeps_unit for name in primitives)


def _told_apart(named: Mapping[str, "Mapping[Language, str]"]) -> dict[str, dict[str, str]]:
    """Return the names, those that several levels share with the level behind, such as districts."""
    times = Counter((language, text) for names in named.values() for language, text in names.items())
    return {
        level: {key: text if times[key, text] == 1 else f"{text} ({level})" for key, text in names.items()}
        for level, names in named.items()
    }


def _level_counts(plan: FeaturePlan, table_set: "TableSet") -> dict[str, dict[str, int]]:
    """Return per category feature how often each level stands in its column."""
    from features.preparation import encode

    counted: dict[tuple[str, str | None], dict[str, int]] = {}
    for item in _categories(plan):
        place = (_leaf(plan, item), item.column)
        if place not in counted:
            codes, levels = encode(table_set.frame(place[0])[item.column])
            counts = np.bincount(codes[codes >= 0], minlength=len(levels))
            counted[place] = dict(zip(levels, counts.tolist(), strict=True))
    return {item.alias: counted[_leaf(plan, item), item.column] for item in _categories(plan)}


def _most_frequent(counts: dict[str, int], max_levels: int) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda level: (-counts[level], level))[:max_levels])
