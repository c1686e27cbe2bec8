"""Feature values that the caller has computed: one value per alias of the plan, checked as strictly as rows are."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from model_registry.payload import printable

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["ReadyFeatures"]

_MAX_POINTS = 20
_NUMBERS = frozenset({int, float, type(None)})
_TEXTS = frozenset({str, type(None)})


class ReadyFeatures:
    """The form that ready values of one plan have: numbers as numbers, categories as their text, null said as null.

    Every alias of the plan must be there: a value that was forgotten must not be scored as if it were null.

    Parameters
    ----------
    plan : FeaturePlan
        Aliases, kinds and levels.
    """

    def __init__(self, plan: "FeaturePlan") -> None:
        self.aliases = plan.aliases
        self._known = frozenset(plan.aliases)
        self._codes: dict[str, dict[str, float]] = {
            alias: {level: float(code) for code, level in enumerate(plan.levels.get(alias, ()))}
            for alias in plan.category_aliases
        }
        self._pick = _picker(plan.aliases)
        self._category_positions = tuple((plan.positions[alias], alias) for alias in plan.category_aliases)

    def row(self, features: Mapping[str, Any]) -> np.ndarray:
        """Return the values in the order of the plan, shape (n_features,), NaN for null.

        Parameters
        ----------
        features : mapping of str to int, float, str or None
            By alias. The text of a category is looked up; one that was not there in training shares the code of all
            such.

        Raises
        ------
        InputError
            With one finding per alias that is missing, unknown or has a value of a wrong type; never the value.
        """
        if features.keys() != self._known:
            self._refuse(features)
        values = [features[alias] for alias in self.aliases]
        try:
            for position, alias in self._category_positions:
                values[position] = self.code(alias, values[position])
            # The types of a whole row at once; an integer beyond the range of a float overflows.
            if not {type(value) for value in values} <= _NUMBERS:
                self._refuse(features)
            row = np.array(values, dtype=np.float64)
        except (TypeError, OverflowError):
            self._refuse(features)
        if np.isinf(row).any():
            self._refuse(features)
        return row

    def rows(self, features: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the values of several rows, shape (n_rows, n_features), as `row` does for each, at half the cost.

        Raises
        ------
        InputError
            As `row`, about the first row that is not as it must be.
        """
        try:
            values: list[Any] = list(map(self._pick, features))
            if self._category_positions:
                values = [self._coded(row) for row in values]
            is_plain = set(map(len, features)) <= {len(self.aliases)}
            if is_plain and set(map(type, chain.from_iterable(values))) <= _NUMBERS:
                found = np.array(values, dtype=np.float64).reshape(len(values), -1)
                if not np.isinf(found).any():
                    return found
        except (KeyError, TypeError, OverflowError):
            # What is wrong, and with which row, is said below.
            pass
        return np.stack([self.row(one) for one in features])

    def _coded(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for position, alias in self._category_positions:
            values[position] = self.code(alias, values[position])
        return values

    def code(self, alias: str, level: str | None) -> float:
        """Return the code of a category's text; NaN for null and, as where tables are imported, for empty text."""
        if type(level) not in _TEXTS:
            raise TypeError
        if not level:
            return math.nan
        codes = self._codes[alias]
        return codes.get(level, float(len(codes)))

    def is_text(self, alias: str) -> bool:
        """Whether the values of `alias` are texts; numbers else."""
        return alias in self._codes

    def to_json(self) -> dict[str, str]:
        """Return the form of each alias: ``"number"`` or ``"text"``."""
        return {alias: "text" if alias in self._codes else "number" for alias in self.aliases}

    def _refuse(self, features: Mapping[str, Any]) -> NoReturn:
        points = list(self._problems(features))
        raise InputError(
            points[0].message, where=points[0].where, code=points[0].code, findings=points[:_MAX_POINTS]
        ) from None

    def _problems(self, features: Mapping[str, Any]) -> Iterable[Finding]:
        for alias in sorted(features.keys() - self._known):
            place = f"features.{printable(alias)}"
            yield Finding("unknown_feature", Severity.BAD, msg("The model reads no such feature"), place)
        for alias in self.aliases:
            if alias not in features:
                text = msg("This feature is needed; send null where it has no value")
                yield Finding("missing_feature", Severity.BAD, text, f"features.{alias}")
            elif alias in self._codes and type(features[alias]) not in _TEXTS:
                yield Finding("wrong_type", Severity.BAD, msg("Expected text or null"), f"features.{alias}")
            elif alias not in self._codes and not _is_number(features[alias]):
                yield Finding("wrong_type", Severity.BAD, msg("Expected a finite number or null"), f"features.{alias}")


def _picker(aliases: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """Return what returns the values of `aliases`; raises `KeyError` where one is missing."""
    if len(aliases) > 1:
        return itemgetter(*aliases)
    return lambda features: [features[alias] for alias in aliases]


def _is_number(value: Any) -> bool:
    if type(value) not in _NUMBERS:
        return False
    try:
        return value is None or math.isfinite(value)
    except OverflowError:
        return False
