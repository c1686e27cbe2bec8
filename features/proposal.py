"""Proposing definitions: Featuretools' deep feature synthesis thinks them up, on the schema alone."""

import importlib
import warnings
from collections.abc import Iterator
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import ConfigurationError
from core.i18n import msg
from features.crossing import cross_links
from features.definitions import FeatureDefinition, FeatureKind, PathStep, Stage
from features.naming import FeatureNamer
from features.plan import sort_windows
from features.primitives.interface import Reads
from features.primitives.vocabulary import AGGREGATIONS, TRANSFORMS
from features.reference_proposal import compared, of_macro_tables
from features.spec import FeatureSpec
from features.variations import has_time, named, usable_columns, vary, windows_of
from features.word_proposal import text_features
from warehouse.data_model import CLOSED_ROLES, RATE_UNITS
from warehouse.modelling.words import role_word

if TYPE_CHECKING:
    from warehouse.data_model import ColumnSpec, DataModel, Relationship
    from warehouse.table_set import TableSet

__all__ = ["propose", "warm_up"]

_ROW_NUMBER: Final = "__row__"
_LOGICAL_TYPES: Final = {
    "id": "Categorical",
    "category": "Categorical",
    "number": "Double",
    "integer": "Double",
    "boolean": "Double",
    "date": "Datetime",
    "datetime": "Datetime",
}
_KINDS: Final[dict[str, Reads]] = {
    "category": "category", "number": "number", "integer": "number", "boolean": "boolean", "date": "time",
    "datetime": "time",
}  # fmt: skip
_SYNTHESISED: Final = (
    "count", "sum", "mean", "max", "time_since_last", "num_unique", "std", "min", "last", "mode", "month", "weekday",
    "days_since",
)  # fmt: skip
_SCAFFOLD: Final = ("count", "mean", "num_unique", "identity", "days_since")  # they reach all that can be reached
_WORTH: Final = ("count", "time_since_last", "last", "mean", "sum", "max", "std", "num_unique", "min", "mode")
_WORTH_OF_OTHERS: Final = 4.5
_LESS_FOR_EXTRAS: Final = 3
_SAMPLE_ROWS: Final = 3_000

Thought = tuple[tuple[PathStep, ...], str | None, str]


def propose(
    table_set: "TableSet",
    root_table: str,
    spec: FeatureSpec,
    *,
    keys: np.ndarray | None = None,
    cutoffs: np.ndarray | None = None,
) -> list[FeatureDefinition]:
    """Propose features of the rows of `root_table`.

    Parameters
    ----------
    table_set : TableSet
        The data. Deep feature synthesis sees its schema only; the rows serve to find paths that never hold anything.
    root_table : str
        Table of the feature rows.
    spec : FeatureSpec
        What the analyst chose.
    keys, cutoffs : arrays of shape (n_rows,), optional
        Rows to be computed later (of training): a path on which a sample of them sees no row at all is left out. By
        default each root row at its own event time, where the root table has one.

    Returns
    -------
    list of FeatureDefinition
        At most ``spec.max_features``; the root's own columns first, then reference features, then the paths in turn.

    Raises
    ------
    ConfigurationError
        The root table or a table of the settings is not in the data model, or nothing can be proposed.
    """
    model = table_set.data_model
    _check_tables(model, root_table, spec)
    entity = spec.entity_table or _entity_table(model, root_table)
    thoughts = [
        thought for thought in _think(model, root_table, entity, spec) if _is_sensible(model, root_table, thought)
    ]
    deep = [thought for thought in thoughts if spec.chosen_stack and _is_deep(thought)]
    thoughts = _without_detours(thoughts)
    crossed = list(_cross(model, root_table, entity, spec))
    reached = {path for path, _, _ in (*thoughts, *deep)} | {item.path for item in crossed}
    empty = _empty_paths(table_set, root_table, reached, keys, cutoffs)
    namer = FeatureNamer(model, root_table)
    thoughts = [thought for thought in thoughts if thought[0] not in empty]
    definitions = [
        _define(model, root_table, namer, thought, window)
        for thought in thoughts
        if thought[2] in spec.chosen
        for window in _windows(model, thought, spec)
    ]
    paths = list(dict.fromkeys(path for path, _, _ in thoughts))
    deep = [thought for thought in dict.fromkeys(deep) if thought[0] not in empty]
    definitions += [named(namer, item) for item in vary(table_set, root_table, paths, definitions, deep, spec)]
    definitions += [named(namer, item) for item in crossed if item.path not in empty]
    ups = [path for path in _ways_up(model, root_table, spec) if path not in empty]
    definitions += [named(namer, item) for item in _of_texts(table_set, root_table, ups, spec, keys, cutoffs)]
    if not definitions:
        raise ConfigurationError(
            msg("no feature can be made of the table {table} with these settings", table=root_table),
            fix=msg("Check the roles of its columns and its relationships in the data model."),
        )
    read, others = _take_turns(definitions, spec)
    among_peers = [named(namer, item) for item in compared(model, root_table, entity, [*others, *read], spec)]
    over_time = [named(namer, item) for item in of_macro_tables(model, root_table, spec)]
    return [*read, *over_time, *among_peers, *others][: spec.max_features]


def warm_up() -> None:
    """Import Featuretools, which takes seconds, ahead of the first proposal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("featuretools")


def _think(model: "DataModel", root_table: str, entity: str, spec: FeatureSpec) -> Iterator[Thought]:
    """Run deep feature synthesis on the root and on each table above it, and translate what it returns.

    One run over everything would visit each table once only, on whatever way and at whatever depth comes first, and so
    miss most of what lies below the entity.
    """
    for path in _ways_up(model, root_table, spec):
        target = path[-1].table if path else root_table
        depth = spec.max_depth - len(path)
        tables = _below(model, target, spec) if not path or target == entity else [target]
        for feature in _synthesise(model, target, tables, depth, spec):
            thought = _translate(feature, path)
            if thought is not None and (depth > 0 or thought[2] == "identity"):
                yield thought
                yield from _more_of(thought, spec)


def _cross(model: "DataModel", root_table: str, entity: str, spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield what lies across the link tables of the root and of the entity, on the shortest ways to it."""
    up = [path for path in _ways_up(model, root_table, spec) if path and path[-1].table == entity]
    ways = [(), *(path for path in up if len(path) == min(map(len, up)))]
    tops = {path[-1].table if path else root_table for path in ways}
    return cross_links(model, root_table, ways, {top: _below(model, top, spec) for top in tops}, spec)


def _more_of(thought: Thought, spec: FeatureSpec) -> Iterator[Thought]:
    """Yield the primitives that Featuretools is not asked for, of what it has reached."""
    path, column, primitive = thought
    if primitive in _SCAFFOLD:
        table = AGGREGATIONS if path and path[-1].direction == "down" else TRANSFORMS
        yield from ((path, column, name) for name in spec.chosen if name in table and name not in _SYNTHESISED)


def _synthesise(model: "DataModel", target: str, tables: list[str], depth: int, spec: FeatureSpec) -> list[Any]:
    with warnings.catch_warnings():
        # Featuretools 1.31 and woodwork 0.31 use parts of pandas and setuptools that warn of their end, and warn of
        # primitives that found no input and of empty frames.
        warnings.simplefilter("ignore")
        import featuretools

        found: list[Any] = featuretools.dfs(
            entityset=_entity_set(featuretools, model, tables, spec),
            target_dataframe_name=target,
            agg_primitives=_primitives(featuretools, spec, _SYNTHESISED[:-3]),
            trans_primitives=_primitives(featuretools, spec, _SYNTHESISED[-3:]),
            max_depth=depth and max(depth, 2),  # grandchildren are found at two steps, whatever is stacked on them
            features_only=True,
        )
    return found


def _ways_up(model: "DataModel", root_table: str, spec: FeatureSpec) -> list[tuple[PathStep, ...]]:
    """Return the ways from the root to itself and to the tables above it, at most `max_depth` steps long."""
    ways: list[tuple[PathStep, ...]] = [()]
    for path in ways:
        here = path[-1].table if path else root_table
        if len(path) < spec.max_depth:
            ways += [
                (*path, PathStep("up", link.parent, link.child_column, link.parent_column))
                for link in model.parents_of(here)
                if link.parent not in (root_table, *(step.table for step in path)) and spec.allows(link.parent)
            ]
    return ways


def _below(model: "DataModel", table: str, spec: FeatureSpec) -> list[str]:
    """Return `table` and all tables below it."""
    tables = [table]
    for here in tables:
        below = [link.child for link in model.children_of(here)]
        tables += [child for child in dict.fromkeys(below) if child not in tables and spec.allows(child)]
    return tables


def _primitives(featuretools: Any, spec: FeatureSpec, names: tuple[str, ...]) -> list[Any]:
    special = {
        "time_since_last": featuretools.primitives.TimeSinceLast(unit="days"),
        "days_since": featuretools.primitives.TimeSince(unit="days"),
    }
    has_more = bool(spec.conditions or spec.pairs or set(spec.chosen) - {*_SYNTHESISED, "identity"})
    wanted = {*spec.chosen, *(_SCAFFOLD if has_more else ())}
    return [special.get(name, name) for name in names if name in wanted]


def _entity_set(featuretools: Any, model: "DataModel", tables: list[str], spec: FeatureSpec) -> Any:
    import pandas as pd

    links = [link for link in model.relationships if link.parent in tables and link.child in tables]
    links = _without_cycles(links, tables)
    indexes = _indexes(links)
    entity_set = featuretools.EntitySet("schema")
    for name in tables:
        table = model.table(name)
        index = indexes.get(name, _ROW_NUMBER)
        types = {
            column: _LOGICAL_TYPES[column_spec.type]
            for column, column_spec in usable_columns(model, name, spec).items()
        }
        types |= {link.child_column: "Categorical" for link in links if link.child == name}
        types[index] = "Categorical"
        time = table.event_time or table.known_at
        types |= {time: "Datetime"} if time is not None and time != index else {}
        frame = pd.DataFrame({column: np.empty(0, dtype=_DTYPES[kind]) for column, kind in types.items()})
        entity_set.add_dataframe(
            dataframe_name=name,
            dataframe=frame,
            index=index,
            time_index=time if time != index else None,
            logical_types=types,
        )
    for link in links:
        if indexes[link.parent] == link.parent_column:
            entity_set.add_relationship(link.parent, link.parent_column, link.child, link.child_column)
    return entity_set


def _without_cycles(links: "list[Relationship]", tables: list[str]) -> "list[Relationship]":
    """Leave out links that lead down to a table above, those nearest to the first of `tables` kept before others.

    Featuretools would follow such a circle without end. Features round it can still be defined by hand.
    """
    kept: list[Relationship] = []
    for link in sorted(links, key=lambda link: tables.index(link.parent)):
        below = [link.child]
        for here in below:
            below += [other.child for other in kept if other.parent == here and other.child not in below]
        if link.parent not in below:
            kept.append(link)
    return [link for link in links if link in kept]


_DTYPES: Final = {"Categorical": "object", "Double": "float64", "Datetime": "datetime64[ns]"}


def _indexes(links: "list[Relationship]") -> dict[str, str]:
    """Return for each parent table the column that most relationships lead to."""
    votes: dict[str, dict[str, int]] = {}
    for link in links:
        table = votes.setdefault(link.parent, {})
        table[link.parent_column] = table.get(link.parent_column, 0) + 1
    return {table: max(columns, key=lambda column: columns[column]) for table, columns in votes.items()}


def _translate(feature: Any, path: tuple[PathStep, ...]) -> Thought | None:
    """Turn a Featuretools feature into path, column and primitive; None where it stacks what we do not stack."""
    kind = type(feature).__name__
    if kind == "IdentityFeature":
        return path, feature.column_name, "identity"
    base = feature.base_features[0]
    if kind == "DirectFeature" or type(base).__name__ != "IdentityFeature":
        return None
    name = {"time_since": "days_since"}.get(feature.primitive.name, feature.primitive.name)
    if kind == "AggregationFeature":
        column = None if name in ("count", "time_since_last") else base.column_name
        return path + _steps_down(feature), column, name
    return path, base.column_name, name


def _steps_down(feature: Any) -> tuple[PathStep, ...]:
    return tuple(
        PathStep("down", link.child_dataframe.ww.name, link._child_column_name, link._parent_column_name)  # noqa: SLF001
        for _, link in feature.relationship_path
    )


def _is_sensible(model: "DataModel", root_table: str, thought: Thought) -> bool:
    """Whether a translated feature reads a usable column with a primitive that fits."""
    path, column, primitive = thought
    table = path[-1].table if path else root_table
    is_aggregation = bool(path) and path[-1].direction == "down"
    aggregation = AGGREGATIONS.get(primitive) if is_aggregation else None
    if aggregation is not None and aggregation.needs_time and not has_time(model.table(table)):
        return False
    if column is None:
        return aggregation is not None and "rows" in aggregation.reads and not aggregation.tests_condition
    if column == _ROW_NUMBER or column not in model.table(table).columns:
        return False
    return _suits(model.table(table).column(column), primitive, is_own=not path, is_aggregation=is_aggregation)


def _suits(column: "ColumnSpec", primitive: str, *, is_own: bool, is_aggregation: bool) -> bool:
    if column.role not in ("feature", "event_time") or column.type not in _KINDS:
        return False
    kind = _KINDS[column.type]
    if is_aggregation:
        return kind in AGGREGATIONS[primitive].reads and not (primitive == "sum" and column.unit in RATE_UNITS)
    transform = TRANSFORMS[primitive]
    return kind in transform.reads and transform.second is None and (is_own or not transform.is_own_only)


def _is_deep(thought: Thought) -> bool:
    """Whether there is a table between whose rows can be aggregated in their turn."""
    return sum(step.direction == "down" for step in thought[0]) > 1


def _without_detours(thoughts: list[Thought]) -> list[Thought]:
    """Leave out ways to a table for which there is a shorter one, up and down each on its own; and doubles."""

    def route(path: tuple[PathStep, ...]) -> tuple[str, str]:
        ups = [step.table for step in path if step.direction == "up"]
        downs = [step.table for step in path if step.direction == "down"]
        return (ups[-1] if ups else "", downs[-1] if downs else "")

    shortest: dict[tuple[str, str], int] = {}
    for path, _, _ in thoughts:
        shortest[route(path)] = min(len(path), shortest.get(route(path), len(path)))
    return [thought for thought in dict.fromkeys(thoughts) if len(thought[0]) == shortest[route(thought[0])]]


def _windows(model: "DataModel", thought: Thought, spec: FeatureSpec) -> list[str | None]:
    path, _, primitive = thought
    is_windowed = bool(path) and path[-1].direction == "down" and has_time(model.table(path[-1].table))
    if not is_windowed or not AGGREGATIONS[primitive].is_windowed:
        return [None]
    return windows_of(spec)


def _define(
    model: "DataModel", root_table: str, namer: FeatureNamer, thought: Thought, window: str | None
) -> FeatureDefinition:
    path, column, primitive = thought
    table = model.table(path[-1].table if path else root_table)
    is_category = column is not None and table.column(column).type == "category"
    gives_level = primitive == "identity" or (primitive in AGGREGATIONS and AGGREGATIONS[primitive].gives_level)
    kind: FeatureKind = "category" if is_category and gives_level else "number"
    return named(namer, FeatureDefinition.create(path, column, primitive, kind=kind, window=window))


def _take_turns(
    definitions: list[FeatureDefinition], spec: FeatureSpec
) -> tuple[list[FeatureDefinition], list[FeatureDefinition]]:
    """Return what is read from one row, then the others, one of each path in turn, the likeliest first."""
    preferred = sort_windows(None if window == "all" else window for window in spec.windows)
    middle = (len(preferred) - 1) // 2

    def rank(item: FeatureDefinition) -> float:
        far = abs(preferred.index(item.window) - middle) if item.window in preferred else 0
        worth = _WORTH.index(item.primitive) if item.primitive in _WORTH else _WORTH_OF_OTHERS
        return worth + 1.5 * far + (_LESS_FOR_EXTRAS if item.extras else 0)

    read = [item for item in definitions if not item.is_aggregation]
    paths: dict[tuple[PathStep, ...], list[FeatureDefinition]] = {}
    for item in definitions:
        if item.is_aggregation:
            paths.setdefault(item.path, []).append(item)
    turns = zip_longest(*(sorted(items, key=rank) for items in paths.values()))
    return read, [item for turn in turns for item in turn if item is not None]


def _of_texts(
    table_set: "TableSet",
    root_table: str,
    ups: list[tuple[PathStep, ...]],
    spec: FeatureSpec,
    keys: np.ndarray | None,
    cutoffs: np.ndarray | None,
) -> Iterator[FeatureDefinition]:
    """Yield the words of the texts of the root and of the tables above it."""
    rows = _rows_asked(table_set, root_table, keys, cutoffs)
    if rows is not None and len(rows[1]):
        key_column, asked, moments = rows
        yield from text_features(table_set, root_table, key_column, ups, spec, keys=asked, cutoffs=moments)


def _empty_paths(
    table_set: "TableSet",
    root_table: str,
    paths: set[tuple[PathStep, ...]],
    keys: np.ndarray | None,
    cutoffs: np.ndarray | None,
) -> set[tuple[PathStep, ...]]:
    """Return the paths down on which no row of a sample of root rows has anything known before its cutoff."""
    from features.engine import EngineData, compute
    from features.planning import make_plan

    probes = {path: _probe(path) for path in sorted(paths, key=str) if any(step.direction == "down" for step in path)}
    rows = _rows_asked(table_set, root_table, keys, cutoffs)
    if not probes or rows is None:
        return set()
    key_column, asked, moments = rows
    sample = np.linspace(0, len(asked) - 1, min(len(asked), _SAMPLE_ROWS)).astype(np.int64)
    plan = make_plan(table_set, root_table, key_column, list(probes.values()))
    data = EngineData.from_table_set(plan, table_set)
    counts = compute(plan, data, asked[sample], moments[sample])
    return {path for path, column in zip(probes, counts.T, strict=True) if not (column > 0).any()}


def _rows_asked(
    table_set: "TableSet", root_table: str, keys: np.ndarray | None, cutoffs: np.ndarray | None
) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return the key column, keys and cutoffs of the rows to look at; None where the root has no key or no time.

    Where none are given, each root row at its own event time.
    """
    from features.preparation import as_text

    key_column = _key_column(table_set.data_model, root_table)
    if keys is None or cutoffs is None:
        cutoffs = table_set.event_time(root_table)
        keys = as_text(table_set.frame(root_table)[key_column]) if key_column else None
    if keys is None or cutoffs is None or key_column is None:
        return None
    moments = np.asarray(cutoffs)
    usable = np.flatnonzero(~np.isnat(moments.astype("datetime64[ns]")))
    return key_column, np.asarray(keys, dtype=object)[usable], moments[usable]


def _probe(path: tuple[PathStep, ...]) -> FeatureDefinition:
    """Return a feature that is above 0 where there is something at the end of the path."""
    if path[-1].direction == "up":
        return FeatureDefinition.create(path, None, "num_unique")
    n_steps = len([*takewhile(lambda step: step.direction == "down", reversed(path))])
    crossed = any(step.direction == "down" for step in path[:-n_steps])
    stack = (Stage("sum"),) if crossed else ()
    return FeatureDefinition.create(path, None, "count", stack=stack)


def _key_column(model: "DataModel", table: str) -> str | None:
    primary_key = model.table(table).primary_key
    return primary_key[0] if len(primary_key) == 1 else None


def _entity_table(model: "DataModel", root_table: str) -> str:
    """Return the parent of the root with most tables below it, or the root itself where it has no parent."""
    parents = {link.parent: len(model.children_of(link.parent)) for link in model.parents_of(root_table)}
    return max(parents, key=lambda table: parents[table]) if parents else root_table


def _check_tables(model: "DataModel", root_table: str, spec: FeatureSpec) -> None:
    named = [root_table, *spec.ignore, *(spec.tables or ()), *([spec.entity_table] if spec.entity_table else [])]
    for table in named:
        model.table(table)
    for table, columns in spec.ignore.items():
        for column in columns:
            model.table(table).column(column)
    for pair in spec.pairs:
        for column in (pair.column, pair.second):
            _require_allowed(model, pair.table, column)
    for condition in spec.conditions:
        _require_allowed(model, condition.table, condition.column)


def _require_allowed(model: "DataModel", table: str, column: str) -> None:
    """Raise where no feature may be made of the column, whoever asks for it."""
    role = model.table(table).column(column).role
    if role in CLOSED_ROLES:
        raise ConfigurationError(
            msg("no feature is made of it: the data model says {role}", role=role_word(role)),
            where=f"{table}.{column}",
            fix=msg("Leave it out, or give it another role in the data model."),
        )
