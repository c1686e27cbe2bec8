"""Reads the attributes of a PMML scorecard: the first predicate that is true gives the points."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from xml.etree.ElementTree import Element, tostring

from automl.scorecard.entries import PointsEntry, decimal_of
from core.errors import InputError
from core.i18n import msg

__all__ = ["read_entries"]

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)


def read_entries(root: Element, model: Element) -> list[PointsEntry]:
    """Return the rows of all characteristics of `model`.

    Raises
    ------
    InputError
        A field is not one of the data dictionary, is treated before it is scored, or a predicate is no interval or
        list of values of one field.
    """
    fields = {item.get("name", ""): item for item in root.findall("DataDictionary/DataField")}
    _check_treatment(model)
    entries: list[PointsEntry] = []
    for holder in model.findall("Characteristics/Characteristic"):
        if (sides := _sides(holder)) is not None:
            entries += _read_cells(holder, sides, fields)
            continue
        field = _field(holder)
        if field not in fields:
            raise InputError(
                msg("the characteristic does not read a field of the data dictionary"), where=holder.get("name", field)
            )
        if any(entry.characteristic == field and entry.beside is None for entry in entries):
            raise InputError(msg("two characteristics read the same field"), where=field)
        names = _extensions(holder, "name") or _display_name(fields[field])
        is_number = fields[field].get("optype") == "continuous"
        entries += [replace(entry, names=names) for entry in _Reader(field, is_number=is_number).read(holder)]
    return entries


def _check_treatment(model: Element) -> None:
    for field in model.findall("MiningSchema/MiningField"):
        if field.get("missingValueReplacement") is not None or field.get("outliers", "asIs") != "asIs":
            raise InputError(
                msg("a field whose values are replaced before they are scored cannot be imported"),
                where=field.get("name", ""),
            )


def _field(holder: Element) -> str:
    names = {item.get("field", "") for item in holder.iter() if item.tag in ("SimplePredicate", "SimpleSetPredicate")}
    if len(names) != 1:
        raise InputError(msg("a characteristic must read exactly one field"), where=holder.get("name", ""))
    return names.pop()


def _sides(holder: Element) -> tuple[str, str] | None:
    """Return the two fields that all attributes ask for, always in this order; None where it is not so."""
    found: tuple[set[str], set[str]] = (set(), set())
    for attribute in holder.findall("Attribute"):
        parts = _both(attribute)
        if parts is None:
            return None
        for names, part in zip(found, parts, strict=True):
            names |= {item.get("field", "") for item in part.iter() if item.get("field") is not None}
    is_pair = [len(names) for names in found] == [1, 1] and found[0] != found[1]
    return (found[0].pop(), found[1].pop()) if is_pair else None


def _both(attribute: Element) -> tuple[Element, Element] | None:
    predicates = [child for child in attribute if child.tag not in ("Extension", "ComplexPartialScore")]
    is_and = len(predicates) == 1 and predicates[0].get("booleanOperator") == "and"
    parts = list(predicates[0]) if is_and and predicates[0].tag == "CompoundPredicate" else []
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _read_cells(holder: Element, sides: tuple[str, str], fields: Mapping[str, Element]) -> list[PointsEntry]:
    """Return the cells of two fields; each side must be told in the same order all along."""
    unknown = [name for name in sides if name not in fields]
    if unknown:
        raise InputError(
            msg("the characteristic does not read a field of the data dictionary"), where=holder.get("name", unknown[0])
        )
    readers = [_Reader(name, is_number=fields[name].get("optype") == "continuous") for name in sides]
    known: tuple[dict[bytes, PointsEntry], dict[bytes, PointsEntry]] = ({}, {})
    cells, places = [], []
    for number, attribute in enumerate(holder.findall("Attribute"), 1):
        where = f"{holder.get('name', '')}, Attribute {number}"
        parts = _both(attribute)
        assert parts is not None  # noqa: S101  # asked before
        points = decimal_of(attribute.get("partialScore", ""), where)
        found = [_told(reader, part, steps, where) for reader, part, steps in zip(readers, parts, known, strict=True)]
        cells.append(replace(found[0], points=points, beside=found[1], where=where))
        places.append(tuple(list(steps.values()).index(one) for steps, one in zip(known, found, strict=True)))
    if places != sorted(places):
        raise InputError(
            msg("the cells of crossed fields must come row by row, columns in the same order"),
            where=holder.get("name", ""),
        )
    return cells


def _told(reader: "_Reader", part: Element, known: dict[bytes, PointsEntry], where: str) -> PointsEntry:
    """Return what one side of a cell holds; what was told before is the same."""
    text = tostring(part)
    if text not in known:
        known[text] = reader.read_one(part, where)
    return known[text]


def _display_name(field: Element) -> dict[str, str]:
    name = field.get("displayName", "")
    return {"en": name} if name and name != field.get("name") else {}


def _extensions(element: Element, prefix: str) -> dict[str, str]:
    found = {item.get("name", ""): item.get("value", "") for item in element.findall("Extension")}
    return {language: found[f"{prefix}_{language}"] for language in ("en", "zh") if f"{prefix}_{language}" in found}


class _Reader:
    """Reads the attributes of one characteristic in turn, and what each adds to those before it."""

    def __init__(self, field: str, *, is_number: bool) -> None:
        self.field = field
        self.is_number = is_number
        self.reached = -math.inf
        self.has_missing = False
        self.is_closed = False

    def read(self, holder: Element) -> Iterator[PointsEntry]:
        for number, attribute in enumerate(holder.findall("Attribute"), 1):
            where = f"{self.field}, Attribute {number}"
            if self.is_closed:
                raise self._wrong(msg("an attribute after one that is always true is never reached"), where)
            predicates = [child for child in attribute if child.tag not in ("Extension", "ComplexPartialScore")]
            if len(predicates) != 1 or attribute.get("partialScore") is None:
                raise self._wrong(msg("an attribute needs one predicate and a partial score"), where)
            points = decimal_of(attribute.get("partialScore", ""), where)
            yield from self._entries(attribute, predicates[0], points, where)

    def read_one(self, predicate: Element, where: str) -> PointsEntry:
        """Return the one row that `predicate` stands for, such as one side of a cell."""
        if self.is_closed:
            raise self._wrong(msg("an attribute after one that is always true is never reached"), where)
        found = list(self._entries(Element("Attribute"), predicate, Decimal(0), where))
        if len(found) != 1:
            raise self._wrong(msg("missing values and the rest need cells of their own"), where)
        return found[0]

    def _entries(
        self, attribute: Element, predicate: Element, points: Decimal, where: str
    ) -> Iterator[PointsEntry]:  # fmt: skip
        if predicate.tag == "True":
            yield from self._rest(points, where)
        elif predicate.get("operator") == "isMissing":
            self.has_missing = True
            yield PointsEntry(self.field, "missing", points, where=where)
        elif (values := _values(predicate)) is not None:
            yield self._listed(attribute, values, points, where)
        else:
            yield self._interval(_bounds(predicate, where), points, where)

    def _rest(self, points: Decimal, where: str) -> Iterator[PointsEntry]:
        """Yield what is left: nulls too, where no attribute before took them."""
        self.is_closed = True
        if not self.has_missing:
            yield PointsEntry(self.field, "missing", points, where=where)
        if self.is_number:
            if self.reached < math.inf:
                yield PointsEntry(self.field, "interval", points, self.reached, math.inf, where=where)
        else:
            yield PointsEntry(self.field, "other", points, where=where)

    def _listed(self, attribute: Element, values: tuple[str, ...], points: Decimal, where: str) -> PointsEntry:
        found = {item.get("name", ""): item.get("value", "") for item in attribute.findall("Extension")}
        if not self.is_number and "code" not in found:
            return PointsEntry(self.field, "levels", points, values=values, where=where)
        special = PointsEntry(
            self.field, "special", points, values=values, code=found.get("code", ""),
            labels=_extensions(attribute, "label"), where=where,
        )  # fmt: skip
        if not self.is_number:
            return special
        numbers = tuple(float(decimal_of(value, where)) for value in values)
        if any(value < self.reached for value in numbers):
            raise self._wrong(msg("a value that an interval before it holds is never reached"), where)
        return replace(special, values=numbers)

    def _interval(self, bounds: Mapping[str, float], points: Decimal, where: str) -> PointsEntry:
        """Intervals come in rising order; of one that overlaps those before it, the rest is left."""
        if not self.is_number:
            raise self._wrong(msg("levels have no order"), where)
        lower, upper = max(bounds["lower"], self.reached), bounds["upper"]
        if upper <= self.reached or (lower > self.reached and self.reached == -math.inf):
            raise self._wrong(msg("intervals must come in rising order, from minus infinity"), where)
        self.reached = upper
        return PointsEntry(self.field, "interval", points, lower, upper, where=where)

    def _wrong(self, message: object, where: str) -> InputError:
        return InputError(message, where=where)  # type: ignore[arg-type]  # always a message


def _values(predicate: Element) -> tuple[str, ...] | None:
    """Return the values a predicate lists, or None where it lists none."""
    if predicate.tag == "SimpleSetPredicate" and predicate.get("booleanOperator") == "isIn":
        array = predicate.find("Array")
        return _array(array.text or "") if array is not None else None
    if predicate.tag == "SimplePredicate" and predicate.get("operator") == "equal":
        return (predicate.get("value", ""),)
    if predicate.tag == "CompoundPredicate" and predicate.get("booleanOperator") == "or":
        parts = [_values(child) for child in predicate]
        return tuple(value for part in parts for value in part or ()) if all(parts) else None
    return None


def _array(text: str) -> tuple[str, ...]:
    found = [(quoted, plain) for quoted, plain in _TOKEN.findall(text)]
    return tuple(plain or re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) for quoted, plain in found)


def _bounds(predicate: Element, where: str) -> dict[str, float]:
    """Return lower (included) and upper (excluded) end; a bound of the other sort is the next number above."""
    is_and = predicate.tag == "CompoundPredicate" and predicate.get("booleanOperator") == "and"
    parts = list(predicate) if is_and else [predicate]
    bounds = {"lower": -math.inf, "upper": math.inf}
    for part in parts:
        operator = part.get("operator", "") if part.tag == "SimplePredicate" else part.tag
        if operator == "isNotMissing":
            continue
        if operator not in ("lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual"):
            raise InputError(msg("the predicate {name} is no interval or list of values", name=operator), where=where)
        value = float(decimal_of(part.get("value", ""), where))
        end = math.nextafter(value, math.inf) if operator in ("lessOrEqual", "greaterThan") else value
        if operator.startswith("less"):
            bounds["upper"] = min(bounds["upper"], end)
        else:
            bounds["lower"] = max(bounds["lower"], end)
    return bounds
