"""One credit report becomes rows: each layout takes its own, strictly by type, and what has no column is kept apart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from core.errors import InputError
from core.fingerprints import fingerprint_json
from core.i18n import Message, msg
from warehouse.credit_reports.documents import XmlUnit
from warehouse.credit_reports.layout import (
    COUNTS,
    DETAIL_SEGMENTS,
    EXPECTED_SEGMENTS,
    LAYOUTS,
    Layout,
    columns_of,
    is_own_key,
)
from warehouse.credit_reports.notes import Notes
from warehouse.credit_reports.subjects import Subjects
from warehouse.credit_reports.values import Value, parse
from warehouse.standard import load
from warehouse.standard.catalogue import Field

__all__ = ["OTHER_TABLE", "ReadReport", "Row", "read_report"]

Row = dict[str, Value | None]
Leaves = dict[str, str]

OTHER_TABLE: Final = "cr_element"
"""The table of elements that no subject table has a column for, unknown ones too."""

_CREDIT_CODE: Final = "20"  # of code table 2002
_TOTAL: Final = "0"
_ITEM_LENGTH: Final = 6
_PERSON: Final = "PRH"
_DETAILS: Final = ("EDA", "EDB", "EDC", "EDD")


@dataclass(frozen=True)
class ReadReport:
    """A report as rows.

    Parameters
    ----------
    report_id : str
        Its number.
    fingerprint : str
        Of all its elements.
    rows : dict of str to list of dict
        Rows by table.
    """

    report_id: str
    fingerprint: str
    rows: dict[str, list[Row]] = field(default_factory=dict)


def read_report(document: XmlUnit, subjects: Subjects, notes: Notes, where: str) -> ReadReport | None:
    """Return the rows of a report; None for one on a person, which is noted.

    Raises
    ------
    InputError
        It has no number, no time or no identifier of its subject: it could not be told whose it is, or since when.
    """
    segments = _segments(document)
    if _PERSON in segments and "EAA" not in segments:
        notes.add("report_of_person", where)
        return None
    units = _units(segments)
    head = _head(units, subjects, notes, where)
    reading = _Reading(head, notes)
    rows: dict[str, list[Row]] = {"credit_report": [_report_row(head, segments, subjects)]}
    for layout in LAYOUTS:
        rows.setdefault(layout.table, []).extend(reading.rows_of(layout, units))
    rows[OTHER_TABLE] = list(reading.others(units))
    _check(units, segments, rows, notes)
    return ReadReport(str(head["report_id"]), fingerprint_json(_as_json(document)), rows)


def _segments(document: XmlUnit) -> dict[str, XmlUnit]:
    """Return the segments by name; the parts of one that comes twice are put together."""
    found: dict[str, XmlUnit] = {}
    for child in document.children:
        if child.tag in found:
            found[child.tag].children.extend(child.children)
        else:
            found[child.tag] = XmlUnit(child.tag, child.text, list(child.children))
    return found


def _units(segments: Mapping[str, XmlUnit]) -> dict[str, list[XmlUnit]]:
    found: dict[str, list[XmlUnit]] = {}
    for segment in segments.values():
        for unit in segment.children:
            found.setdefault(unit.tag, []).append(unit)
    return found


def _head(units: Mapping[str, list[XmlUnit]], subjects: Subjects, notes: Notes, where: str) -> Row:
    leaves = {code: text for unit in units.get("EA01", []) for code, text in _leaves(unit).items()}
    report_id = leaves.get("EA01AI01")
    if report_id is None:
        raise _nameless(msg("the report has no number (EA01AI01)"), where)
    place = f"{where}, {report_id}"
    try:
        time = parse(leaves.get("EA01AR01", ""), "datetime")
    except ValueError as error:
        raise _nameless(
            msg("the report has no time that can be read (EA01AR01: {value})", value=leaves.get("EA01AR01", "")), place
        ) from error
    codes = _identifiers(units)
    if not codes:
        raise _nameless(msg("the report does not say whose it is (EA01CI01)"), place)
    ent_id = subjects.enterprise(codes)
    if ent_id is None:
        notes.add("report_subject_unknown", codes[0])
    return {"report_id": report_id, "ent_id": ent_id or codes[0], "report_time": time, "reason": leaves.get("EA01BD02")}


def _nameless(problem: Message, where: str) -> InputError:
    return InputError(
        problem,
        where=where,
        fix=msg("Without it nothing can be known of anybody at any time: export the report again."),
        code="report_head",
    )


def _identifiers(units: Mapping[str, list[XmlUnit]]) -> list[str]:
    """Return the identifiers of the subject in capitals, the 18-digit credit code first."""
    found = []
    for unit in units.get("EA01", []):
        for item in unit.all("EA01CH"):
            leaves = _leaves(item)
            if "EA01CI01" in leaves:
                found.append((leaves.get("EA01CD01") != _CREDIT_CODE, leaves["EA01CI01"].upper()))
    return [code for _, code in sorted(found, key=lambda pair: pair[0])]


def _report_row(head: Row, segments: Mapping[str, XmlUnit], subjects: Subjects) -> Row:
    query = subjects.query(str(head["report_id"]))
    return {
        "report_id": head["report_id"],
        "query_id": query.query_id,
        "ent_id": head["ent_id"],
        "app_id": query.app_id,
        "subject_type": "1",
        "person_id": None,
        "reason": head["reason"],
        "report_time": head["report_time"],
        "has_details": 1 if any(name in segments for name in _DETAILS) else 0,
    }


class _Reading:
    """Reads the units of one report."""

    def __init__(self, head: Row, notes: Notes) -> None:
        self._head = {name: head[name] for name in ("report_id", "ent_id", "report_time")}
        self._report_id = str(head["report_id"])
        self._notes = notes
        self._elements = load().elements

    def rows_of(self, layout: Layout, units: Mapping[str, list[XmlUnit]]) -> Iterator[Row]:
        """Yield the rows of a layout."""
        if layout.is_single:
            single = [unit for name in layout.units for unit in units.get(name, [])]
            leaves: Leaves = {}
            for unit in single:
                leaves |= _leaves(unit)
                for tag, code in layout.totals.items():
                    leaves |= _total(unit, tag, code)
            if single:
                yield self._row(layout, leaves, 0)
            return
        for number, unit in enumerate(units.get(layout.units[0], []), 1):
            of_unit = _leaves(unit)
            if self._own_key(layout, of_unit, number) is None:
                continue
            if layout.item:
                of_unit = self._qualified_unit(layout, of_unit, number)
                found = (_leaves(item) for item in unit.all(layout.item))
                yield from (self._row(layout, of_unit | each, number) for each in found if each)
            else:
                yield self._row(layout, of_unit | _latest(unit, layout.latest_of), number)

    def others(self, units: Mapping[str, list[XmlUnit]]) -> Iterator[Row]:
        """Yield the elements that no row has taken, and note the ones that nobody knows."""
        taken = {element for layout in LAYOUTS for element in columns_of(layout)} | set(COUNTS)
        taken |= {code for layout in LAYOUTS for code in layout.totals.values()}
        sequence = 0
        for name, same in units.items():
            if name == "EA01":
                continue
            for number, unit in enumerate(same, 1):
                for position, code, text in _every_leaf(unit):
                    if code in taken and self._knows(code):
                        continue
                    sequence += 1
                    if not self._knows(code):
                        self._notes.add("report_element_unknown", code)
                    yield self._head | {
                        "element_id": f"{self._report_id}-{sequence:05d}",
                        "unit": f"{name}-{number}",
                        "position": position,
                        "element": code,
                        "value": text,
                    }

    def _knows(self, code: str) -> bool:
        return code in self._elements

    def _own_key(self, layout: Layout, leaves: Leaves, number: int) -> str | None:
        """Return the key of a unit, by its place where it has none; None for a unit without any value."""
        element = next((code for code, one in columns_of(layout).items() if one.code == layout.key), "")
        return (leaves.get(element) or f"{layout.units[0]}{number:03d}") if leaves else None

    def _qualified_unit(self, layout: Layout, leaves: Leaves, number: int) -> Leaves:
        """Return the leaves with the key that the unit has in its own table."""
        owner = next((one for one in LAYOUTS if one.units == layout.units and one.key), None)
        if owner is None or owner.key in leaves:
            return leaves
        return leaves | {owner.key: self._own_key(owner, leaves, number) or ""}

    def _row(self, layout: Layout, leaves: Leaves, number: int) -> Row:
        row: Row = {**self._head, **layout.constants}
        for element, one in columns_of(layout).items():
            text = leaves.get(element)
            if text is None and one.code == layout.key:
                text = self._own_key(layout, leaves, number)
            if text is None:
                continue
            row[one.code] = self._value(element, one, text)
            if layout.table == "cr_public" and one.code == layout.key:
                row["source_id"] = text
        return row

    def _value(self, element: str, one: Field, text: str) -> Value | None:
        if is_own_key(one.code):
            return f"{self._report_id}-{text}"
        try:
            value = parse(text, one.type)
        except ValueError:
            self._notes.add("report_value_unreadable", text, element)
            return None
        self._check_code(element, text)
        return value

    def _check_code(self, element: str, text: str) -> None:
        known = self._elements.get(element)
        if known is None or known.kind != "code":
            return
        tables = [load().code_tables.get(table) for table in known.code_tables]
        if tables and all(table is not None and text not in table for table in tables):
            self._notes.add("report_code_unknown", text, element)


def _leaves(unit: XmlUnit) -> Leaves:
    """Return the values of a unit by element; those of its repeated items are left out, empty ones are none."""
    found: Leaves = {}
    for child in unit.children:
        if _is_item(child.tag):
            continue
        if child.children:
            found |= _leaves(child)
        elif child.text:
            found[child.tag] = child.text
    return found


def _is_item(tag: str) -> bool:
    return len(tag) == _ITEM_LENGTH and tag.endswith("H")


def _every_leaf(unit: XmlUnit, position: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield place, element and value of everything in a unit, items numbered."""
    counts: dict[str, int] = {}
    for child in unit.children:
        counts[child.tag] = counts.get(child.tag, 0) + 1
        if child.children:
            inner = f"{child.tag}-{counts[child.tag]}" if _is_item(child.tag) else position
            yield from _every_leaf(child, inner)
        elif child.text:
            yield position, child.tag, child.text


def _latest(unit: XmlUnit, latest_of: tuple[str, str]) -> Leaves:
    """Return the values of the item with the latest date; the first one where dates are equal."""
    item, date = latest_of
    if not item:
        return {}
    found = [_leaves(each) for each in unit.all(item)]

    def moment(leaves: Leaves) -> str:
        try:
            return str(parse(leaves.get(date, ""), "date"))
        except ValueError:
            return ""

    return max(found, key=moment, default={})


def _total(unit: XmlUnit, item: str, code: str) -> Leaves:
    """Return the item that is the total; the sums of all others where none is."""
    found = [_leaves(each) for each in unit.all(item)]
    total = next((each for each in found if each.get(code) == _TOTAL), None)
    if total is not None:
        return {element: text for element, text in total.items() if element != code}
    sums: dict[str, int] = {}
    for each in found:
        for element, text in each.items():
            if element != code and text.isdigit():
                sums[element] = sums.get(element, 0) + int(text)
    return {element: str(value) for element, value in sums.items()}


def _check(
    units: Mapping[str, list[XmlUnit]], segments: Mapping[str, XmlUnit], rows: Mapping[str, list[Row]], notes: Notes
) -> None:
    """Note what is missing or too much, measured by what the report says of itself."""
    head = rows["credit_report"][0]
    report_id = str(head["report_id"])
    summary = rows["cr_summary"][0] if rows["cr_summary"] else {}
    promised = [name for name, element in DETAIL_SEGMENTS.items() if head["has_details"] and summary.get(element)]
    for name in (*EXPECTED_SEGMENTS, *promised):
        if name not in segments:
            notes.add("report_section_missing", report_id, name)
    for name in segments.keys() - _known_segments():
        notes.add("report_element_unknown", name)
    for unit in (unit for same in units.values() for unit in same):
        for _, code, text in _every_leaf(unit):
            if code in COUNTS and text.isdigit() and int(text) != sum(1 for _ in unit.all(COUNTS[code])):
                notes.add("report_count_differs", report_id, code)


@cache
def _known_segments() -> frozenset[str]:
    return frozenset(element.segment for element in load().elements.values())


def _as_json(unit: XmlUnit) -> object:
    """Return what a report says, whatever its blanks."""
    return [unit.tag, [_as_json(child) for child in unit.children] or unit.text]
