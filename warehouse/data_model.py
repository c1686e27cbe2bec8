"""The data model: which tables there are, what their columns mean, how they hang together, since when they are known.

A model may be partial: a person writes down only what the inference got wrong. Pydantic remembers which fields were
given, and only those override (see `DataModel.over`).
"""

import unicodedata
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.errors import ConfigurationError, NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import Language, Message, msg
from warehouse.unit_factors import convertible_units, unit_factor
from warehouse.yaml_text import parse_yaml, read_yaml

__all__ = [
    "ColumnRole",
    "ColumnSpec",
    "ColumnType",
    "DataModel",
    "LateColumns",
    "Relationship",
    "TableSpec",
]

ColumnType = Literal["id", "category", "text", "number", "integer", "boolean", "date", "datetime"]
ColumnRole = Literal[
    "feature", "key", "foreign_key", "event_time", "known_at", "ignore", "target", "personal", "forbidden"
]

TIME_TYPES: frozenset[ColumnType] = frozenset({"date", "datetime"})
NUMBER_TYPES: frozenset[ColumnType] = frozenset({"number", "integer"})
TEXT_TYPES: frozenset[ColumnType] = frozenset({"id", "category", "text"})
STRUCTURAL_ROLES: frozenset[ColumnRole] = frozenset({"key", "foreign_key", "event_time", "known_at"})
CLOSED_ROLES: frozenset[ColumnRole] = frozenset({"target", "personal", "forbidden"})
"""Roles of columns that no feature is made of, whatever the analyst asks for."""
RATE_UNITS = frozenset({"percent", "ratio", "ratio per year"})
"""Units of shares and rates, which add up to nothing."""
_MAX_NAME = 200
_FORBIDDEN_IN_TABLE_NAMES = frozenset('/\\:*?"<>|')


def _check_name(name: str) -> str:
    if not name or name != name.strip() or len(name) > _MAX_NAME:
        raise ValueError(f"a name has 1 to {_MAX_NAME} characters and no blanks at its ends")
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in name):
        raise ValueError("a name has no control or direction characters")
    return name


def _check_table_name(name: str) -> str:
    if name.startswith(".") or _FORBIDDEN_IN_TABLE_NAMES & set(name):
        raise ValueError('a table name does not start with a dot and has none of / \\ : * ? " < > |')
    return _check_name(name)


ColumnName = Annotated[str, AfterValidator(_check_name)]
TableName = Annotated[str, AfterValidator(_check_table_name)]


class _Spec(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ColumnSpec(_Spec):
    """What one column means.

    Parameters
    ----------
    type : ColumnType, default="text"
        Kind of value. In a partial model a type left out is inferred.
    role : ColumnRole, default="feature"
        What the column is for; ``"ignore"`` keeps it in the table and out of the features, like ``"target"`` (what
        became of the case), ``"personal"`` (of a person: shown masked) and ``"forbidden"`` (by law or house rule).
    label : dict, default={}
        Readable name per language (``en``, ``zh``).
    unit : str or None, default=None
        Unit of a number as it stands in the data, such as ``CNY`` or ``days``.
    feature_unit : str or None, default=None
        Unit that features of a number are computed in, such as ``10k CNY`` where the data is in ``CNY``; by default
        that of the data. Tables, labels and quality checks stay with the unit of the data.
    code_table : str or None, default=None
        Code table of the data standard that says what the values of a category mean.
    levels : dict of str to dict, default={}
        What values of a category mean, per language; they go before those of the code table.
    """

    type: ColumnType = "text"
    role: ColumnRole = "feature"
    label: dict[Language, str] = Field(default_factory=dict)
    unit: str | None = None
    feature_unit: str | None = None
    code_table: str | None = None
    levels: dict[str, dict[Language, str]] = Field(default_factory=dict)

    @property
    def feature_factor(self) -> float:
        """What values are multiplied by where features are made of them; 1 where they stay as they are.

        Raises
        ------
        ConfigurationError
            The column is no number, has no unit, or one that cannot be converted to `feature_unit`.
        """
        if self.feature_unit is None:
            return 1.0
        factor = None if self.unit is None else unit_factor(self.unit, self.feature_unit)
        if factor is None or self.type not in NUMBER_TYPES:
            raise ConfigurationError(
                msg(
                    "a {type} in the unit {unit} cannot be converted to {feature_unit}",
                    type=self.type,
                    unit=self.unit or "–",
                    feature_unit=self.feature_unit,
                ),
                fix=msg("Give a number the unit it is in and, for features, one of: {names}.",
                        names=", ".join(convertible_units())),
            )  # fmt: skip
        return factor

    @property
    def level_names(self) -> dict[str, dict[Language, str]]:
        """What the values mean, per language; raises `NotFoundError` where there is no such code table."""
        if self.code_table is None:
            return self.levels
        from warehouse.standard import load

        return {**load().code_table(self.code_table).entries, **self.levels}


class LateColumns(_Spec):
    """Columns that are filled in after the row itself was known, such as a status or a closing date.

    Parameters
    ----------
    columns : list of str
        The columns filled in later.
    known_at : str
        Date column of the same table; the columns are visible only where it lies before the cutoff.
    """

    columns: list[ColumnName] = Field(min_length=1)
    known_at: ColumnName


class TableSpec(_Spec):
    """What one table holds.

    A row is known at column `known_at` where that is given, else at `event_time` plus `known_at_lag_days`, else always
    (a static table).

    Parameters
    ----------
    file : str or None, default=None
        Name of the file it comes from; by default the file of the table's name.
    sheet : str or None, default=None
        Sheet of an Excel workbook.
    encoding : {"utf-8", "gb18030", "utf-16"} or None, default=None
        Encoding of a text file; by default it is found out.
    delimiter : str or None, default=None
        Field delimiter of a text file, one character; by default it is found out.
    columns : dict of str to ColumnSpec, default={}
        Columns by name.
    primary_key : list of str, default=[]
        Columns that together are unique and never null.
    event_time : str or None, default=None
        Column that says when the row happened.
    known_at : str or None, default=None
        Column that says when the row could first have been seen.
    known_at_lag_days : float, default=0
        Days from event to knowledge where there is no known-at column; 0 or more.
    late_columns : list of LateColumns, default=[]
        Groups of columns filled in later.
    is_macro : bool, default=False
        Whether its rows are the same for every entity, such as months of the economy: joined by time alone.
    label : dict, default={}
        Readable name per language.
    """

    file: str | None = None
    sheet: str | None = None
    encoding: Literal["utf-8", "gb18030", "utf-16"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    columns: dict[ColumnName, ColumnSpec] = Field(default_factory=dict)
    primary_key: list[ColumnName] = Field(default_factory=list)
    event_time: ColumnName | None = None
    known_at: ColumnName | None = None
    known_at_lag_days: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    late_columns: list[LateColumns] = Field(default_factory=list)
    is_macro: bool = False
    label: dict[Language, str] = Field(default_factory=dict)

    def column(self, name: str) -> ColumnSpec:
        """Return the column `name`; raises `ConfigurationError` where there is none."""
        try:
            return self.columns[name]
        except KeyError:
            raise ConfigurationError(msg("there is no such column"), where=name) from None

    def columns_of_type(self, *types: ColumnType) -> list[str]:
        """Return the names of the columns of the given types, in order."""
        return [name for name, column in self.columns.items() if column.type in types]


class Relationship(_Spec):
    """One row of `parent` has any number of rows in `child`: `child_column` holds values of `parent_column`."""

    parent: TableName
    parent_column: ColumnName
    child: TableName
    child_column: ColumnName

    def __str__(self) -> str:
        return f"{self.child}.{self.child_column} -> {self.parent}.{self.parent_column}"


class DataModel(_Spec):
    """Tables and the relationships between them.

    Parameters
    ----------
    tables : dict of str to TableSpec, default={}
        Tables by name.
    relationships : list of Relationship, default=[]
        Parent and child links.
    as_of : date or None, default=None
        The day up to which the data is complete; by default the latest known-at time in the data.

    Examples
    --------
    >>> model = DataModel.from_text("tables: {loans: {columns: {amount: {type: number, unit: CNY}}}}")
    >>> model.tables["loans"].columns["amount"].unit
    'CNY'
    """

    tables: dict[TableName, TableSpec] = Field(default_factory=dict)
    relationships: list[Relationship] = Field(default_factory=list)
    as_of: Annotated[date, Field(strict=False)] | None = None

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a YAML file; a `ConfigurationError` names file, line and field."""
        return read_yaml(Path(path), cls)

    @classmethod
    def from_text(cls, text: str, *, where: str = "data model") -> Self:
        """Read YAML text; a `ConfigurationError` names line and field."""
        return parse_yaml(text, cls, where=where)

    def to_yaml(self) -> str:
        """Return the model as YAML text with the fields that were given; `from_text` reads it back."""
        return yaml.safe_dump(
            self.model_dump(mode="json", exclude_unset=True), allow_unicode=True, sort_keys=False, width=120
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole content; does not depend on the order of tables, columns or relationships."""
        content = self.model_dump(mode="json")
        for table in content["tables"].values():
            if not table["is_macro"]:
                del table["is_macro"]  # younger than the fingerprints of many models
            for column in table["columns"].values():  # what values are called changes no value
                del column["code_table"], column["levels"]
                if column["feature_unit"] is None:
                    del column["feature_unit"]  # younger than the fingerprints of many models
        content["relationships"].sort(key=lambda link: tuple(link.values()))
        return fingerprint_json(content)

    def table(self, name: str) -> TableSpec:
        """Return the table `name`; raises `ConfigurationError` where there is none."""
        try:
            return self.tables[name]
        except KeyError:
            raise ConfigurationError(msg("there is no such table"), where=name) from None

    def parents_of(self, child: str) -> list[Relationship]:
        """Return the links from `child` up to its parents."""
        return [link for link in self.relationships if link.child == child]

    def children_of(self, parent: str) -> list[Relationship]:
        """Return the links from `parent` down to its children."""
        return [link for link in self.relationships if link.parent == parent]

    def check(self) -> None:
        """Raise `ConfigurationError` where the model contradicts itself: a column named that is not there, a time that
        is no date, a link to nothing.
        """  # noqa: D205
        for name, table in self.tables.items():
            _check_table(name, table)
        for link in self.relationships:
            self._check_relationship(link)

    def _check_relationship(self, link: Relationship) -> None:
        where = str(link)
        for table, column in ((link.parent, link.parent_column), (link.child, link.child_column)):
            if table not in self.tables:
                raise ConfigurationError(
                    msg("the relationship names the table {table}, which is not in the model", table=table), where=where
                )
            _require(self.tables[table], column, where, msg("a relationship"))
        parent = self.tables[link.parent].columns[link.parent_column]
        child = self.tables[link.child].columns[link.child_column]
        if (parent.type in TEXT_TYPES) != (child.type in TEXT_TYPES):
            raise ConfigurationError(
                msg(
                    "both ends of a relationship must be of one type, here {parent} and {child}",
                    parent=parent.type,
                    child=child.type,
                ),
                where=where,
                fix=msg("Give both columns the type id."),
            )


def _check_table(name: str, table: TableSpec) -> None:
    for column in table.primary_key:
        _require(table, column, name, msg("the primary key"))
    if len(set(table.primary_key)) < len(table.primary_key):
        raise ConfigurationError(msg("the primary key names a column twice"), where=name)
    for time in (table.event_time, table.known_at, *(group.known_at for group in table.late_columns)):
        if time is not None:
            _require_time(table, time, name)
    if table.is_macro and table.event_time is None and table.known_at is None:
        raise ConfigurationError(msg("a table that is joined by time alone needs a time"), where=name)
    for group in table.late_columns:
        for column in group.columns:
            _require(table, column, name, msg("a group of late columns"))
    for column, spec in table.columns.items():
        _require_code_table(spec, f"{name}, column {column}")
        _require_feature_unit(spec, f"{name}, column {column}")


def _require(table: TableSpec, column: str, where: str, user: Message) -> None:
    if column not in table.columns:
        raise ConfigurationError(
            msg("{user} names the column {column}, which the table does not have", user=user, column=column),
            where=where,
        )


def _require_code_table(column: ColumnSpec, where: str) -> None:
    try:
        column.level_names  # noqa: B018 - looked up
    except NotFoundError as error:
        raise ConfigurationError(
            error.message, where=where, fix=msg("Name a code table of the data standard, or give levels.")
        ) from error


def _require_feature_unit(column: ColumnSpec, where: str) -> None:
    try:
        column.feature_factor  # noqa: B018 - looked up
    except ConfigurationError as error:
        raise ConfigurationError(error.message, where=where, fix=error.fix) from error


def _require_time(table: TableSpec, column: str, where: str) -> None:
    _require(table, column, where, msg("a time"))
    if table.columns[column].type not in TIME_TYPES:
        raise ConfigurationError(
            msg("a time must be of type date or datetime, here {type}", type=table.columns[column].type),
            where=f"{where}, column {column}",
        )
