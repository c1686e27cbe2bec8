"""Whom a report is on and what it was asked for: found in the institution's own tables by its identifiers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.standard import load

__all__ = ["NOBODY", "Query", "Subjects", "subject_columns", "subjects_of"]


@dataclass(frozen=True)
class Query:
    """The query that a report answers."""

    query_id: str | None = None
    app_id: str | None = None


@dataclass(frozen=True)
class Subjects:
    """What the institution's own tables know of reports.

    Parameters
    ----------
    enterprises : mapping of str to str
        Number of the enterprise by its 18-digit credit code in capitals.
    queries : mapping of str to Query
        Query by number of the report.
    """

    enterprises: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)

    def enterprise(self, identifiers: Iterable[str]) -> str | None:
        """Return the number of the enterprise that one of the identifiers names; None where none does."""
        return next((self.enterprises[code] for code in identifiers if code in self.enterprises), None)

    def query(self, report_id: str) -> Query:
        """Return the query of a report, empty where it is not known."""
        return self.queries.get(report_id, _UNKNOWN)


_UNKNOWN: Final = Query()
NOBODY: Final = Subjects()
"""Where there are no tables to look in."""


def subjects_of(tables: Mapping[str, Mapping[str, Any]]) -> Subjects:
    """Return what tables tell of subjects.

    Parameters
    ----------
    tables : mapping of str to mapping of str to array
        Columns (of Arrow, NumPy or pandas) by table and name. The enterprises are in the table that has their number
        and their credit code, under a name that the data standard knows; the queries in ``credit_query``.
    """
    enterprises: dict[str, str] = {}
    for columns in tables.values():
        number, code = (_known_as(columns, name) for name in ("ent_id", "uscc"))
        if number is not None and code is not None and number != code:
            pairs = zip(_texts(columns[code]), _texts(columns[number]), strict=True)
            enterprises |= {each.upper(): ent_id for each, ent_id in pairs if each and ent_id}
    asked = tables.get("credit_query", {})
    queries: dict[str, Query] = {}
    if "report_id" in asked and "query_id" in asked:
        reports, numbers = _texts(asked["report_id"]), _texts(asked["query_id"])
        applications = _texts(asked["app_id"]) if "app_id" in asked else [None] * len(reports)
        rows = zip(reports, numbers, applications, strict=True)
        queries = {report: Query(number, app_id) for report, number, app_id in rows if report}
    return Subjects(enterprises, queries)


def subject_columns() -> frozenset[str]:
    """Return the names of columns that `subjects_of` looks at."""
    fields = [load().field("enterprise", code) for code in ("ent_id", "uscc")]
    return frozenset(
        {"report_id", "query_id", "app_id", *(name for one in fields for name in (one.code, *one.aliases))}
    )


def _known_as(columns: Mapping[str, Any], code: str) -> str | None:
    """Return the column that the data standard knows as the field `code` of enterprises."""
    names = (code, *load().field("enterprise", code).aliases)
    return next((name for name in names if name in columns), None)


def _texts(values: Any) -> list[str | None]:
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, from_pandas=True)
    texts: list[str | None] = pc.cast(array, pa.string()).to_pylist()
    return [text.strip() or None if text else None for text in texts]
