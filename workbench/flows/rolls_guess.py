"""Where the instalments and subrogations of a project seem to lie, by names, types and links of its tables."""

import re
from collections.abc import Iterable, Iterator

from automl.rolls import RollSpec
from workbench.flows.importing import ColumnProfile, ImportResult, TableProfile

__all__ = ["guess_rolls"]

_DUE = ("due", "应还", "到期还")
_PAID = ("pay", "paid", "repay", "repaid", "settled", "实还", "还款", "偿还")
_LATE = ("overdue_days", "days_late", "days_overdue", "late_days", "逾期天数")
_CONTRACT = ("contract", "loan", "合同", "借据")
_SUBROGATED = ("compens", "subrog", "代偿")
_DATES = {"date", "datetime"}
_NUMBERS = {"integer", "number"}


def guess_rolls(result: ImportResult) -> RollSpec | None:
    """Return where instalments and subrogations seem to lie, or None; a person may say otherwise.

    Instalments: a table with a contract, a due date, and a date of payment or days overdue; of several the one with
    most rows. Subrogations: a table called so, with the same contract column and a date of payment.
    """
    found = (spec for table in sorted(result.tables, key=_falling) for spec in _instalments(table, result))
    return next(found, None)


def _falling(table: TableProfile) -> int:
    return -table.n_rows


def _instalments(table: TableProfile, result: ImportResult) -> Iterator[RollSpec]:
    dates = [column for column in table.columns if column.type in _DATES and column.role != "known_at"]
    due = _named(dates, _DUE)
    contract = _named((column for column in table.columns if column.type in {"id", "category"}), _CONTRACT)
    if due is None or contract is None or table.primary_key == (contract,):
        return
    paid = _named((column for column in dates if column.name != due), _PAID)
    late = _named((column for column in table.columns if column.type in _NUMBERS), _LATE)
    if paid is None and late is None:
        return
    where, when = _subrogations(contract, result)
    yield RollSpec(
        table=table.name, contract_column=contract, due_column=due, paid_column=paid,
        overdue_days_column=None if paid else late, subrogation_table=where, subrogation_column=when,
    )  # fmt: skip


def _subrogations(contract: str, result: ImportResult) -> tuple[str | None, str | None]:
    for table in result.tables:
        names = [table.name, *table.label.values()]
        if not _has(names, _SUBROGATED) or contract not in {column.name for column in table.columns}:
            continue
        dates = [column for column in table.columns if column.type in _DATES and column.role != "known_at"]
        by_name = _named(dates, (*_PAID, *_SUBROGATED))
        if when := by_name or table.event_time or next((column.name for column in dates), None):
            return table.name, when
    return None, None


def _named(columns: Iterable[ColumnProfile], words: tuple[str, ...]) -> str | None:
    """Return the first column in whose name, else label, a word begins; earlier words first."""
    listed = list(columns)
    by_name = (column.name for word in words for column in listed if _has([column.name], (word,)))
    by_label = (column.name for word in words for column in listed if _has(column.label.values(), (word,)))
    return next(by_name, None) or next(by_label, None)


def _has(texts: Iterable[str], words: tuple[str, ...]) -> bool:
    return any(re.search(f"(?<![a-z]){word}", text.casefold()) for text in texts for word in words)
