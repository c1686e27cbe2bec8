"""The credit reports of the sample world as the XML that the central bank's query system gives.

`warehouse.credit_reports` reads it back as the very rows it was written from.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import pandas as pd

from warehouse.credit_reports.layout import COUNTS, LAYOUTS, Layout, columns_of, is_own_key
from warehouse.standard import load

__all__ = ["report_documents", "write_reports"]

_DECLARATION: Final = '<?xml version="1.0" encoding="{encoding}"?>\n'
_CREDIT_CODE, _TOTAL = "20", "0"
_MONTHS: Final = frozenset({"EB02CR01"})  # months that the report names without a day
_DETAIL_UNITS: Final = {
    "EDA": ("ED01", "ED03"),
    "EDB": ("ED04", "ED05"),
    "EDC": ("ED06",),
    "EDD": ("ED07", "ED08", "ED09"),
    "EFA": ("EF01",),
    "EFB": ("EF02", "EF03"),
    "EFC": ("EF04",),
}
_BY_UNIT: Final = {layout.units[0]: layout for layout in LAYOUTS if not layout.is_single and not layout.item}

Rows = dict[str, list[dict[str, Any]]]
Leaves = dict[str, str]


def report_documents(
    tables: Mapping[str, pd.DataFrame], report_ids: list[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield number and XML (an element ``Document``) of reports on enterprises.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        A complete world's tables; those of credit reports, ``enterprise`` for names and credit codes.
    report_ids : list of str, optional
        The reports to write; by default all on enterprises that have details.
    """
    heads = tables["credit_report"]
    heads = heads[(heads["subject_type"] == "1") & (heads["has_details"] == 1)]
    if report_ids is not None:
        heads = heads[heads["report_id"].isin(report_ids)]
    firms = tables["enterprise"].set_index("ent_id")[["ent_name", "uscc"]]
    chosen = set(heads["report_id"])
    by_report: dict[str, Rows] = {number: {} for number in chosen}
    for name in {layout.table for layout in LAYOUTS}:
        frame = tables[name][tables[name]["report_id"].isin(chosen)]
        for row in _records(frame):
            by_report[row["report_id"]].setdefault(name, []).append(row)
    for head in _records(heads):
        number = str(head["report_id"])
        firm = firms.loc[head["ent_id"]]
        yield number, _document(head, by_report.pop(number), str(firm["ent_name"]), str(firm["uscc"]))


def write_reports(
    tables: Mapping[str, pd.DataFrame],
    path: Path,
    report_ids: list[str] | None = None,
    *,
    encoding: str = "UTF-8",
) -> int:
    """Write reports into one XML file, and return how many; `encoding` is ``UTF-8``, ``GBK`` or ``GB18030``."""
    n = 0
    with path.open("w", encoding=encoding, newline="\n") as file:
        file.write(_DECLARATION.format(encoding=encoding) + "<Documents>\n")
        for _, document in report_documents(tables, report_ids):
            file.write(document + "\n")
            n += 1
        file.write("</Documents>\n")
    return n


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _document(head: Mapping[str, Any], rows: Rows, name: str, credit_code: str) -> str:
    parts = [_head(head, name, credit_code), *_summary(rows)]
    for segment, units in _DETAIL_UNITS.items():
        parts.append(_in(segment, "".join(_detail_units(unit, rows) for unit in units)))
    return _in("Document", "".join(parts))


def _head(head: Mapping[str, Any], name: str, credit_code: str) -> str:
    made = _leaf("EA01AI01", str(head["report_id"])) + _leaf("EA01AR01", head["report_time"].isoformat())
    asked = _leaf("EA01BI01", "GUARANTOR") + _leaf("EA01BD02", str(head["reason"]))
    item = _in("EA01CH", _leaf("EA01CD01", _CREDIT_CODE) + _leaf("EA01CI01", credit_code))
    subject = _leaf("EA01CQ01", name) + _leaf("EA01CS01", "1") + item
    return _in("EAA", _in("EA01", _in("EA01A", made) + _in("EA01B", asked) + _in("EA01C", subject)))


def _summary(rows: Rows) -> Iterator[str]:
    """Yield the segments of the summary; what the firm answers for is the item of totals."""
    layout = next(one for one in LAYOUTS if one.is_single)
    leaves = _texts(layout, rows["cr_summary"][0])
    items = {
        "EB02AH": [_texts(_item_layout("EB02AH"), row) for row in rows.get("cr_summary_class", [])],
        "EB02CH": [_texts(_item_layout("EB02CH"), row) for row in rows.get("cr_debt_hist", [])],
    }
    for item, code in layout.totals.items():
        of_item = {element: text for element, text in leaves.items() if _path(element)[-1] == item}
        items[item] = [{code: _TOTAL} | of_item]
        leaves = {element: text for element, text in leaves.items() if element not in of_item}
    for unit in layout.units:
        of_unit = {element: text for element, text in leaves.items() if element.startswith(unit)}
        inner = {item: found for item, found in items.items() if item.startswith(unit)}
        yield _in(_segment(unit), _unit(unit, of_unit, inner))


def _detail_units(unit: str, rows: Rows) -> str:
    layout = _BY_UNIT[unit]
    found = [row for row in rows.get(layout.table, []) if row.get("segment", unit) == unit]
    return "".join(_unit(unit, *_detail(layout, row, rows)) for row in found)


def _detail(layout: Layout, row: Mapping[str, Any], rows: Rows) -> tuple[Leaves, dict[str, list[Leaves]]]:
    """Return the leaves of a unit and its items; what the unit takes from its latest item stands there alone."""
    leaves = _texts(layout, row)
    item = layout.latest_of[0]
    if not item:
        return leaves, {}
    within = _item_layout(item)
    key = layout.key
    items = [_texts(within, each) for each in rows.get(within.table, []) if each[key] == row[key]]
    own = {element: text for element, text in leaves.items() if _path(element)[-1] != item}
    return own, {item: [{code: text for code, text in each.items() if code != key} for each in items]}


def _unit(unit: str, leaves: Leaves, items: Mapping[str, list[Leaves]]) -> str:
    """Return a unit with its blocks, in the order of their names; counts of items go before the items."""
    blocks: dict[str, list[str]] = {}
    for element, text in leaves.items():
        path = _path(element)
        blocks.setdefault(path[2] if len(path) > 2 else "", []).append(_leaf(element, text))
    for item, found in items.items():
        block = blocks.setdefault(item[:5], [])
        block += [_leaf(count, str(len(found))) for count, of_item in COUNTS.items() if of_item == item]
        block += [_in(item, "".join(_leaf(*pair) for pair in each.items())) for each in found]
    bare = "".join(blocks.pop("", []))
    return _in(unit, bare + "".join(_in(block, "".join(parts)) for block, parts in sorted(blocks.items())))


def _texts(layout: Layout, row: Mapping[str, Any]) -> Leaves:
    """Return the values of a row as a report writes them, by element."""
    report = f"{row['report_id']}-"
    found = {}
    for element, one in columns_of(layout).items():
        value = row.get(one.code)
        if value is None or value != value:  # null, NaN or NaT
            continue
        text = _text(element, value)
        found[element] = text.removeprefix(report) if is_own_key(one.code) else text
    return found


def _text(element: str, value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m}" if element in _MONTHS else f"{value:%Y-%m-%d}"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _item_layout(item: str) -> Layout:
    return next(one for one in LAYOUTS if one.item == item)


def _path(element: str) -> list[str]:
    return load().element(element).path.split("/")


def _segment(unit: str) -> str:
    return next(one.segment for code, one in load().elements.items() if code.startswith(unit))


def _leaf(element: str, text: str) -> str:
    return f"<{element}>{escape(text)}</{element}>"


def _in(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag}>" if content else f"<{tag}/>"
