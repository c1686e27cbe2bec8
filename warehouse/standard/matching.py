"""Uploaded columns matched to the fields of the data standard, and where they differ from it.

A table is matched by its name and by the rare names among its columns; a column by its name, its labels, its type and
its values. Confidence runs from 0 to 1: 1 is the standard's own name, .95 another name or label of it, less where only
words agree; a type of another kind takes a third away, values that fit give back half of what is missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd

from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.progress import Progress, SilentProgress
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, ColumnSpec, DataModel, TableSpec
from warehouse.standard.catalogue import Field, Standard, StandardTable
from warehouse.standard.check_digits import is_credit_code, is_identity_number
from warehouse.standard.choices import StandardChoices
from warehouse.standard.naming import normal_name, similarity, unit_of
from warehouse.table_set import TableSet
from warehouse.unit_factors import unit_factor

__all__ = ["ColumnMatch", "StandardMatch", "TableMatch", "match_columns"]

_MIN_CONFIDENCE: Final = 0.6
_MIN_TABLE_CONFIDENCE: Final = 0.35
_MIN_SHARED: Final = 2  # names of columns, where the table has another name
_EXACT, _OTHER_NAME, _PARTIAL = 1.0, 0.95, 0.8
_MIN_NAME: Final = 0.4
_ELSEWHERE: Final = 0.85
_WRONG_TYPE: Final = 0.65
_RARE: Final = 3  # a name in no more tables than this tells one table from another
_MOST: Final = 0.9
_SAMPLE: Final = 2_000
_MIN_CODES: Final = 20  # a table of so many long codes is known by its values alone
_MIN_CODE_LENGTH: Final = 4
_N_SHOWN: Final = 5


@dataclass(frozen=True)
class TableMatch:
    """A table and the standard table it is, None where it is none; `confidence` from 0 to 1."""

    table: str
    standard_table: str | None
    confidence: float


@dataclass(frozen=True)
class ColumnMatch:
    """A column and the field of the standard it is.

    Parameters
    ----------
    table, column : str
        The column.
    standard_table, field : str
        The field.
    confidence : float
        From .6 to 1; less is no match.
    evidence : tuple of str
        What speaks for it: ``name``, ``alias``, ``label``, ``words``, ``type``, ``values``; or ``chosen`` by a person.
    """

    table: str
    column: str
    standard_table: str
    field: str
    confidence: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class StandardMatch:
    """What was matched, and the findings where the data differs from the standard.

    Codes of the findings: ``standard_table_unknown``, ``standard_column_unknown``, ``standard_field_missing``,
    ``standard_type_differs``, ``standard_unit_differs``, ``standard_code_unknown``, ``standard_values_missing``.
    """

    tables: tuple[TableMatch, ...]
    columns: tuple[ColumnMatch, ...]
    findings: tuple[Finding, ...]

    def fields_of(self, table: str, standard: Standard) -> dict[str, Field]:
        """Return the field of each matched column of `table`."""
        return {
            match.column: standard.field(match.standard_table, match.field)
            for match in self.columns
            if match.table == table
        }

    def standard_table(self, table: str) -> str | None:
        """Return the standard table that `table` is, None where it is none."""
        return next((match.standard_table for match in self.tables if match.table == table), None)

    def to_json(self) -> dict[str, Any]:
        """Return the match as JSON values."""
        return {
            "tables": [asdict(match) for match in self.tables],
            "columns": [asdict(match) | {"evidence": list(match.evidence)} for match in self.columns],
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True, eq=False)
class _Column:
    """A column to match; its values are read when they are asked for, and only the first ones are kept."""

    table: str
    name: str
    spec: ColumnSpec
    rows: TableSet | None

    @cached_property
    def sample(self) -> "pd.Series[Any] | None":
        """The first values that are there; None where there are no rows to look at."""
        return None if self.rows is None else self.rows.first_values(self.table, self.name, _SAMPLE)

    @cached_property
    def texts(self) -> np.ndarray[Any, Any]:
        """The sample as texts."""
        return np.array([], dtype=object) if self.sample is None else _texts(self.sample)

    @property
    def where(self) -> str:
        return f"{self.table}, column {self.name}"

    @property
    def unit(self) -> str | None:
        """Unit as the model or a name of the column says."""
        texts = (self.spec.unit, self.name, *self.spec.label.values())
        return next((unit for text in texts if text and (unit := unit_of(text, is_unit=text == self.spec.unit))), None)


def match_columns(
    source: TableSet | DataModel,
    standard: Standard,
    choices: StandardChoices | None = None,
    *,
    progress: Progress | None = None,
) -> StandardMatch:
    """Match the columns of `source` to the fields of `standard`.

    Parameters
    ----------
    source : TableSet or DataModel
        With the rows, values count too, for the match and for findings; a model alone is matched by names and types.
    standard : Standard
        What to match with.
    choices : StandardChoices, optional
        What a person decided: it goes before what names, types and values speak for.
    progress : Progress, optional
        Told each table; may cancel between two looks at a column.

    Raises
    ------
    CancelledError
        A person asked to stop.
    """
    choices, progress = choices or StandardChoices(), progress or SilentProgress()
    model = source if isinstance(source, DataModel) else source.data_model
    tables: list[TableMatch] = []
    columns: list[ColumnMatch] = []
    findings: list[Finding] = []
    for index, (name, spec) in enumerate(model.tables.items()):
        message = msg("comparing the table {table} with the data standard", table=name)
        told = partial(progress.report, index / len(model.tables), message)
        rows = None if isinstance(source, DataModel) else source
        given = [_Column(name, column, column_spec, rows) for column, column_spec in spec.columns.items()]
        best, confidence = _best_table(name, spec, given, standard)
        if name in choices.tables:
            code = choices.tables[name]
            best, confidence = None if code is None else standard.table(code), 1.0
        tables.append(TableMatch(name, None if best is None else best.code, round(confidence, 3)))
        matched = _chosen(given, _match_table(given, best, standard, told), choices.columns.get(name, {}))
        columns += matched
        findings += _findings(name, given, best, matched, standard, told)
    return StandardMatch(tuple(tables), tuple(columns), tuple(findings))


def _chosen(columns: list[_Column], matches: list[ColumnMatch], fields: Mapping[str, str | None]) -> list[ColumnMatch]:
    """Return the matches with the decided ones in place of what was proposed for the same columns and fields."""
    decided = {}
    for column in columns:
        field = fields.get(column.name)
        if field is not None:
            table, _, code = field.partition(".")
            decided[column.name] = ColumnMatch(column.table, column.name, table, code, 1.0, ("chosen",))
    taken = {(match.standard_table, match.field) for match in decided.values()}
    kept = {
        match.column: match
        for match in matches
        if match.column not in fields and (match.standard_table, match.field) not in taken
    }
    found = kept | decided
    return [found[column.name] for column in columns if column.name in found]


def _best_table(
    name: str, spec: TableSpec, columns: list[_Column], standard: Standard
) -> tuple[StandardTable | None, float]:
    """Return the standard table that name and columns speak for most."""
    names = {other for column in columns for other in _column_names(column)}
    rarity = _rarity(standard)
    scores = {}
    for table in standard.tables.values():
        known = {other for field in table.fields.values() for other, _ in _field_names(field)}
        own = max(similarity(mine, theirs) for mine in (name, *spec.label.values()) for theirs in _table_names(table))
        shared = names & known
        if own < 1 and len(shared) < _MIN_SHARED:
            continue
        share = sum(1 / rarity[other] for other in shared)
        share /= max(sum(1 / rarity.get(other, _RARE) for other in names), 1e-9)
        scores[table.code] = min(1.0, 0.5 * (own if own > 0.5 else 0.0) + share)
    best = max(scores, key=lambda code: scores[code], default="")
    return (standard.tables[best], scores[best]) if scores.get(best, 0) >= _MIN_TABLE_CONFIDENCE else (None, 0.0)


def _match_table(
    columns: list[_Column], table: StandardTable | None, standard: Standard, told: Callable[[], None]
) -> list[ColumnMatch]:
    """Give each column the field it fits best, surest first, no field twice."""
    inside = [] if table is None else list(table.fields.values())
    scored = [(*_score(column, field, standard), column, field) for column in _each(columns, told) for field in inside]
    sure = {column.name for confidence, _, column, _ in scored if confidence >= _OTHER_NAME}
    scored += [
        (confidence * _ELSEWHERE, evidence, column, field)
        for column in _each(columns, told)
        if column.name not in sure
        for field, is_named in _elsewhere(column, table, standard)
        for confidence, evidence in [_score(column, field, standard, needs_values=not is_named)]
        if not is_named or not _contradicts(column, field, standard)
    ]
    scored.sort(key=lambda entry: -entry[0])
    taken: set[str] = set()
    used: set[str] = set()
    matches = []
    for confidence, evidence, column, field in scored:
        if confidence < _MIN_CONFIDENCE or column.name in taken or field.id in used:
            continue
        taken.add(column.name)
        used.add(field.id)
        matches.append(ColumnMatch(column.table, column.name, field.table, field.code, round(confidence, 3), evidence))
    order = {column.name: position for position, column in enumerate(columns)}
    return sorted(matches, key=lambda match: order[match.column])


def _each(columns: Iterable[_Column], told: Callable[[], None]) -> Iterator[_Column]:
    """Yield the columns; `told` is called before each, and may cancel."""
    for column in columns:
        told()
        yield column


def _elsewhere(column: _Column, table: StandardTable | None, standard: Standard) -> Iterator[tuple[Field, bool]]:
    """Yield fields of other tables that the column may be, and whether by a rare name: else only its values tell."""
    fields = _by_name(standard)
    named = {
        field.id: field
        for name in _column_names(column)
        for field in fields.get(name, ())
        if _rarity(standard)[name] <= _RARE
    }
    told = {} if column.rows is None else {field.id: field for field in _told_by_values(standard)}
    for code, field in (told | named).items():
        if table is None or field.table != table.code:
            yield field, code in named


def _contradicts(column: _Column, field: Field, standard: Standard) -> bool:
    """Whether most values are not what the field holds: a name alone then says nothing in another table."""
    fit = _fit(column, field, standard)
    return fit is not None and fit < 0.5


@cache
def _by_name(standard: Standard) -> Mapping[str, list[Field]]:
    """Return the fields that bear each name."""
    found: dict[str, list[Field]] = {}
    for field in standard.fields:
        for name in {name for name, _ in _field_names(field)}:
            found.setdefault(name, []).append(field)
    return found


@cache
def _told_by_values(standard: Standard) -> tuple[Field, ...]:
    """Return the fields whose values alone tell them: check characters, or many long codes."""
    return tuple(field for field in standard.fields if field.check or _is_telling(field, standard))


def _score(
    column: _Column, field: Field, standard: Standard, *, needs_values: bool = False
) -> tuple[float, tuple[str, ...]]:
    """Return confidence and evidence that `column` is `field`."""
    confidence, name = _name_score(column, field)
    if confidence < _MIN_NAME and not (needs_values or field.check):
        return 0.0, ()
    same = _same_kind(column.spec, field)
    fit = _fit(column, field, standard) if same or field.check else None
    evidence = tuple(word for word, holds in ((name, name), ("type", same)) if holds)
    if not same:
        confidence *= _WRONG_TYPE
    if fit is not None and fit >= _MOST:
        sure = 0.9 if field.check else 0.75 if needs_values else 0.0
        return max(sure, confidence + (1 - confidence) / 2), (*evidence, "values")
    if fit is not None and fit < 0.5:
        confidence *= 0.75
    return (0.0, ()) if needs_values else (confidence, evidence)


def _name_score(column: _Column, field: Field) -> tuple[float, str]:
    mine = _column_names(column)
    own = normal_name(column.name)
    for theirs, kind in _field_names(field):
        if theirs == own:
            return (_EXACT if kind == "name" else _OTHER_NAME), kind
    for theirs, _ in _field_names(field):
        if theirs in mine:
            return _OTHER_NAME, "label"
    words = max(
        similarity(one, other) for one in (column.name, *column.spec.label.values()) for other in _texts_of(field)
    )
    return (_PARTIAL * words, "words") if words >= 0.5 else (0.0, "")


def _column_names(column: _Column) -> frozenset[str]:
    return frozenset(normal_name(text) for text in (column.name, *column.spec.label.values()))


@cache
def _names_of(code: str, aliases: tuple[str, ...], labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (normal_name(text), kind)
        for kind, texts in (("name", (code,)), ("alias", aliases), ("label", labels))
        for text in texts
    )


def _field_names(field: Field) -> tuple[tuple[str, str], ...]:
    return _names_of(field.code, field.aliases, tuple(field.label.values()))


def _texts_of(field: Field) -> tuple[str, ...]:
    return (field.code, *field.aliases, *field.label.values())


def _table_names(table: StandardTable) -> tuple[str, ...]:
    return (table.code, *table.label.values())


@cache
def _rarity(standard: Standard) -> Mapping[str, int]:
    """Return in how many tables each name of a field stands."""
    return {name: len({field.table for field in fields}) for name, fields in _by_name(standard).items()}


def _is_telling(field: Field, standard: Standard) -> bool:
    """Whether a column can be known by its values alone: many long codes."""
    allowed = standard.allowed_values(field)
    return allowed is not None and len(allowed) >= _MIN_CODES and min(map(len, allowed)) >= _MIN_CODE_LENGTH


def _same_kind(spec: ColumnSpec, field: Field) -> bool:
    return _kind(spec.type) == _kind(field.type) or {spec.type, field.type} <= {"boolean", "integer", "number"}


def _kind(column_type: str) -> str:
    if column_type in TEXT_TYPES:
        return "text"
    return "time" if column_type in TIME_TYPES else "number"


def _fit(column: _Column, field: Field, standard: Standard) -> float | None:
    """Return the share of values that fit what the field holds; None where nothing can be said."""
    if column.sample is None:
        return None
    if field.check is not None:
        if len(column.texts) == 0 or column.spec.type not in TEXT_TYPES:
            return 0.0
        upper = np.array([text.upper() for text in column.texts], dtype=object)
        is_valid = is_credit_code if field.check == "credit_code" else is_identity_number
        return float(is_valid(upper).mean())
    allowed = standard.allowed_values(field)
    if allowed is None or column.spec.type in TIME_TYPES or column.spec.type == "number":
        return None
    return float(np.isin(column.texts, list(allowed)).mean()) if len(column.texts) else None


def _texts(values: "pd.Series[Any]") -> np.ndarray[Any, Any]:
    """Return values as texts; whole numbers without a fraction."""
    if values.dtype == object:
        return values.to_numpy()
    numbers = values.to_numpy(dtype=np.float64)
    return np.array([f"{number:.15g}" for number in numbers], dtype=object)


def _findings(
    name: str,
    columns: list[_Column],
    table: StandardTable | None,
    matches: list[ColumnMatch],
    standard: Standard,
    told: Callable[[], None],
) -> Iterable[Finding]:
    if table is None:
        yield Finding(
            "standard_table_unknown", Severity.INFO, msg("the table is none of the data standard"), where=name
        )
    found = {match.column: standard.field(match.standard_table, match.field) for match in matches}
    for column in _each(columns, told):
        if column.name in found:
            yield from _differences(column, found[column.name], standard)
        elif table is not None:
            yield Finding(
                "standard_column_unknown", Severity.INFO, msg("the data standard has no such field"), where=column.where
            )
    if table is not None:
        taken = {field.id for field in found.values()}
        yield from (
            _missing(name, field) for field in table.fields.values() if field.mandatory and field.id not in taken
        )


def _missing(table: str, field: Field) -> Finding:
    return Finding(
        "standard_field_missing",
        Severity.WATCH,
        msg(
            "the data standard asks for {field} ({label}), which is not there",
            field=field.code,
            label=" / ".join(field.label.values()),
        ),
        where=table,
        fix=msg("Add the column, or rename the one that holds it."),
    )


def _differences(column: _Column, field: Field, standard: Standard) -> Iterable[Finding]:
    if not _same_kind(column.spec, field):
        yield Finding(
            "standard_type_differs",
            Severity.WATCH,
            msg(
                "the type is {type}, the data standard has {standard} for {field}",
                type=column.spec.type,
                standard=field.type,
                field=field.id,
            ),
            where=column.where,
        )
    unit = unit_of(field.unit, is_unit=True) if field.unit else None
    if unit and column.unit and unit not in (column.unit, column.spec.feature_unit):
        yield Finding(
            "standard_unit_differs",
            Severity.WATCH,
            msg(
                "the unit is {unit}, the data standard has {standard} for {field}",
                unit=column.unit,
                standard=unit,
                field=field.id,
            ),
            where=column.where,
            fix=_unit_fix(column.unit, unit),
        )
    if column.rows is not None:
        yield from _value_differences(column, column.rows, field, standard)


def _unit_fix(given: str, wanted: str) -> Message:
    factor = unit_factor(given, wanted)
    if factor is None:
        return msg("Convert the values, or correct the unit in the data model.")
    return msg(
        "Where {unit} is right, choose {standard} as the feature unit on the Tables page: they are multiplied by "
        "{factor}, live too. Else correct the unit.",
        unit=given,
        standard=wanted,
        factor=f"{factor:g}",
    )


def _value_differences(column: _Column, rows: TableSet, field: Field, standard: Standard) -> Iterable[Finding]:
    if field.mandatory and (n_null := rows.n_missing(column.table, column.name)):
        n_rows = rows.n_rows(column.table)
        yield Finding(
            "standard_values_missing",
            Severity.WATCH,
            msg("{n} of {total} rows have no value, which the data standard asks for", n=n_null, total=n_rows),
            where=column.where,
        )
    allowed = standard.allowed_values(field)
    if allowed is None or column.spec.type in TIME_TYPES or column.spec.type == "number":
        return
    counts = rows.value_counts(column.table, column.name)
    texts = _texts(counts.index.to_series())
    unknown = ~np.isin(texts, list(allowed))
    if unknown.any():
        yield Finding(
            "standard_code_unknown",
            Severity.WATCH,
            msg(
                "{n} rows hold {values} codes that are not in the code table {table}, such as {examples}",
                n=int(counts.to_numpy()[unknown].sum()),
                values=int(unknown.sum()),
                table=", ".join(field.code_tables),
                examples=", ".join(map(repr, texts[unknown][:_N_SHOWN].tolist())),
            ),
            where=column.where,
            fix=msg("Correct the values, or translate them to the codes of the data standard."),
        )
