"""Which rows of which subject table stand where in a credit report on an enterprise.

The reader and the writer of the sample world go by the same layouts; the columns are those of the data standard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from warehouse.standard import load
from warehouse.standard.catalogue import Field

__all__ = ["COUNTS", "DETAIL_SEGMENTS", "EXPECTED_SEGMENTS", "LAYOUTS", "Layout", "columns_of", "is_own_key"]

HEAD_COLUMNS: Final = ("report_id", "ent_id", "report_time")


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the rows of a table stand; equal to itself only.

    Parameters
    ----------
    table : str
        A subject table of the data standard.
    units : tuple of str
        The units that a row is made of. Several single ones make one row per report, else each unit is a row.
    item : str, default=""
        The repeated item inside the unit whose every appearance is a row.
    latest_of : tuple of (str, str), default=("", "")
        Item inside the unit and its date: the latest one is part of the row.
    totals : mapping of str to str, default={}
        Items that are part of the row where the element named holds the code 0 (total); without such an item the
        numbers of all others are added up.
    renamed : mapping of str to str, default={}
        Columns by element where these are not the same.
    constants : mapping of str to str, default={}
        Columns that the layout itself tells.
    key : str, default=""
        The column that is the key of a row; a report numbers its rows for itself.
    is_single : bool, default=False
        Whether each report has exactly one row.
    """

    table: str
    units: tuple[str, ...]
    item: str = ""
    latest_of: tuple[str, str] = ("", "")
    totals: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    is_single: bool = False


def _public(unit: str) -> Layout:
    return Layout(
        "cr_public",
        (unit,),
        renamed={f"{unit}0I01": "record_id", f"{unit}0J01": "amount_cny", f"{unit}0R01": "record_date"},
        constants={"segment": unit},
        key="record_id",
    )


LAYOUTS: Final = (
    Layout(
        "cr_summary",
        ("EB01", "EB02", "EB04", "EB05"),
        totals={"EB05AH": "EB05AD01", "EB05BH": "EB05BD01"},
        is_single=True,
    ),
    Layout("cr_summary_class", ("EB02",), item="EB02AH"),
    Layout("cr_debt_hist", ("EB02",), item="EB02CH"),
    Layout("cr_loan_account", ("ED01",), latest_of=("ED01BH", "ED01BR01"), key="ED01AI01"),
    Layout("cr_perf", ("ED01",), item="ED01BH"),
    Layout("cr_interest_arrears", ("ED03",), key="ED030I01"),
    Layout("cr_guar_account", ("ED04",), key="ED04AI01"),
    Layout("cr_guar_sum", ("ED05",), key="ED050I01"),
    Layout("cr_agreement", ("ED06",), key="ED060I01"),
    Layout("cr_liability", ("ED07",), renamed={"ED070I03": "edge_id"}, key="ED070I01"),
    Layout("cr_liability_bill", ("ED08",), key="ED080I01"),
    Layout("cr_liability_guar", ("ED09",), key="ED090I01"),
    *(_public(unit) for unit in ("EF01", "EF02", "EF03", "EF04")),
)
"""All layouts, in the order of a report."""

EXPECTED_SEGMENTS: Final = ("EBA", "EBB")
"""Segments that every report has beside its head (EAA), without which it is known in part only."""

DETAIL_SEGMENTS: Final = {"EDA": "EB01AJ01", "EDB": "EB01AJ05"}
"""Segments that must be there where a balance of the summary is above zero."""

COUNTS: Final = {
    "EA01CS01": "EA01CH",
    "EB02AS03": "EB02AH",
    "EB02BS03": "EB02BH",
    "EB02CS01": "EB02CH",
    "EB03AS01": "EB03AH",
    "EB03BS01": "EB03BH",
    "EB05AS01": "EB05AH",
    "EB05BS01": "EB05BH",
    "ED01BS01": "ED01BH",
    "ED01CS01": "ED01CH",
}
"""Elements that say how many items follow in their block."""

_WITHIN_REPORT: Final = frozenset({"ED01AI01", "ED01AI03", "ED04AI03", *(one.key for one in LAYOUTS if one.key)})


def is_own_key(column: str) -> bool:
    """Whether a report numbers the values of the column for itself, so that its own number makes them keys."""
    return column in _WITHIN_REPORT


@cache
def columns_of(layout: Layout) -> dict[str, Field]:
    """Return the fields of the table by the element that holds them."""
    fields = load().table(layout.table).fields
    by_column = {column: element for element, column in layout.renamed.items()}
    return {
        by_column.get(code, code): one
        for code, one in fields.items()
        if code in by_column or (one.element is not None and code not in HEAD_COLUMNS)
    }
