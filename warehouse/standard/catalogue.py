"""The catalogue of the data standard, read once from the files of this package; light: the standard library only.

The element codes, their paths and their code tables are those of the second-generation credit reports of the central
bank; the sectors are those of GB/T 4754, the regions those of GB/T 2260 in Zhejiang. The subject tables are ours.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Final, Literal, TypeVar

from core.errors import NotFoundError
from core.fingerprints import fingerprint_json
from core.i18n import Language, Message, msg

__all__ = ["SOURCES", "CodeTable", "Element", "Field", "Standard", "StandardTable", "load"]

ElementKind = Literal["identifier", "text", "code", "amount", "count", "date", "rate"]
FieldType = Literal["id", "category", "text", "number", "integer", "boolean", "date", "datetime"]
FieldRole = Literal["feature", "key", "foreign_key", "event_time", "known_at", "ignore"]
FieldCheck = Literal["credit_code", "identity_number"]

_Item = TypeVar("_Item")
_VERSION: Final = "1"
_FIELD_TYPES: Final[Mapping[str, FieldType]] = {
    "identifier": "id",
    "text": "text",
    "code": "category",
    "amount": "number",
    "count": "integer",
    "date": "date",
    "rate": "number",
}

SOURCES: Final[Mapping[str, Message]] = {
    "applicant": msg("the applicant"),
    "bank": msg("the lending bank"),
    "business": msg("the guarantee business system"),
    "court": msg("the courts"),
    "internet": msg("public media"),
    "pboc": msg("credit reports of the central bank"),
    "platform": msg("the platform itself"),
    "registry": msg("the company register and other authorities"),
    "social": msg("social insurance and housing fund"),
    "statistics": msg("official statistics"),
    "tax": msg("the tax authority"),
    "utility": msg("electricity and water suppliers"),
}
"""Where the rows of a table come from, by code."""


@dataclass(frozen=True)
class CodeTable:
    """The values a field may hold.

    Parameters
    ----------
    code : str
        ``"2045"`` as in the central bank's tables, or a name such as ``"sector"``.
    standard : str
        Who defines it: ``central bank``, ``GB/T 4754``, ``GB/T 2260`` or ``platform``.
    label : dict
        Readable name per language.
    entries : dict of str to dict
        Label per language of each value; English is left out where there is no good name.

    Examples
    --------
    >>> load().code_table("2045").label_of("2")
    'special mention'
    >>> load().code_table("sector").label_of("C", "zh")
    '制造业'
    """

    code: str
    standard: str
    label: dict[Language, str]
    entries: dict[str, dict[Language, str]]

    def __contains__(self, value: object) -> bool:
        return value in self.entries

    def label_of(self, value: str, language: Language = "en") -> str:
        """Return what a value means: in the other language where this one has no name, the value itself if unknown."""
        return _in_language(self.entries.get(value, {}), language) or value


@dataclass(frozen=True)
class Element:
    """A leaf of a credit report.

    Parameters
    ----------
    code : str
        Eight characters, ``ED01AJ01``.
    report : {"enterprise", "individual"}
        The report it belongs to.
    path : str
        Segment, unit, block and repeated item it stands in, joined by ``/``; the leaf itself left out.
    kind : ElementKind
        Kind of value.
    unit : str or None
        Unit of an amount: enterprise credit in ``10k CNY`` (of the account's currency in ``ED``), public records and
        all of a person in ``CNY``, None where public material does not say (statements, utility bills).
    code_tables : tuple of str
        Tables its values come from; several where it depends on another element. Currencies (3003, ISO 4217),
        countries (3001) and regions outside Zhejiang (3002) are not shipped.
    label : dict
        Chinese name, and an English one where there is a good one.
    """

    code: str
    report: Literal["enterprise", "individual"]
    path: str
    kind: ElementKind
    unit: str | None
    code_tables: tuple[str, ...]
    label: dict[Language, str]

    @property
    def type(self) -> FieldType:
        """The column type that holds it."""
        return _FIELD_TYPES[self.kind]

    @property
    def segment(self) -> str:
        """Its segment, the first step of the path."""
        return self.path.partition("/")[0]

    @property
    def is_repeated(self) -> bool:
        """Whether it stands in an item that comes any number of times inside its block."""
        return self.path.endswith("H")


@dataclass(frozen=True)
class Field:
    """A column of a subject table.

    Parameters
    ----------
    table, code : str
        Where it stands and its name; columns of credit reports are named by their element.
    label : dict
        Readable name per language.
    type, role, unit
        As in `warehouse.data_model.ColumnSpec`.
    mandatory : bool
        Whether every row has a value.
    code_tables : tuple of str
        Tables its values come from.
    source : str
        Key of `SOURCES`.
    known_at : str or None
        Column since when a value filled in later is known; None where it is known with its row.
    element : str or None
        The element of a credit report it is.
    aliases : tuple of str
        Other names it goes by.
    minimum, maximum : float or None
        Limits of a number, both allowed.
    pattern : str or None
        Regular expression that the whole of a text fits.
    check : {"credit_code", "identity_number"} or None
        The check character its values carry.
    personal : bool
        Whether it tells something of a person and is shown masked.
    """

    table: str
    code: str
    label: dict[Language, str]
    type: FieldType
    role: FieldRole = "feature"
    unit: str | None = None
    mandatory: bool = False
    code_tables: tuple[str, ...] = ()
    source: str = "business"
    known_at: str | None = None
    element: str | None = None
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    check: FieldCheck | None = None
    personal: bool = False

    @property
    def nullable(self) -> bool:
        """Whether a row may go without a value."""
        return not self.mandatory

    @property
    def id(self) -> str:
        """Table and code, ``enterprise.uscc``."""
        return f"{self.table}.{self.code}"


@dataclass(frozen=True)
class StandardTable:
    """A subject table.

    Parameters
    ----------
    code : str
        Its name.
    label : dict
        Readable name per language.
    source : str
        Key of `SOURCES`.
    primary_key : tuple of str
        Fields of its key.
    event_time, known_at, known_at_lag_days
        As in `warehouse.data_model.TableSpec`.
    max_age_days : float or None
        How old the newest row may be where rows keep coming.
    fields : dict of str to Field
        Its columns by code.
    """

    code: str
    label: dict[Language, str]
    source: str
    primary_key: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    known_at_lag_days: float
    max_age_days: float | None
    fields: dict[str, Field]

    def known_at_rule(self, field: str) -> Message:
        """Return since when a value of `field` is known, as a sentence.

        Examples
        --------
        >>> str(load().table("contract").known_at_rule("status"))
        'filled in later, known from status_known_at on'
        """
        late = self.fields[field].known_at
        if late is not None:
            return msg("filled in later, known from {column} on", column=late)
        if self.known_at is not None:
            return msg("known with its row, from {column} on", column=self.known_at)
        if self.event_time is None:
            return msg("always known")
        if self.known_at_lag_days:
            return msg(
                "known with its row, {days} days after {column}", days=self.known_at_lag_days, column=self.event_time
            )
        return msg("known with its row, from {column} on", column=self.event_time)


@dataclass(frozen=True, eq=False)
class Standard:
    """The whole data standard; equal to itself only.

    Parameters
    ----------
    version : str
        Version of its content.
    tables : dict of str to StandardTable
        Subject tables by code.
    code_tables : dict of str to CodeTable
        Code tables by code.
    elements : dict of str to Element
        Elements of both credit reports by code.

    Examples
    --------
    >>> standard = load()
    >>> standard.field("enterprise", "uscc").label["zh"]
    '统一社会信用代码'
    >>> sum(element.report == "enterprise" for element in standard.elements.values())
    978
    """

    version: str
    tables: dict[str, StandardTable]
    code_tables: dict[str, CodeTable]
    elements: dict[str, Element]

    @property
    def fields(self) -> Iterator[Field]:
        """All fields of all tables."""
        for table in self.tables.values():
            yield from table.fields.values()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the files it was read from."""
        return fingerprint_json([_read(name) for name in ("tables.json", "code_tables.json", "elements.json")])

    def table(self, code: str) -> StandardTable:
        """Return the table `code`; raises `NotFoundError` where there is none."""
        return _found(self.tables, code, "standard table")

    def field(self, table: str, code: str) -> Field:
        """Return the field `code` of `table`; raises `NotFoundError` where there is none."""
        return _found(self.table(table).fields, code, table)

    def code_table(self, code: str) -> CodeTable:
        """Return the code table `code`; raises `NotFoundError` where it is not shipped."""
        return _found(self.code_tables, code, "code table")

    def element(self, code: str) -> Element:
        """Return the element `code`; raises `NotFoundError` where the catalogue has none."""
        return _found(self.elements, code, "element")

    def allowed_values(self, field: Field) -> frozenset[str] | None:
        """Return the values a field may hold; None where it has no code table or one is not shipped."""
        return _allowed_values(self, field.code_tables)


@cache
def load() -> Standard:
    """Return the data standard that is shipped; read once, some 30 ms."""
    elements = _elements()
    return Standard(_VERSION, _tables(elements), _code_tables(), elements)


@cache
def _allowed_values(standard: Standard, code_tables: tuple[str, ...]) -> frozenset[str] | None:
    if not code_tables or any(code not in standard.code_tables for code in code_tables):
        return None
    return frozenset(value for code in code_tables for value in standard.code_tables[code].entries)


def _elements() -> dict[str, Element]:
    found = {}
    for code, report, path, kind, unit, tables, zh, en in _read("elements.json")["rows"]:
        found[code] = Element(code, report, path, kind, unit, tuple(tables), _label(en, zh))
    return found


def _code_tables() -> dict[str, CodeTable]:
    data = _read("code_tables.json")
    found = {code: CodeTable(code, standard, _label(en, zh), {}) for code, standard, en, zh in data["tables"]}
    for table, value, zh, en in data["entries"]:
        found[table].entries[value] = _label(en, zh)
    return found


def _tables(elements: Mapping[str, Element]) -> dict[str, StandardTable]:
    found = {}
    for row in _read("tables.json"):
        fields = [_field(row["code"], row["source"], given, elements) for given in row.pop("fields")]
        defaults = {"event_time": None, "known_at": None, "known_at_lag_days": 0.0, "max_age_days": None}
        found[row["code"]] = StandardTable(
            **(defaults | row | {"primary_key": tuple(row["primary_key"]), "fields": {one.code: one for one in fields}})
        )
    return found


def _field(table: str, source: str, given: Mapping[str, Any], elements: Mapping[str, Element]) -> Field:
    """Return a field; one that is an element takes from it what is not given."""
    element = elements.get(given["code"])
    inherited: dict[str, Any] = {}
    if element is not None:
        inherited = {
            "label": element.label,
            "type": element.type,
            "unit": element.unit,
            "code_tables": element.code_tables,
            "element": element.code,
        }
    values = {"table": table, "source": source, **inherited, **given}
    for name in ("code_tables", "aliases"):
        values[name] = tuple(values.get(name, ()))
    return Field(**values)


def _read(name: str) -> Any:
    path = resources.files("warehouse.standard") / "data" / name
    return json.loads(path.read_text(encoding="utf-8"))


def _label(en: str, zh: str) -> dict[Language, str]:
    label: dict[Language, str] = {"en": en} if en else {}
    return label | {"zh": zh} if zh else label


def _in_language(label: Mapping[Language, str], language: Language) -> str:
    return label.get(language) or next(iter(label.values()), "")


def _found(items: Mapping[str, _Item], code: str, where: str) -> _Item:
    try:
        return items[code]
    except KeyError:
        raise NotFoundError(msg("the data standard has no {code}", code=code), where=where) from None
