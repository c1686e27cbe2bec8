"""The plan: ordered feature definitions with all that is needed to compute them, kept as our own JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import ConfigurationError, InputError, NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import MessageLike, Named, msg
from features.definitions import Condition, FeatureDefinition, PathStep, parse_window
from features.primitives.vocabulary import AGGREGATIONS

if TYPE_CHECKING:
    from features.comparisons import Comparisons

__all__ = [
    "ColumnKind", "FeatureGroup", "FeaturePart", "FeaturePlan", "Link", "ReferenceSettings", "Source", "TableSchema",
    "Target", "needed_tables", "sort_windows",
]  # fmt: skip

ColumnKind = Literal["number", "category", "time", "key"]
_FORMAT: Final = 1


@dataclass(frozen=True)
class Link:
    """A relationship that the plan walks along."""

    child: str
    child_column: str
    parent: str
    parent_column: str

    @property
    def is_keyless(self) -> bool:
        """Whether every row of the child belongs to every row of the parent."""
        return not self.child_column


@dataclass(frozen=True)
class ReferenceSettings:
    """How reference features, those of peers and of tables joined by time alone, are made and served.

    Parameters
    ----------
    min_size : int, default=20
        Fewest peers with a value; fewer, and the group is widened, at last to nobody: null.
    max_entities : int, default=200000
        Most rows that peers are sought among per month; of more, those whose keys have the lowest hashes.
    n_months : int, default=24
        Months of peers kept in a snapshot, the latest.
    max_age_days : int, default=62
        For how long after its month a live score may still use peers, and a table joined by time after its snapshot.
    missing : {"refuse", "flag"}, default="refuse"
        What a live score does without a snapshot of that age: no answer, or one with nulls and a warning.
    """

    min_size: int = 20
    max_entities: int = 200_000
    n_months: int = 24
    max_age_days: int = 62
    missing: Literal["refuse", "flag"] = "refuse"


@dataclass(frozen=True)
class TableSchema:
    """What the plan needs of one table.

    Parameters
    ----------
    columns : mapping of str to {"number", "category", "time", "key"}
        The columns needed and how they are read. Booleans are numbers 0 and 1.
    event_time, known_at : str or None
        Time columns. Without `known_at` a row is known `known_at_lag_days` after its event time, or always.
    late : mapping of str to str
        For each column that is filled in later: the column that says when.
    primary_key : tuple of str
        Orders rows of one moment.
    factors : mapping of str to float
        What the values of a number column are multiplied by as they are read, where features are in another unit than
        the data. Tables, stored rows and live rows are read by the same rule; whatever reads a feature has it applied.
    """

    columns: Mapping[str, ColumnKind]
    event_time: str | None = None
    known_at: str | None = None
    known_at_lag_days: float = 0.0
    late: Mapping[str, str] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)

    def pruned(self, wanted: Iterable[str]) -> "TableSchema":
        """Return the schema with only the `wanted` columns and those that time and order them."""
        keep = set(wanted)
        late = {column: time for column, time in self.late.items() if column in keep}
        keep |= {column for column in (self.event_time, self.known_at) if column}
        keep |= set(late.values()) | set(self.primary_key)
        columns = {name: kind for name, kind in self.columns.items() if name in keep}
        factors = {name: factor for name, factor in self.factors.items() if name in columns}
        return replace(self, columns=columns, late=late, factors=factors)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON values; factors only where there are any, as older plans have none."""
        content = asdict(self)
        return content if self.factors else {name: value for name, value in content.items() if name != "factors"}


@dataclass(frozen=True)
class Source:
    """What a primitive reads.

    Parameters
    ----------
    column, second : str or None
        Columns of the last table.
    condition : Condition or None
        What is tested on every row, where the primitive tests rather than leaves out.
    below : int or None
        Number of a feature of `FeatureGroup.below`.
    """

    column: str | None = None
    second: str | None = None
    condition: Condition | None = None
    below: int | None = None


@dataclass(frozen=True)
class Target:
    """Where a value goes: column number in the matrix; number of its window and of the one it is divided by."""

    number: int
    window: int
    against: int | None = None


@dataclass(frozen=True)
class FeaturePart:
    """The features of a group whose rows are left out by one condition: per primitive and source, where they go."""

    where: Condition | None
    targets: Mapping[str, Mapping[Source, tuple[Target, ...]]]

    @cached_property
    def layouts(self) -> dict[bool, Any]:
        """How the engine lays its work out for few rows and for many; filled in by it, once for all computations."""
        return {}


@dataclass(frozen=True)
class FeatureGroup:
    """The features of a plan that share a path.

    Parameters
    ----------
    up, down, over : tuple of PathStep
        The path, and from the rows at its end up to the parents that values are read from.
    members : tuple of (int, FeatureDefinition)
        The features with their column numbers.
    windows : tuple of (str or None)
        The windows that cut their rows, longest first.
    below : FeatureGroup or None
        Where the features are stacked: the features that are aggregated, of each row that `down` leads to.
    """

    up: tuple[PathStep, ...]
    down: tuple[PathStep, ...]
    members: tuple[tuple[int, FeatureDefinition], ...]
    windows: tuple[str | None, ...]
    below: "FeatureGroup | None" = None
    over: tuple[PathStep, ...] = ()

    @cached_property
    def n_columns(self) -> int:
        """Columns that the features read, each once."""
        return len({item.column for _, item in self.members})

    @cached_property
    def parts(self) -> tuple[FeaturePart, ...]:
        """The features by the condition that leaves rows out."""
        found: dict[Condition | None, dict[str, dict[Source, list[Target]]]] = {}
        for number, item in self.members:
            where, primitive, source = self._reading(item)
            windows = [self.windows.index(window) for window in item.top_windows] if item.is_aggregation else [0]
            targets = found.setdefault(where, {}).setdefault(primitive, {}).setdefault(source, [])
            targets.append(Target(number, windows[0], windows[1] if len(windows) > 1 else None))
        return tuple(
            FeaturePart(where, {name: {key: tuple(to) for key, to in sources.items()} for name, sources in by.items()})
            for where, by in found.items()
        )

    @cached_property
    def _numbers_below(self) -> Mapping[str, int]:
        return {item.id: number for number, item in self.below.members} if self.below else {}

    def _reading(self, item: FeatureDefinition) -> tuple[Condition | None, str, Source]:
        """Return which rows `item` leaves out, its primitive, and what it reads."""
        if item.stack and self.below is not None:
            stage = item.stack[0]
            return stage.where, stage.primitive, Source(below=self._numbers_below[item.below.id])
        if item.column is None and item.where is not None and AGGREGATIONS[item.primitive].tests_condition:
            return None, item.primitive, Source(condition=item.where)
        return item.where, item.primitive, Source(item.column, item.second)


@dataclass(frozen=True)
class FeaturePlan:
    """Ordered definitions, the schema they read, and the levels of their categories.

    Cutoffs exclude: a row counts where its event and its known-at time both lie strictly before the cutoff.

    Parameters
    ----------
    root_table : str
        One feature row per row of this table and cutoff.
    key_column : str
        Its key.
    definitions : tuple of FeatureDefinition
        Features in the order of the matrix columns.
    tables : mapping of str to TableSchema
        The tables the features read.
    levels : mapping of str to tuple of str
        Per alias of a category feature: its frozen levels. Level i has code i; all others share code ``len(levels)``.
    windows : tuple of (str or None)
        All windows of the plan as it was first made, longest first; kept by `select`, so that sums are added up in the
        same order, to the last bit, whichever features are left.
    reference : ReferenceSettings or None
        Of the reference features, where there are any.
    level_names : mapping of str to mapping of str to mapping of str to str
        Per alias of a category feature, level and language: what a person calls it. No value depends on it, nor does
        the fingerprint.
    units : mapping of str to str
        Per alias of a feature whose values are in a unit: that unit, as the data model has it. No value depends on it,
        nor does the fingerprint.

    Examples
    --------
    >>> plan = FeaturePlan("loan", "loan_id", (FeatureDefinition.create((), "amount", "identity"),),
    ...                    {"loan": TableSchema({"loan_id": "key", "amount": "number"})})
    >>> FeaturePlan.from_json(plan.to_json()) == plan
    True
    """

    root_table: str
    key_column: str
    definitions: tuple[FeatureDefinition, ...]
    tables: Mapping[str, TableSchema]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    windows: tuple[str | None, ...] = ()
    reference: ReferenceSettings | None = None
    level_names: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def comparisons(self) -> "Comparisons | None":
        """How features that compare with peers are made of others; None where there are none."""
        from features.comparisons import Comparisons

        return Comparisons.of(self) if any(item.peers for item in self.definitions) else None

    @cached_property
    def keyless_tables(self) -> tuple[str, ...]:
        """The tables that are joined by time alone: a request does not bring them."""
        return tuple(dict.fromkeys(link.child for link in self.links if link.is_keyless))

    @cached_property
    def needs_reference(self) -> bool:
        """Whether a live score needs a dated snapshot."""
        return any(item.liveness == "reference" for item in self.definitions)

    @cached_property
    def aliases(self) -> tuple[str, ...]:
        """Aliases in the order of the matrix columns."""
        return tuple(definition.alias for definition in self.definitions)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Column number of each alias."""
        return {alias: index for index, alias in enumerate(self.aliases)}

    @cached_property
    def category_aliases(self) -> tuple[str, ...]:
        """Aliases of the features whose values are level codes."""
        return tuple(definition.alias for definition in self.definitions if definition.kind == "category")

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The relationships that the definitions walk along, each once."""
        return tuple(dict.fromkeys(link for path in self.paths for link in _walk(self.root_table, path)))

    @cached_property
    def paths(self) -> tuple[tuple[PathStep, ...], ...]:
        """The ways that the definitions walk, each once."""
        return tuple(dict.fromkeys(path for item in self.definitions for path in item.paths))

    @cached_property
    def crossed_links(self) -> tuple[Link, ...]:
        """The relationships from the rows of a link table up to what they lead to, each once."""
        found: dict[Link, None] = {}
        for item in self.definitions:
            links, way = _walk(self.root_table, item.path), len(item.steps_up)
            found |= dict.fromkeys(link for link, step in list(zip(links, item.path, strict=True))[way:]
                                   if step.direction == "up")  # fmt: skip
        return tuple(found)

    @cached_property
    def groups(self) -> tuple[FeatureGroup, ...]:
        """The features grouped by path."""
        alike: dict[tuple[tuple[PathStep, ...], tuple[int, ...]], list[tuple[int, FeatureDefinition]]] = {}
        for number, item in enumerate(self.definitions):
            alike.setdefault((item.path, tuple(stage.steps for stage in item.stack)), []).append((number, item))
        return tuple(self._group(members) for members in alike.values())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        return fingerprint_json(self._content())

    def names(self, language: str = "en") -> list[str]:
        """Return the readable names in `language`, in the order of the matrix columns."""
        return [definition.name(language) for definition in self.definitions]

    def definition(self, alias: str) -> FeatureDefinition:
        """Return the definition of `alias`; raises `NotFoundError` where there is none."""
        try:
            return self.definitions[self.positions[alias]]
        except KeyError:
            raise NotFoundError(msg("there is no feature {alias} in the plan", alias=alias)) from None

    def display_value(self, alias: str, value: float) -> str | None:
        """Return a category code as its level (None for null and for the code of all other levels)."""
        levels = self.levels.get(alias, ())
        return levels[int(value)] if value == value and 0 <= value < len(levels) else None

    def named_level(self, alias: str, level: str) -> MessageLike:
        """Return a level as a person calls it: by its name where it has one."""
        names = self.level_names.get(alias, {}).get(level)
        return Named(level, dict(names)) if names else level

    def select(self, aliases: Sequence[str]) -> "FeaturePlan":
        """Return the plan of only these features, in this order; tables and columns no longer needed are left out."""
        definitions = tuple(self.definition(alias) for alias in aliases)
        named = dict.fromkeys(name for item in definitions for name in (item.alias, *item.group_aliases))
        return replace(
            self,
            definitions=definitions,
            tables=needed_tables(self.root_table, self.key_column, definitions, self.tables),
            levels={name: self.levels[name] for name in named if name in self.levels},
            level_names={name: self.level_names[name] for name in named if name in self.level_names},
            units={name: self.units[name] for name in aliases if name in self.units},
            reference=self.reference if any(item.liveness == "reference" for item in definitions) else None,
        )

    def to_json(self) -> str:
        """Return the plan as JSON text; `from_json` reads it back."""
        words = {"level_names": self.level_names, "units": self.units}
        return json.dumps(
            self._content() | {name: found for name, found in words.items() if found}, ensure_ascii=False, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> "FeaturePlan":
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            The text is not a plan, or of another format.
        """
        try:
            return cls._from_content(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(msg("this is not a feature plan: {problem}", problem=str(error))) from error

    def save(self, path: Path) -> None:
        """Write the plan to the file `path`."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "FeaturePlan":
        """Read the file `path`."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))

    def _group(self, members: Sequence[tuple[int, FeatureDefinition]]) -> FeatureGroup:
        first, windows = members[0][1], self._windows_of(members)
        if not first.stack:
            return FeatureGroup(first.steps_up, first.steps_down, tuple(members), windows, over=first.steps_over)
        below = {item.id: item for item in (item.below for _, item in members)}
        down = first.steps_down[: first.stack[0].steps]
        return FeatureGroup(first.steps_up, down, tuple(members), windows, self._group(list(enumerate(below.values()))))

    def _windows_of(self, members: Sequence[tuple[int, FeatureDefinition]]) -> tuple[str | None, ...]:
        """Return the windows of the plan but for those surely longer than any that `members` use at the top."""
        used = {window for _, item in members if item.is_aggregation for window in item.top_windows}
        windows = self.windows or sort_windows(used)
        if None in used or not used:
            return windows
        longest = max(parse_window(window).longest_days for window in used if window)
        return tuple(w for w in windows if w is not None and (w in used or parse_window(w).shortest_days <= longest))

    def _content(self) -> dict[str, Any]:
        reference = {} if self.reference is None else {"reference": asdict(self.reference)}
        return reference | {
            "format": _FORMAT,
            "root_table": self.root_table,
            "key_column": self.key_column,
            "cutoff": "exclusive",
            "windows": list(self.windows),
            "definitions": [definition.to_json() for definition in self.definitions],
            "tables": {name: schema.to_json() for name, schema in self.tables.items()},
            "levels": {alias: list(levels) for alias, levels in self.levels.items()},
        }

    @classmethod
    def _from_content(cls, data: Mapping[str, Any]) -> "FeaturePlan":
        if data["format"] != _FORMAT:
            raise ValueError(f"format {data['format']!r} instead of {_FORMAT}")
        return cls(
            root_table=data["root_table"],
            key_column=data["key_column"],
            definitions=tuple(FeatureDefinition.from_json(item) for item in data["definitions"]),
            tables={
                name: TableSchema(**{**schema, "primary_key": tuple(schema["primary_key"])})
                for name, schema in data["tables"].items()
            },
            levels={alias: tuple(levels) for alias, levels in data["levels"].items()},
            windows=tuple(data["windows"]),
            reference=ReferenceSettings(**data["reference"]) if "reference" in data else None,
            level_names=data.get("level_names", {}),
            units=data.get("units", {}),
        )


def needed_tables(
    root_table: str,
    key_column: str,
    definitions: Iterable[FeatureDefinition],
    tables: Mapping[str, TableSchema],
) -> dict[str, TableSchema]:
    """Return of `tables` what the `definitions` read: their columns, the keys on their paths, and the times."""
    wanted: dict[str, set[str]] = {root_table: {key_column}}
    for definition in definitions:
        for link in (link for path in definition.paths for link in _walk(root_table, path)):
            wanted.setdefault(link.child, set()).add(link.child_column)
            wanted.setdefault(link.parent, set()).add(link.parent_column)
        for columns in wanted.values():
            columns.discard("")  # of a table that is joined by time alone
        for table, column in definition.reads(root_table):
            wanted[table].add(column)
    missing = sorted(set(wanted) - set(tables))
    if missing:
        raise ConfigurationError(msg("the plan lacks the tables {tables}", tables=", ".join(missing)))
    return {name: schema.pruned(wanted[name]) for name, schema in tables.items() if name in wanted}


def sort_windows(windows: Iterable[str | None]) -> tuple[str | None, ...]:
    """Return the distinct windows, longest first; None, all of the history, is the longest."""

    def length(window: str | None) -> float:
        return float("inf") if window is None else parse_window(window).longest_days

    return tuple(sorted(set(windows), key=lambda window: (-length(window), window or "")))


def _walk(root_table: str, path: tuple[PathStep, ...]) -> list[Link]:
    links, table = [], root_table
    for step in path:
        child, parent = (table, step.table) if step.direction == "up" else (step.table, table)
        links.append(Link(child, step.child_column, parent, step.parent_column))
        table = step.table
    return links
