"""Points tables in and out: CSV and JSON for other systems, and plain rows for a printed page."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

from automl.scale import ScoreScale
from automl.scorecard.assembling import ImportedScorecard, assemble, to_entries
from automl.scorecard.bins import number_text
from automl.scorecard.card import Scorecard, points_text
from automl.scorecard.entries import EntryKind, PointsEntry, decimal_of
from automl.scorecard.matrices import Matrix, matrices
from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import count, percent
from core.spreadsheets import guarded, unguarded

__all__ = [
    "PrintedRow", "from_csv", "from_json", "from_xlsx", "import_scorecard", "printed_header", "printed_rows",
    "to_csv", "to_json",
]  # fmt: skip

_COLUMNS: Final = (
    "characteristic", "bin", "lower", "upper", "values", "points", "code", "label_en", "label_zh", "name_en", "name_zh",
)  # fmt: skip
_BESIDE: Final = ("with", "with_bin", "with_lower", "with_upper", "with_values", "with_code")
"""Of a cell of crossed characteristics: the second of them and its bin."""
_NEEDED: Final = ("characteristic", "bin", "points")
_SCALE: Final = ("base", "base_points", "base_odds", "pdo")
_MOST_BYTES: Final = 20_000_000


@dataclass(frozen=True)
class PrintedRow:
    """One row of a printed points table, all as text; see `printed_header` for what the columns are."""

    characteristic: str
    bin: str
    points: str
    woe: str
    n: str
    bad_rate: str
    reason_code: str = ""


def printed_header(language: str = "en") -> PrintedRow:
    """Return the titles of the columns."""
    titles = (
        msg("characteristic"), msg("bin"), msg("points"), msg("weight of evidence"), msg("rows"), msg("bad rate"),
        msg("reason code"),
    )  # fmt: skip
    return PrintedRow(*(title.text(language) for title in titles))


def printed_rows(
    card: Scorecard, language: str = "en", reason_codes: Mapping[str, str] | None = None
) -> list[PrintedRow]:
    """Return the points table as plain rows: base points, every bin of every characteristic, every cell of every pair.

    Weight of evidence, rows and bad rate are a dash where the card came from outside.

    Parameters
    ----------
    card : Scorecard
        The card.
    language : str
        Of names and labels.
    reason_codes : mapping of str to str, optional
        By alias: what is said where the characteristic is among the reasons of a score.
    """
    codes = reason_codes or {}
    base = PrintedRow(msg("base points").text(language), "", points_text(card.base_units, card.decimals), "", "", "")
    rows = [base]
    for item in card.characteristics:
        for index in range(item.bins.n_bins):
            n = item.good[index] + item.bad[index] if item.good else None
            rows.append(
                PrintedRow(
                    item.bins.title(language),
                    item.bins.label(index, language),
                    points_text(item.units[index], card.decimals),
                    f"{item.woe[index]:.3f}" if item.woe else "–",
                    count(n),
                    percent(item.bad[index] / n if n else None),
                    codes.get(item.alias, ""),
                )
            )
    return rows + [row for matrix in matrices(card, language) for row in _cells(card, matrix, codes)]


def _cells(card: Scorecard, matrix: Matrix, codes: Mapping[str, str]) -> list[PrintedRow]:
    said = " + ".join(dict.fromkeys(codes[alias] for alias in (matrix.first, matrix.second) if alias in codes))
    return [
        PrintedRow(
            matrix.title,
            f"{row} · {column}",
            f"{matrix.points[i][j]:.{card.decimals}f}",
            "–",
            count(matrix.n[i][j]),
            percent(matrix.bad_rate(i, j)),
            said,
        )
        for i, row in enumerate(matrix.rows)
        for j, column in enumerate(matrix.columns)
    ]


def to_csv(card: Scorecard) -> str:
    """Return the points table as CSV text that `from_csv` makes the same card of.

    A text that a spreadsheet would run as a formula has an apostrophe before it, which `from_csv` takes away.
    """
    out = io.StringIO()
    columns = (*_COLUMNS, *(_BESIDE if card.pairs else ()))
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: guarded(text) for column, text in row.items()} for row in _rows(card))
    return out.getvalue()


def to_json(card: Scorecard) -> str:
    """Return the points table as JSON text that `from_json` makes the same card of."""
    rows = [{name: value for name, value in row.items() if value != ""} for row in _rows(card)]
    return json.dumps({"name": card.name, "rows": rows}, ensure_ascii=False, indent=1)


def from_csv(text: str, *, name: str = "scorecard", scale: ScoreScale | None = None) -> ImportedScorecard:
    """Make a scorecard of a points table in CSV.

    Columns: ``characteristic``, ``bin`` (interval, levels, other, missing or special), ``points``, and as needed
    ``lower`` (included; empty for minus infinity), ``upper`` (excluded), ``values`` (separated by ``|``, or a JSON
    list), ``code``, ``label_en``, ``label_zh``, ``name_en``, ``name_zh``. Rows without a characteristic hold in
    ``points`` what ``bin`` names: base, base_points, base_odds or pdo. A row that names a second characteristic in
    ``with`` is a cell of the two; ``with_bin``, ``with_lower``, ``with_upper``, ``with_values`` and ``with_code`` are
    of the second what the columns without ``with_`` are of the first.

    Parameters
    ----------
    text : str
        The table.
    name : str
        Of the card.
    scale : ScoreScale, optional
        Base points, base odds and points to double the odds, where the table does not hold them.

    Raises
    ------
    InputError
        The table is not whole; the message names the line.
    """
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        rows = [(f"line {reader.line_num}", _without_guards(row)) for row in reader]
    except csv.Error as error:
        raise InputError(msg("this is no CSV: {problem}", problem=str(error)), where=name) from error
    lacking = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if lacking:
        raise InputError(msg("the points table lacks the columns {columns}", columns=", ".join(lacking)), where=name)
    return _assemble(name, rows, scale)


def from_xlsx(path: Path, *, name: str = "", scale: ScoreScale | None = None) -> ImportedScorecard:
    """Make a scorecard of the first sheet of an Excel workbook with the columns of `from_csv` in one of its rows.

    Rows above the header are passed over, so that a title may stand there. Formulas count by their stored values.
    """
    from warehouse.excel_files import read_first_sheet

    lines = [["" if cell is None else _text(cell) for cell in row] for row in read_first_sheet(path)]
    start = next((number for number, line in enumerate(lines) if set(_NEEDED) <= set(line)), None)
    if start is None:
        raise InputError(
            msg("the points table lacks the columns {columns}", columns=", ".join(_NEEDED)), where=path.name
        )
    header = lines[start]
    rows = [
        (f"row {number}", dict(zip(header, line, strict=False)))
        for number, line in enumerate(lines[start + 1 :], start + 2)
    ]
    return _assemble(name or path.stem, rows, scale)


def from_json(text: str, *, name: str = "", scale: ScoreScale | None = None) -> ImportedScorecard:
    """Make a scorecard of JSON: ``{"rows": [...]}`` with the columns of `from_csv`, or what `Scorecard.save` wrote."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(msg("this is no JSON: {problem}", problem=str(error)), where=name) from error
    if isinstance(data, dict) and "characteristics" in data:
        return ImportedScorecard(Scorecard.from_json(data))
    rows = data.get("rows") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(msg("the file must hold a list of rows"), where=name)
    title = name or (str(data.get("name", "")) if isinstance(data, dict) else "") or "scorecard"
    return _assemble(title, [(f"row {number}", row) for number, row in enumerate(rows, 1)], scale)


def import_scorecard(path: Path, *, name: str = "", scale: ScoreScale | None = None) -> ImportedScorecard:
    """Read a scorecard from a file: ``.csv``, ``.xlsx``, ``.json``, or PMML as ``.pmml`` or ``.xml``.

    Text may be UTF-8, with or without a byte order mark, or GB18030.
    """
    from automl.scorecard.pmml import from_pmml

    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise InputError(msg("there is no file of at most {n} bytes", n=_MOST_BYTES), where=str(path))
    suffix = path.suffix.lower()
    if suffix in (".pmml", ".xml"):
        return from_pmml(path.read_bytes(), name=name, scale=scale)
    if suffix == ".xlsx":
        return from_xlsx(path, name=name, scale=scale)
    if suffix not in (".csv", ".json"):
        raise InputError(
            msg("a scorecard is read from CSV, Excel, JSON or PMML, not from {suffix}", suffix=repr(suffix))
        )
    text = _decoded(path)
    if suffix == ".json":
        return from_json(text, name=name, scale=scale)
    return from_csv(text, name=name or path.stem, scale=scale)


def _without_guards(row: Mapping[str, Any]) -> dict[str, Any]:
    return {column: unguarded(text) if isinstance(text, str) else text for column, text in row.items()}


def _text(cell: Any) -> str:
    """Return a cell as text; whole numbers without a point, as CSV has them."""
    return (
        number_text(float(cell))
        if isinstance(cell, int | float) and not isinstance(cell, bool)
        else unguarded(str(cell))
    )


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(msg("the file is neither UTF-8 nor GB18030"), where=str(path))


def _rows(card: Scorecard) -> list[dict[str, str]]:
    scale = {
        "base": points_text(card.base_units, card.decimals),
        "base_points": repr(card.scale.base_points),
        "base_odds": repr(card.scale.base_odds),
        "pdo": repr(card.scale.pdo),
    }
    rows = [{"characteristic": "", "bin": kind, "points": value} for kind, value in scale.items()]
    rows += [_row(entry) for entry in to_entries(card)]
    return [{**dict.fromkeys(_COLUMNS, ""), **row} for row in rows]


def _row(entry: PointsEntry) -> dict[str, str]:
    row = {"characteristic": entry.characteristic, "bin": entry.kind, "points": f"{entry.points:f}"}
    if entry.kind == "interval":
        row |= {"lower": _end_text(entry.lower), "upper": _end_text(entry.upper)}
    labels = {f"label_{language}": text for language, text in entry.labels.items() if language in ("en", "zh")}
    names = {f"name_{language}": text for language, text in entry.names.items() if language in ("en", "zh")}
    told = {**row, "values": _values_text(entry.values), "code": entry.code, **labels, **names}
    if entry.beside is None:
        return told
    beside = _row(entry.beside)
    second = {"with": beside["characteristic"], "with_bin": beside["bin"]}
    return {**told, **second, **{f"with_{name}": beside.get(name, "") for name in ("lower", "upper", "values", "code")}}


def _end_text(value: float) -> str:
    return number_text(value) if abs(value) != float("inf") else ""


def _values_text(values: Iterable[str | float]) -> str:
    texts = [number_text(value) if isinstance(value, float) else value for value in values]
    is_plain = all(text and text == text.strip() and not {"|", "[", "\n", "\r"} & set(text) for text in texts)
    return "|".join(texts) if is_plain else json.dumps(texts, ensure_ascii=False)


def _values(text: str, where: str) -> tuple[str, ...]:
    if not text.startswith("["):
        return tuple(part.strip() for part in text.split("|")) if text else ()
    try:
        return tuple(str(value) for value in json.loads(text))
    except ValueError as error:
        raise InputError(msg("{value} is no list of values", value=text), where=where) from error


def _assemble(name: str, rows: Iterable[tuple[str, Mapping[str, Any]]], scale: ScoreScale | None) -> ImportedScorecard:
    figures: dict[str, Decimal] = {}
    entries = []
    for where, raw in rows:
        row = {key: _cell(value) for key, value in raw.items() if isinstance(key, str)}
        if row.get("characteristic"):
            entries.append(_entry(row, where))
        elif row.get("bin") in _SCALE:
            figures[row["bin"]] = decimal_of(row.get("points", ""), where)
        elif any(row.values()):
            raise InputError(msg("a row without a characteristic holds one of {kinds}", kinds=", ".join(_SCALE)),
                             where=where)  # fmt: skip
    if not entries:
        raise InputError(msg("the points table has no rows"), where=name)
    return assemble(name, figures.pop("base", Decimal(0)), entries, _scale(name, figures, scale))


def _scale(name: str, figures: Mapping[str, Decimal], scale: ScoreScale | None) -> ScoreScale:
    if len(figures) == len(_SCALE) - 1:
        return ScoreScale(float(figures["base_points"]), float(figures["base_odds"]), float(figures["pdo"]))
    if scale is None:
        raise InputError(
            msg("what the points stand for is not known: base points, base odds and points to double the odds"),
            where=name,
            fix=msg("Add rows base_points, base_odds and pdo to the table, or give the scale."),
        )
    return scale


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value).strip()


def _entry(row: Mapping[str, str], where: str) -> PointsEntry:
    entry = _side(row, where)
    if not row.get("with"):
        return entry
    second = {name.removeprefix("with_"): row.get(name, "") for name in _BESIDE[1:]}
    return replace(entry, beside=_side({**second, "characteristic": row["with"], "points": "0"}, where))


def _side(row: Mapping[str, str], where: str) -> PointsEntry:
    kind = row.get("bin", "")
    if kind not in get_args(EntryKind):
        raise InputError(
            msg("a bin is one of {kinds}, not {kind}", kinds=", ".join(get_args(EntryKind)), kind=repr(kind)),
            where=where,
        )
    texts = {
        part: {k: row[f"{part}_{k}"] for k in ("en", "zh") if row.get(f"{part}_{k}")} for part in ("label", "name")
    }
    return PointsEntry(
        characteristic=row["characteristic"],
        kind=kind,  # type: ignore[arg-type]  # checked above
        points=decimal_of(row.get("points", ""), where),
        lower=_end(row.get("lower", ""), float("-inf"), where),
        upper=_end(row.get("upper", ""), float("inf"), where),
        values=_values(row.get("values", ""), where),
        code=row.get("code", ""),
        labels=texts["label"],
        names=texts["name"],
        where=where,
    )


def _end(text: str, default: float, where: str) -> float:
    return float(decimal_of(text, where)) if text else default
