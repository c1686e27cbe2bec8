"""Rules as pandera schemas, and the rows that break them.

Texts are checked once per distinct value; numbers once per row. The checks of a schema are run one by one, because
pandera's own report writes every failing value out, which takes minutes where a whole column fails.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from core.errors import ConfigurationError
from core.findings import Severity
from core.i18n import Message, msg
from warehouse.quality.faults import Array, Fault, TableCase, place
from warehouse.quality.masking import mask
from warehouse.quality.report import Dimension
from warehouse.quality.rules import ColumnRule, OrderRule, SumRule, TableRules
from warehouse.standard.catalogue import Standard
from warehouse.standard.check_digits import is_credit_code, is_identity_number

if TYPE_CHECKING:
    import pandera.pandas as pa

__all__ = ["rule_faults", "to_schema"]

_N_SHOWN: Final = 5
_CHECKS: Final = {"credit_code": is_credit_code, "identity_number": is_identity_number}
_DIMENSIONS: Final[dict[str, Dimension]] = {
    "value_missing": "completeness",
    "value_repeated": "uniqueness",
    "out_of_order": "consistency",
    "sum_differs": "consistency",
}


def to_schema(rules: TableRules, standard: Standard | None = None) -> "pa.DataFrameSchema":
    """Return the pandera schema of one table's rules; it can be used on any frame with these columns.

    The name of each check is the code of its finding.

    Parameters
    ----------
    rules : TableRules
        What to ask for.
    standard : Standard, optional
        Where code tables are looked up.

    Raises
    ------
    ConfigurationError
        A rule names a code table that is not there.
    """
    import pandera.pandas as pa

    columns = {
        name: pa.Column(
            checks=list(_checks(rule, standard, name)), nullable=not rule.required, unique=rule.unique, required=True
        )
        for name, rule in rules.columns.items()
    }
    between = [*(_order_check(rule) for rule in rules.orders), *(_sum_check(rule) for rule in rules.sums)]
    return pa.DataFrameSchema(columns, checks=between)


def rule_faults(case: TableCase, rules: TableRules, standard: Standard | None = None) -> Iterable[Fault]:
    """Yield the rows of a table that break its rules.

    Raises
    ------
    ConfigurationError
        A rule names a column or a code table that is not there.
    """
    _require_columns(case, rules)
    schema = to_schema(rules, standard)
    for name, column in schema.columns.items():
        yield from _column_faults(case, str(name), column, rules.columns[str(name)])
    pairs = [(rule.lower, rule.upper) for rule in rules.orders]
    sums = [(rule.total, *rule.parts) for rule in rules.sums]
    for check, named in zip(schema.checks, [*pairs, *sums], strict=True):
        outcome = check(case.columns(named)).check_output
        yield from _row_fault(case, named, str(check.name), place(~outcome.to_numpy(dtype=bool)))


def _checks(rule: ColumnRule, standard: Standard | None, where: str) -> Iterator["pa.Check"]:
    import pandera.pandas as pa

    if rule.minimum is not None:
        yield pa.Check.ge(rule.minimum, name="below_minimum", error="below_minimum")
    if rule.maximum is not None:
        yield pa.Check.le(rule.maximum, name="above_maximum", error="above_maximum")
    allowed = _allowed(rule, standard, where)
    if allowed is not None:
        yield pa.Check.isin(sorted(allowed), name="unknown_code", error="unknown_code")
    if rule.pattern is not None:
        yield pa.Check.str_matches(rf"(?:{rule.pattern})\Z", name="wrong_pattern", error="wrong_pattern")
    if rule.check is not None:
        is_valid = _CHECKS[rule.check]
        yield pa.Check(
            lambda values: pd.Series(is_valid(values.to_numpy(dtype=object)), index=values.index),
            name=f"invalid_{rule.check}",
        )


def _allowed(rule: ColumnRule, standard: Standard | None, where: str) -> set[str] | None:
    if rule.values is None and not rule.code_tables:
        return None
    allowed = set(rule.values or ())
    for code in rule.code_tables:
        if standard is None or code not in standard.code_tables:
            raise ConfigurationError(msg("there is no code table {code}", code=code), where=where)
        allowed |= set(standard.code_tables[code].entries)
    return allowed


def _order_check(rule: OrderRule) -> "pa.Check":
    import pandera.pandas as pa

    def holds(frame: pd.DataFrame) -> "pd.Series[bool]":
        lower, upper = _alike(frame[rule.lower], frame[rule.upper])
        return ~(lower >= upper) if rule.strict else ~(lower > upper)

    return pa.Check(holds, name="out_of_order", ignore_na=False)


def _alike(one: "pd.Series[Any]", other: "pd.Series[Any]") -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    """Return two columns to be compared; times by day where one of them has no time of day."""
    if one.dtype.kind != "M" or other.dtype.kind != "M":
        return one, other
    days = one.dt.normalize(), other.dt.normalize()
    is_plain = any(bool((day == values)[values.notna()].all()) for day, values in zip(days, (one, other), strict=True))
    return days if is_plain else (one, other)


def _sum_check(rule: SumRule) -> "pa.Check":
    import pandera.pandas as pa

    def holds(frame: pd.DataFrame) -> "pd.Series[bool]":
        total = frame[rule.total]
        parts = frame[rule.parts[0]].astype(float)
        for name in rule.parts[1:]:
            parts = parts + frame[name]
        return ~((parts - total).abs() > rule.tolerance + rule.relative * total.abs())

    return pa.Check(holds, name="sum_differs", ignore_na=False)


def _require_columns(case: TableCase, rules: TableRules) -> None:
    between = [name for rule in rules.orders for name in (rule.lower, rule.upper)]
    between += [name for rule in rules.sums for name in (rule.total, *rule.parts)]
    for name in (*rules.columns, *between):
        if name not in case.spec.columns:
            raise ConfigurationError(
                msg("a rule names the column {column}, which is not there", column=name), where=case.name
            )


def _column_faults(case: TableCase, name: str, column: "pa.Column", rule: ColumnRule) -> Iterator[Fault]:
    values = case.column(name)
    if not column.nullable and case.n_missing[name]:
        yield from _row_fault(case, (name,), "value_missing", place(values.isna().to_numpy()))
    if column.unique and not values.is_unique:
        repeated = values.duplicated(keep="first").to_numpy() & values.notna().to_numpy()
        yield from _row_fault(case, (name,), "value_repeated", place(repeated))
    if not column.checks:
        return
    is_text = values.dtype == object
    looked_at = pd.Series(values.dropna().unique(), dtype=object) if is_text else values.dropna()
    for check in column.checks:
        outcome = check(looked_at).check_output
        failing = looked_at[~outcome.to_numpy(dtype=bool)]
        for code, some in _by_code(str(check.name), failing):
            rows = place(values.isin(some).to_numpy()) if is_text else some.index.to_numpy()
            shown = ", ".join(dict.fromkeys(_shown(value, name in case.personal) for value in some.iloc[:_N_SHOWN]))
            yield from _row_fault(case, (name,), code, rows, _limit(code, rule), shown)


def _by_code(code: str, failing: "pd.Series[Any]") -> Iterator[tuple[str, "pd.Series[Any]"]]:
    """Yield failing values by the code of their fault: codes that small letters alone make wrong are their own."""
    is_valid = _CHECKS.get(code.removeprefix("invalid_"))
    if is_valid is None:
        yield code, failing
        return
    upper = np.array([value.upper() for value in failing], dtype=object)
    is_small = is_valid(upper)
    yield "small_letters", failing[is_small]
    yield code, failing[~is_small]


def _limit(code: str, rule: ColumnRule) -> str:
    limits = {"below_minimum": rule.minimum, "above_maximum": rule.maximum, "wrong_pattern": rule.pattern}
    limit = limits.get(code) if code in limits else ", ".join(rule.code_tables) or ", ".join(rule.values or ())
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _shown(value: Any, is_personal: bool) -> str:
    text = f"{value:g}" if isinstance(value, int | float) else repr(value)
    return mask(text) if is_personal else text


def _row_fault(
    case: TableCase, columns: tuple[str, ...], code: str, rows: Array, limit: str = "", shown: str = ""
) -> Iterator[Fault]:
    if len(rows) == 0:
        return
    message, fix = _texts(code, len(rows), columns, limit, shown)
    severity = (
        Severity.BAD if set(columns) & set(case.spec.primary_key) and code.startswith("value_") else Severity.WATCH
    )
    yield Fault(code, _DIMENSIONS.get(code, "validity"), severity, columns, message, fix, rows)


def _texts(code: str, n: int, columns: tuple[str, ...], limit: str, shown: str) -> tuple[Message, Message | str]:
    ask = msg("Correct them at the source; until then they count as they are.")
    first, others = columns[0], ", ".join(columns[1:])
    texts: dict[str, tuple[Message, Message | str]] = {
        "value_missing": (msg("{n} rows have no value, which every row must have", n=n), ask),
        "value_repeated": (msg("{n} rows repeat a value that must come once only", n=n), ask),
        "below_minimum": (msg("{n} values are below {limit}, such as {shown}", n=n, limit=limit, shown=shown), ask),
        "above_maximum": (
            msg("{n} values are above {limit}, such as {shown}", n=n, limit=limit, shown=shown),
            msg("Look whether percent and ratio, or yuan and ten thousand yuan, were mixed up."),
        ),
        "unknown_code": (
            msg("{n} rows hold a code that is not in {limit}, such as {shown}", n=n, limit=limit, shown=shown),
            msg("Correct the values, or translate them to the codes of the data standard."),
        ),
        "wrong_pattern": (msg("{n} values do not fit {limit}, such as {shown}", n=n, limit=limit, shown=shown), ask),
        "invalid_credit_code": (
            msg("{n} unified social credit codes are not 18 characters with a valid check character", n=n),
            msg("Copy them again from the business licence."),
        ),
        "small_letters": (
            msg("{n} codes are written with small letters", n=n),
            msg("Write them in capitals: as they are they match no other table."),
        ),
        "invalid_identity_number": (
            msg("{n} identity numbers are not 18 characters with a day of birth and a valid check character", n=n),
            msg("Copy them again from the identity card."),
        ),
        "out_of_order": (
            msg("in {n} rows {first} lies after {second}", n=n, first=first, second=others),
            msg("Look whether the two were swapped."),
        ),
        "sum_differs": (msg("in {n} rows {first} is not the sum of {parts}", n=n, first=first, parts=others), ask),
    }
    return texts[code]
