"""The assessment: every check on every table, the faults with their rows, and the scores that follow."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from core.findings import Severity
from core.i18n import Message, msg
from core.progress import Progress, SilentProgress
from warehouse.data_model import TEXT_TYPES
from warehouse.profile import DataProfile, profile
from warehouse.quality.completeness import empty_columns, missing_rate_drift
from warehouse.quality.dates import swapped_dates
from warehouse.quality.duplicates import duplicate_rows, repeated_keys
from warehouse.quality.faults import Array, Fault, TableCase
from warehouse.quality.masking import mask
from warehouse.quality.report import (
    DIMENSIONS,
    HALVING_RATE,
    Dimension,
    DimensionScore,
    QualityFinding,
    QualityReport,
    TableQuality,
)
from warehouse.quality.rules import RuleSet, TableRules, propose_rules
from warehouse.quality.schemas import rule_faults
from warehouse.quality.timeliness import impossible_dates, missing_months, orphan_rows, stale_table
from warehouse.quality.units import number_faults
from warehouse.standard.catalogue import Standard
from warehouse.standard.choices import StandardChoices
from warehouse.standard.matching import StandardMatch, match_columns
from warehouse.table_set import TableSet

__all__ = ["assess"]

_N_SAMPLES: Final = 5
_MAX_TEXT: Final = 80
_PROFILE_SHARE: Final = 0.4


def assess(
    table_set: TableSet,
    standard: Standard | None = None,
    *,
    rules: RuleSet | None = None,
    choices: StandardChoices | None = None,
    figures: DataProfile | None = None,
    progress: Progress | None = None,
) -> QualityReport:
    """Assess the quality of all tables.

    Parameters
    ----------
    table_set : TableSet
        The tables.
    standard : Standard, optional
        The data standard to match columns with: it says which values must be there, their limits, units and codes.
    rules : RuleSet, optional
        Rules to hold the tables against, instead of those that `propose_rules` makes.
    choices : StandardChoices, optional
        What a person decided about the match to the standard.
    figures : DataProfile, optional
        The profile of `table_set`, where it was made already.
    progress : Progress, optional
        Told the tables.

    Raises
    ------
    ConfigurationError
        A rule names a column or a code table that is not there.
    CancelledError
        A person asked to stop.
    """
    progress = progress or SilentProgress()
    if figures is None:
        progress.report(0.0, msg("describing the tables"))
        figures = profile(table_set, progress=progress.part(0.0, _PROFILE_SHARE / 2))
    matching = progress.part(_PROFILE_SHARE / 2, _PROFILE_SHARE)
    match = None if standard is None else match_columns(table_set, standard, choices, progress=matching)
    fields = {name: match.fields_of(name, standard) if match and standard else {} for name in table_set.names}
    rules = rules or propose_rules(table_set, standard, fields)
    tables = []
    for index, table in enumerate(figures.tables):
        share = index / len(figures.tables)
        message = msg("checking the table {table}", table=table.name)
        told = partial(progress.report, _PROFILE_SHARE + (1 - _PROFILE_SHARE) * share, message)
        told()
        standard_code = match.standard_table(table.name) if match else None
        case = TableCase(
            table_set,
            table,
            fields[table.name],
            standard.table(standard_code) if standard and standard_code else None,
            tuple(link for link in figures.links if link.child == table.name),
        )
        tables.append(_assess_table(case, rules.tables.get(table.name, TableRules()), standard, match, told))
    progress.report(1.0, msg("the tables are assessed"))
    return QualityReport(
        round(float(np.mean([table.score for table in tables])), 2) if tables else 100.0,
        tuple(tables),
        figures.links,
        figures.as_of,
        figures.fingerprint,
        rules.fingerprint,
        standard.version if standard else None,
        rules.to_yaml(),
    )


def _assess_table(
    case: TableCase,
    rules: TableRules,
    standard: Standard | None,
    match: StandardMatch | None,
    told: Callable[[], None],
) -> TableQuality:
    faults = list(_faults(case, rules, standard, told)) if case.n_rows else []
    scores = _scores(case.n_rows, faults)
    total = float(np.prod([score.score / 100 for score in scores]) * 100)
    findings = [_finding(case, fault) for fault in faults] + list(_standard_findings(case, match))
    order = list(Severity)
    findings.sort(key=lambda finding: (-order.index(finding.severity), -finding.count))
    return TableQuality(
        case.profile,
        round(total, 2),
        tuple(scores),
        tuple(findings),
        case.standard_table.code if case.standard_table else None,
    )


def _faults(case: TableCase, rules: TableRules, standard: Standard | None, told: Callable[[], None]) -> Iterator[Fault]:
    """Yield the faults of a table; `told` is called between two checks, and may cancel."""
    ruled = {frozenset((rule.lower, rule.upper)) for rule in rules.orders}
    checks = (  # each looks at the rows when it is its turn
        rule_faults(case, rules, standard),
        repeated_keys(case),
        duplicate_rows(case),
        empty_columns(case),
        missing_rate_drift(case),
        number_faults(case),
        swapped_dates(case, ruled),
        impossible_dates(case),
        orphan_rows(case),
        stale_table(case),
        missing_months(case),
    )
    for check in checks:
        for fault in check:
            told()
            yield fault
        told()


def _scores(n_rows: int, faults: Iterable[Fault]) -> list[DimensionScore]:
    counted = [fault for fault in faults if fault.severity is not Severity.INFO]
    return [
        _score(name, n_rows, [fault for fault in counted if fault.dimension == name])
        for name in DIMENSIONS
        if name != "standard"
    ]


def _score(dimension: Dimension, n_rows: int, faults: list[Fault]) -> DimensionScore:
    parts = [fault.rows for fault in faults if len(fault.rows)]
    n_faulty = len(np.unique(np.concatenate(parts))) if parts else 0
    rate = min(1.0, n_faulty / max(n_rows, 1) + sum(fault.rate for fault in faults))
    return DimensionScore(dimension, rate, n_faulty, round(100 * 0.5 ** (rate / HALVING_RATE), 2))


def _finding(case: TableCase, fault: Fault) -> QualityFinding:
    return QualityFinding(
        fault.code,
        fault.dimension,
        fault.severity,
        case.name,
        ", ".join(fault.columns),
        fault.n_rows,
        case.n_rows if fault.total is None else fault.total,
        fault.message,
        fault.fix,
        tuple(_samples(case, fault.rows[:_N_SAMPLES], fault.columns)),
    )


def _samples(case: TableCase, rows: Array, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield key and values of some rows as texts, personal ones masked."""
    shown = dict.fromkeys((*case.spec.primary_key, *(columns or list(case.spec.columns)[:6])))
    part = case.table_set.rows(case.name, list(shown), np.asarray(rows, dtype=np.int64))
    for row, values in zip(rows, part.itertuples(index=False), strict=True):
        texts = {
            name: mask(_text(value)) if name in case.personal else _text(value)
            for name, value in zip(shown, values, strict=True)
        }
        yield {"row": str(row)} | texts


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return f"{value:.12g}" if isinstance(value, float) else str(value)[:_MAX_TEXT]


def _standard_findings(case: TableCase, match: StandardMatch | None) -> Iterator[QualityFinding]:
    """Yield the differences from the data standard that no rule counts already."""
    for finding in match.findings if match else ():
        table, _, column = finding.where.partition(", column ")
        if table == case.name and not _is_counted(case, finding.code, column):
            message = finding.message if isinstance(finding.message, Message) else Message(finding.message)
            yield QualityFinding(
                finding.code, "standard", finding.severity, table, column, 0, case.n_rows, message, finding.fix
            )


def _is_counted(case: TableCase, code: str, column: str) -> bool:
    """Whether a rule counts the rows of a difference: codes kept as numbers have no rule."""
    if code == "standard_code_unknown":
        return case.spec.columns[column].type in TEXT_TYPES
    return code == "standard_values_missing"
