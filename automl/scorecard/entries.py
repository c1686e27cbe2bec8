"""One row of a points table, however it is written: what every form in and out is made of."""

import math
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

from core.errors import InputError
from core.i18n import msg

__all__ = ["EntryKind", "PointsEntry", "decimal_of", "whole_units"]

EntryKind = Literal["interval", "levels", "other", "missing", "special"]


@dataclass(frozen=True)
class PointsEntry:
    """One row of a points table.

    Parameters
    ----------
    characteristic : str
        Name of the characteristic.
    kind : {"interval", "levels", "other", "missing", "special"}
        What the row holds.
    points : Decimal
        Its points.
    lower, upper : float
        Of an interval: lower end (included) and upper end (excluded).
    values : tuple of str or float
        Levels, or special values.
    code : str
        Name of a special code.
    labels : dict of str to str
        Meaning of a special code, ``en`` and ``zh``.
    names : dict of str to str
        Readable name of the characteristic.
    where : str
        Line or element it comes from.
    beside : PointsEntry, optional
        Of a cell of crossed characteristics: the bin of the second; its own points are not read.
    """

    characteristic: str
    kind: EntryKind
    points: Decimal
    lower: float = -math.inf
    upper: float = math.inf
    values: tuple[str | float, ...] = ()
    code: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    where: str = ""
    beside: "PointsEntry | None" = None


def decimal_of(text: str, where: str) -> Decimal:
    """Return the finite number that `text` says; raises `InputError` where it says none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise InputError(msg("{value} is no number", value=repr(text)), where=where)
    return value


def whole_units(points: Decimal, decimals: int) -> int:
    """Return points in units of the last decimal."""
    return int(points.scaleb(decimals).to_integral_value())
