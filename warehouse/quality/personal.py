"""Which columns tell something of a person."""

import re
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from warehouse.column_names import tokens
from warehouse.data_model import TableSpec
from warehouse.standard.catalogue import Field
from warehouse.standard.check_digits import is_identity_number

__all__ = ["LOOKED_AT", "personal_columns"]

_TOKENS: Final = frozenset(
    {"phone", "mobile", "telephone", "tel", "email", "address", "passport", "idcard", "birth", "birthday"}
)
_PAIRS: Final = ({"id", "card"}, {"id", "number"}, {"identity", "number"}, {"person", "name"}, {"full", "name"})
_PARTS: Final = ("姓名", "身份证", "证件号", "手机", "电话", "住址", "地址", "邮箱", "出生", "护照")
_MOBILE: Final = re.compile(r"1[3-9]\d{9}")
_SAMPLE: Final = 200
LOOKED_AT: Final = 10 * _SAMPLE  # rows, to find so many values in
_MOST: Final = 0.5


def personal_columns(spec: TableSpec, frame: pd.DataFrame, fields: Mapping[str, Field]) -> frozenset[str]:
    """Return the columns of a table that are shown masked.

    They are personal by their role, by the data standard, by their name, or because their values are identity or mobile
    numbers.
    """
    return frozenset(
        name
        for name in spec.columns
        if spec.columns[name].role == "personal"
        or (name in fields and fields[name].personal)
        or _is_personal_name(name)
        or _holds_numbers(spec, frame, name)
    )


def _is_personal_name(name: str) -> bool:
    words = set(tokens(name))
    return bool(words & _TOKENS) or any(pair <= words for pair in _PAIRS) or any(part in name for part in _PARTS)


def _holds_numbers(spec: TableSpec, frame: pd.DataFrame, name: str) -> bool:
    if spec.columns[name].type not in {"id", "text", "category"}:
        return False
    values = frame[name].iloc[:LOOKED_AT].dropna().iloc[:_SAMPLE].to_numpy(dtype=object)
    if len(values) == 0:
        return False
    mobile = np.array([_MOBILE.fullmatch(str(value)) is not None for value in values])
    return bool(is_identity_number(values).mean() > _MOST or mobile.mean() > _MOST)
