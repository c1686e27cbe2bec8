"""The rules that columns and rows must keep: proposed from the data standard and the data model, edited as YAML.

A rule set is data: what it says becomes pandera schemas in `warehouse.quality.schemas`.
"""

from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.fingerprints import fingerprint_json
from warehouse.data_model import ColumnName, TableName
from warehouse.standard.catalogue import Field as StandardField
from warehouse.standard.catalogue import Standard
from warehouse.table_set import TableSet
from warehouse.yaml_text import parse_yaml, read_yaml

__all__ = ["ColumnRule", "OrderRule", "RuleSet", "SumRule", "TableRules", "propose_rules"]


class _Rule(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ColumnRule(_Rule):
    """What the values of one column must be.

    Parameters
    ----------
    required : bool, default=False
        Every row has a value.
    unique : bool, default=False
        No value comes twice.
    minimum, maximum : float or None
        Limits of numbers, both allowed.
    values : list of str or None
        The values there may be.
    code_tables : list of str, default=[]
        Code tables of the data standard that the values come from, beside `values`.
    pattern : str or None
        Regular expression that the whole of a text fits.
    check : {"credit_code", "identity_number"} or None
        The check character that texts carry.
    """

    required: bool = False
    unique: bool = False
    minimum: float | None = Field(default=None, strict=False, allow_inf_nan=False)
    maximum: float | None = Field(default=None, strict=False, allow_inf_nan=False)
    values: list[str] | None = None
    code_tables: list[str] = Field(default_factory=list)
    pattern: str | None = None
    check: Literal["credit_code", "identity_number"] | None = None

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        return self


class OrderRule(_Rule):
    """In every row that has both, the value of `lower` is not above that of `upper`; `strict` forbids equal ones."""

    lower: ColumnName
    upper: ColumnName
    strict: bool = False


class SumRule(_Rule):
    """In every row that has all, `parts` add up to `total`, up to `tolerance` in its unit and `relative` of it."""

    total: ColumnName
    parts: list[ColumnName] = Field(min_length=1)
    tolerance: float = Field(default=0.011, ge=0, strict=False)
    relative: float = Field(default=0.0, ge=0, lt=1, strict=False)


class TableRules(_Rule):
    """The rules of one table."""

    columns: dict[ColumnName, ColumnRule] = Field(default_factory=dict)
    orders: list[OrderRule] = Field(default_factory=list)
    sums: list[SumRule] = Field(default_factory=list)

    @property
    def named_columns(self) -> set[str]:
        """All columns that a rule is about."""
        ends = {end for rule in self.orders for end in (rule.lower, rule.upper)}
        return {*self.columns, *ends, *(part for rule in self.sums for part in (rule.total, *rule.parts))}

    def within(self, columns: Collection[str]) -> "TableRules":
        """Return the rules about these columns alone."""
        return TableRules(
            columns={name: rule for name, rule in self.columns.items() if name in columns},
            orders=[rule for rule in self.orders if {rule.lower, rule.upper} <= set(columns)],
            sums=[rule for rule in self.sums if {rule.total, *rule.parts} <= set(columns)],
        )


class RuleSet(_Rule):
    """Rules by table.

    Examples
    --------
    >>> rules = RuleSet.from_text("tables: {loans: {columns: {amount: {required: true, minimum: 0}}}}")
    >>> rules.tables["loans"].columns["amount"].minimum
    0.0
    """

    tables: dict[TableName, TableRules] = Field(default_factory=dict)

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read a YAML file; a `ConfigurationError` names file, line and field."""
        return read_yaml(Path(path), cls)

    @classmethod
    def from_text(cls, text: str, *, where: str = "rules") -> Self:
        """Read YAML text; a `ConfigurationError` names line and field."""
        return parse_yaml(text, cls, where=where)

    def to_yaml(self) -> str:
        """Return the rules as YAML text with what is not left at its default; `from_text` reads it back."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        return fingerprint_json(self.model_dump(mode="json"))

    def within(self, columns: Mapping[str, Collection[str]]) -> tuple["RuleSet", int]:
        """Return the rules about these columns of these tables, and how many are about others.

        Parameters
        ----------
        columns : mapping of str to collection of str
            The columns of each table.

        Examples
        --------
        >>> rules = RuleSet.from_text("tables: {loans: {columns: {amount: {required: true}, term: {minimum: 0}}}}")
        >>> kept, n_left_out = rules.within({"loans": ["amount"]})
        >>> list(kept.tables["loans"].columns), n_left_out
        (['amount'], 1)
        """
        tables = {name: table.within(columns[name]) for name, table in self.tables.items() if name in columns}
        kept = RuleSet(tables=tables)
        return kept, self.n_rules - kept.n_rules

    @property
    def n_rules(self) -> int:
        """Columns, orders and sums that there are rules about."""
        return sum(len(table.columns) + len(table.orders) + len(table.sums) for table in self.tables.values())


def propose_rules(
    table_set: TableSet,
    standard: Standard | None = None,
    fields: Mapping[str, Mapping[str, StandardField]] | None = None,
) -> RuleSet:
    """Return the rules that keys, times and the data standard ask for.

    Parameters
    ----------
    table_set : TableSet
        The tables.
    standard : Standard, optional
        The data standard; without one only keys and times give rules.
    fields : mapping of str to mapping of str to Field, optional
        Per table the field of each matched column.
    """
    fields = fields or {}
    shipped = RuleSet.from_text(_shipped()) if standard is not None else RuleSet()
    return RuleSet(
        tables={
            name: _table_rules(table_set, name, fields.get(name, {}), shipped, standard) for name in table_set.names
        }
    )


def _table_rules(
    table_set: TableSet,
    name: str,
    fields: Mapping[str, StandardField],
    shipped: RuleSet,
    standard: Standard | None,
) -> TableRules:
    spec = table_set.spec(name)
    required = {*spec.primary_key, spec.event_time, spec.known_at}
    columns = {}
    for column in spec.columns:
        field = fields.get(column)
        rule = ColumnRule(required=column in required, unique=spec.primary_key == [column])
        if field is not None and standard is not None:
            rule = _of_field(rule, field, standard, spec.columns[column].type)
        if rule != ColumnRule():
            columns[column] = rule
    tables = {field.table for field in fields.values()}
    names = {field.code: column for column, field in fields.items()} if len(tables) == 1 else {}
    given = shipped.tables.get(next(iter(tables), ""), TableRules()) if len(tables) == 1 else TableRules()
    return TableRules(columns=columns, orders=_orders(given, names), sums=_sums(given, names))


def _of_field(rule: ColumnRule, field: StandardField, standard: Standard, column_type: str) -> ColumnRule:
    is_number = column_type in {"number", "integer", "boolean"}
    is_text = column_type in {"id", "category", "text"}
    allowed = standard.allowed_values(field)
    return rule.model_copy(
        update={
            "required": rule.required or (field.mandatory and field.known_at is None),
            "minimum": field.minimum if is_number else None,
            "maximum": field.maximum if is_number else None,
            "code_tables": list(field.code_tables) if allowed is not None and is_text else [],
            "pattern": field.pattern if is_text else None,
            "check": field.check if is_text else None,
        }
    )


def _orders(given: TableRules, names: Mapping[str, str]) -> list[OrderRule]:
    return [
        OrderRule(lower=names[rule.lower], upper=names[rule.upper], strict=rule.strict)
        for rule in given.orders
        if {rule.lower, rule.upper} <= set(names)
    ]


def _sums(given: TableRules, names: Mapping[str, str]) -> list[SumRule]:
    return [
        rule.model_copy(update={"total": names[rule.total], "parts": [names[part] for part in rule.parts]})
        for rule in given.sums
        if {rule.total, *rule.parts} <= set(names)
    ]


def _shipped() -> str:
    """Return the rules between columns of the standard's tables, as they are shipped."""
    return (resources.files("warehouse.quality") / "data" / "rules.yaml").read_text(encoding="utf-8")
