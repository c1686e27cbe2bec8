"""The data standard as one list that can be searched and exported: fields, elements of credit reports, codes."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from core.i18n import Language, Message, msg, render
from core.spreadsheets import guarded
from warehouse.standard.catalogue import SOURCES, Field, Standard, load

__all__ = ["PARTS", "Entry", "Part", "entries", "find", "header", "to_csv", "to_workbook"]

Part = Literal["fields", "codes", "elements"]
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # so that Excel reads UTF-8 as such
PARTS: Final[tuple[Part, ...]] = ("fields", "codes", "elements")


@dataclass(frozen=True)
class Entry:
    """A line of the standard.

    Parameters
    ----------
    part : {"fields", "codes", "elements"}
        What it is: a field of a subject table, a value of a code table, an element of a credit report.
    group, code : str
        Table, code table or report with path; and its code there.
    group_label, label : dict
        Readable names per language.
    type, unit : str or None
        As in the data model; None for codes.
    is_mandatory : bool or None
        Whether every row has a value; None for codes and elements.
    code_tables : tuple of str
        Tables its values come from.
    source : Message or str
        Whom it comes from, or who defines it.
    known_at : Message or None
        Since when a value is known.
    is_personal : bool
        Whether it tells something of a person.
    """

    part: Part
    group: str
    code: str
    group_label: dict[Language, str]
    label: dict[Language, str]
    type: str | None = None
    unit: str | None = None
    is_mandatory: bool | None = None
    code_tables: tuple[str, ...] = ()
    source: Message | str = ""
    known_at: Message | None = None
    is_personal: bool = False
    words: str = ""

    @property
    def id(self) -> str:
        """Group and code: ``enterprise.uscc``."""
        return f"{self.group}.{self.code}"


@cache
def entries(part: Part) -> tuple[Entry, ...]:
    """Return all lines of a part of the standard that is shipped, in its order."""
    standard = load()
    made = {"fields": _fields, "codes": _codes, "elements": _elements}[part]
    return tuple(made(standard))


def find(text: str, parts: Sequence[Part] = PARTS) -> tuple[Entry, ...]:
    """Return the lines in which every word of `text` stands, in either language; those whose code it is come first.

    Examples
    --------
    >>> find("enterprise uscc", ["fields"])[0].id
    'enterprise.uscc'
    >>> [entry.label["en"] for entry in find("2045 2", ["codes"])][:1]
    ['special mention']
    """
    wanted = text.casefold().split()
    found = [entry for part in parts for entry in entries(part) if all(word in entry.words for word in wanted)]
    exact = frozenset(wanted)
    found.sort(key=lambda entry: -len(exact & {entry.code.casefold(), entry.group.casefold(), entry.id.casefold()}))
    return tuple(found)


def header(part: Part, language: str) -> list[str]:
    """Return the titles of the columns of an export."""
    if part == "codes":
        titles = [msg("Code table"), msg("Title of the code table"), msg("Code"), msg("Meaning (English)"),
                  msg("Meaning (Chinese)"), msg("Defined by")]  # fmt: skip
    else:
        titles = [msg("Table") if part == "fields" else msg("Report and place"), msg("Code"), msg("Name (English)"),
                  msg("Name (Chinese)"), msg("Type"), msg("Unit"), msg("Mandatory"), msg("Code tables"),
                  msg("Source"), msg("Known"), msg("Personal")]  # fmt: skip
    return [title.text(language) for title in titles]


def to_csv(part: Part, language: str) -> bytes:
    """Return a part as CSV that Excel opens as it is; no text in it runs as a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header(part, language))
    writer.writerows([guarded(cell) for cell in _line(entry, language)] for entry in entries(part))
    return _BYTE_ORDER_MARK + text.getvalue().encode()


def to_workbook(language: str) -> bytes:
    """Return all parts as a workbook of one sheet each; every cell is a text."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    titles = {"fields": msg("Fields"), "codes": msg("Code tables"), "elements": msg("Credit reports")}
    for part in PARTS:
        sheet = book.create_sheet(titles[part].text(language))
        sheet.freeze_panes = "A2"
        for place, width in enumerate((24, 18, 36, 30, 24, 18, 12, 18, 24, 40, 10)):
            sheet.column_dimensions["ABCDEFGHIJK"[place]].width = width
        sheet.append([_cell(sheet, title, WriteOnlyCell, Font(bold=True)) for title in header(part, language)])
        for entry in entries(part):
            sheet.append([_cell(sheet, text, WriteOnlyCell, None) for text in _line(entry, language)])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _cell(sheet: Any, text: str, kind: Any, font: Any) -> Any:
    cell = kind(sheet, value=text)
    cell.data_type = "s"  # never a formula, whatever it begins with
    if font is not None:
        cell.font = font
    return cell


def _line(entry: Entry, language: str) -> list[str]:
    english, chinese = entry.label.get("en", ""), entry.label.get("zh", "")
    source = str(render(entry.source, language))
    if entry.part == "codes":
        return [entry.group, _in(entry.group_label, language), entry.code, english, chinese, source]
    yes = msg("yes").text(language)
    return [
        entry.group,
        entry.code,
        english,
        chinese,
        entry.type or "",
        entry.unit or "",
        yes if entry.is_mandatory else "",
        ", ".join(entry.code_tables),
        source,
        "" if entry.known_at is None else entry.known_at.text(language),
        yes if entry.is_personal else "",
    ]


def _fields(standard: Standard) -> Iterable[Entry]:
    for table in standard.tables.values():
        for field in table.fields.values():
            yield Entry(
                part="fields",
                group=table.code,
                code=field.code,
                group_label=table.label,
                label=field.label,
                type=field.type,
                unit=field.unit,
                is_mandatory=field.mandatory,
                code_tables=field.code_tables,
                source=SOURCES[field.source],
                known_at=table.known_at_rule(field.code),
                is_personal=field.personal,
                words=_words(table.code, *table.label.values(), *_names(field)),
            )


def _codes(standard: Standard) -> Iterable[Entry]:
    for table in standard.code_tables.values():
        for code, label in table.entries.items():
            yield Entry(
                part="codes",
                group=table.code,
                code=code,
                group_label=table.label,
                label=label,
                source=table.standard,
                words=_words(table.code, *table.label.values(), code, *label.values()),
            )


def _elements(standard: Standard) -> Iterable[Entry]:
    reports: dict[str, dict[Language, str]] = {
        "enterprise": {"en": "Enterprise report", "zh": "企业信用报告"},
        "individual": {"en": "Personal report", "zh": "个人信用报告"},
    }
    for element in standard.elements.values():
        yield Entry(
            part="elements",
            group=f"{element.report}/{element.path}",
            code=element.code,
            group_label=reports[element.report],
            label=element.label,
            type=element.type,
            unit=element.unit,
            code_tables=element.code_tables,
            source=SOURCES["pboc"],
            words=_words(element.report, element.path, element.code, *element.label.values()),
        )


def _names(field: Field) -> tuple[str, ...]:
    return (field.code, field.id, *field.label.values(), *field.aliases, field.type, field.unit or "")


def _words(*texts: str) -> str:
    return "\n".join(texts).casefold()


def _in(label: dict[Language, str], language: str) -> str:
    return next((label[known] for known in label if known == language), None) or next(iter(label.values()), "")
