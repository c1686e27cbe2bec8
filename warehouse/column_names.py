"""What the name of a column or table gives away: that it is an identifier, a time, and of what kind."""

import re
from functools import cache
from typing import Final

__all__ = ["is_date_name", "is_id_name", "is_known_at_name", "is_never_event_name", "names_same", "singular", "tokens"]

_ID_TOKENS: Final = frozenset({"id", "ids", "no", "nr", "uuid", "guid", "uscc", "oid"})
_ID_ENDS: Final = ("编号", "号码", "证号", "合同号", "单号", "账号", "客户号", "流水号", "信用代码", "标识")
_DATE_TOKENS: Final = frozenset(
    {"date", "datetime", "time", "timestamp", "dt", "day", "month", "period", "at", "on", "issued"}
)
_DATE_PARTS: Final = ("日期", "时间", "年月", "月份", "时点")
_KNOWN_TOKENS: Final = frozenset(
    {
        "known", "knowable", "published", "publish", "publication", "disclosed", "disclosure", "announced", "announce",
        "announcement", "reported", "filed", "filing", "received", "loaded", "ingested", "recorded",
    }
)  # fmt: skip
_KNOWN_PARTS: Final = ("入库", "披露", "公告", "发布", "可知", "采集", "获知")
_NEVER_EVENT_TOKENS: Final = frozenset(
    {
        "birth", "birthday", "dob", "maturity", "matures", "due", "expire", "expires", "expiry", "expiration", "close",
        "closed", "closing", "settled", "established", "establish", "founded", "founding", "incorporated",
        "registered", "registration", "cancelled", "revoked", "resolved", "updated", "modified",
    }
)  # fmt: skip
_NEVER_EVENT_PARTS: Final = ("出生", "到期", "成立", "注册", "结清", "终止", "更新", "关闭", "失效")
_MIN_SHORT_FORM: Final = 3
_PERIODS: Final = frozenset({"month", "period", "quarter", "year", "week", "day"})


@cache
def tokens(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case.

    Examples
    --------
    >>> tokens("LoanNr_ChkDgt"), tokens("enterprise_id"), tokens("合同 编号"), tokens("TaxID2")
    (('loan', 'nr', 'chk', 'dgt'), ('enterprise', 'id'), ('合同', '编号'), ('tax', 'id', '2'))
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)", " ", name)
    return tuple(word.lower() for word in re.split(r"[\W_]+", spaced) if word)


def is_id_name(name: str) -> bool:
    """Whether the name says identifier: ``client_id``, ``invoice_no``, ``合同编号``."""
    words = tokens(name)
    return bool(words) and (words[-1] in _ID_TOKENS or name.rstrip().endswith(_ID_ENDS))


def is_date_name(name: str) -> bool:
    """Whether the name says date or time: ``apply_date``, ``month_end``, ``申请日期``."""
    return bool(_DATE_TOKENS & set(tokens(name))) or any(part in name for part in _DATE_PARTS) or name.endswith("日")


def is_known_at_name(name: str) -> bool:
    """Whether the name says since when something is known: ``published_at``, ``入库时间``."""
    return bool(_KNOWN_TOKENS & set(tokens(name))) or any(part in name for part in _KNOWN_PARTS)


def is_never_event_name(name: str) -> bool:
    """Whether a date of this name says something about the row and not when it happened: birth, maturity, closing."""
    words = tokens(name)
    if _NEVER_EVENT_TOKENS & set(words) or any(part in name for part in _NEVER_EVENT_PARTS):
        return True
    return "end" in words and not _PERIODS & set(words)


@cache
def singular(name: str) -> str:
    """Return a table's name in the singular, as far as a rule of thumb goes.

    Examples
    --------
    >>> [singular(name) for name in ("clients", "companies", "enterprise", "boxes", "status")]
    ['client', 'company', 'enterprise', 'box', 'status']
    """
    name = "_".join(tokens(name))
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch")):
        if name.endswith(ending):
            return name.removesuffix(ending) + replacement
    return name if name.endswith(("ss", "us", "is")) else name.removesuffix("s")


def names_same(table: str, column: str) -> bool:
    """Whether the identifier `column` is the one that `table` is named after.

    Examples
    --------
    >>> names_same("clients", "client_id"), names_same("statements", "client_id"), names_same("loans", "id")
    (True, False, True)
    >>> names_same("enterprise", "ent_id"), names_same("enterprise", "uscc")
    (True, False)
    """
    words = tokens(column)
    if not words or words[-1] not in _ID_TOKENS:
        return False
    stem, name = "_".join(words[:-1]), singular(table)
    return words == ("id",) or stem == name or (len(stem) >= _MIN_SHORT_FORM and name.startswith(stem))
