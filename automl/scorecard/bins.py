"""Bins of one characteristic of a scorecard: the frozen bins of the one engine, and one more per special code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from core.errors import InputError
from core.i18n import msg
from features.binning import FeatureBins, information_value, weight_of_evidence
from warehouse.modelling.words import unit_word

__all__ = ["BinKind", "BinTable", "CharacteristicBins", "Special", "count_bins", "number_text"]

_SMOOTHING = 0.5
BinKind = Literal["interval", "levels", "missing", "special"]
Value = float | str | None


@dataclass(frozen=True)
class Special:
    """Values that stand for a meaning and not for a quantity, such as -1 for "no credit record".

    Parameters
    ----------
    code : str
        Stable name of the meaning.
    values : tuple of float or str
        Numbers of a number, levels of a category.
    labels : mapping of str to str
        The meaning in words, ``en`` and ``zh``.
    """

    code: str
    values: tuple[float | str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, language: str = "en") -> str:
        """Return the meaning in `language`; without words, the code."""
        return self.labels.get(language) or self.labels.get("en") or self.code

    def to_json(self) -> dict[str, Any]:
        """Return the special code as JSON values."""
        return {"code": self.code, "values": list(self.values), "labels": dict(self.labels)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Special":
        """Read what `to_json` wrote."""
        return cls(data["code"], tuple(data["values"]), dict(data.get("labels", {})))


@dataclass(frozen=True)
class CharacteristicBins:
    """Frozen bins of one characteristic: its plain bins first, then the one for null, then one per special code.

    Parameters
    ----------
    bins : FeatureBins
        Plain bins and the one for null.
    specials : tuple of Special
        Each has a bin of its own, whatever the plain bins say of its values.
    levels : tuple of str
        Of a category: level i has code i; all others share code ``len(levels)``.
    names : mapping of str to str
        Readable name, ``en`` and ``zh``.
    missing_as : int, optional
        Plain bin that null is counted with and gets the points of; left out, null stands by itself.
    level_names : mapping of str to mapping of str to str
        What a level is called, ``en`` and ``zh``, where it has a name beside its code.
    unit : str
        Of its numbers, as the data model has it; empty where they have none.

    Examples
    --------
    >>> age = CharacteristicBins(FeatureBins("age", "number", (30.0,)), (Special("unknown", (-1.0,)),))
    >>> age.assign(np.array([25.0, 30.0, np.nan, -1.0])).tolist()
    [0, 1, 2, 3]
    """

    bins: FeatureBins
    specials: tuple[Special, ...] = ()
    levels: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    missing_as: int | None = None
    level_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unit: str = ""

    def __post_init__(self) -> None:
        if self.missing_as is not None and not 0 <= self.missing_as < self.n_plain:
            raise InputError(msg("there is no plain bin {index}", index=self.missing_as), where=self.alias)
        values = [value for special in self.specials for value in special.values]
        wanted = float if self.kind == "number" else str
        if len(set(values)) < len(values) or not all(isinstance(value, wanted) for value in values):
            raise InputError(
                msg("special codes must be distinct numbers, of a category distinct levels, not {values}",
                    values=values), where=self.alias,
            )  # fmt: skip

    @property
    def alias(self) -> str:
        """Name of the characteristic in the plan."""
        return self.bins.alias

    @property
    def kind(self) -> Literal["number", "category"]:
        """How values are looked up."""
        return self.bins.kind

    @property
    def n_plain(self) -> int:
        """Number of bins before the one for null."""
        return self.bins.missing_bin

    @property
    def n_bins(self) -> int:
        """Number of all bins."""
        return self.bins.n_bins + len(self.specials)

    def name(self, language: str = "en") -> str:
        """Return the readable name in `language`; without one, the alias."""
        return self.names.get(language) or self.names.get("en") or self.alias

    def title(self, language: str = "en") -> str:
        """Return the readable name, with the unit of the numbers behind it."""
        name = self.name(language)
        return msg("{name} ({unit})", name=name, unit=unit_word(self.unit)).text(language) if self.unit else name

    def bin_kind(self, index: int) -> BinKind:
        """Return what bin `index` is."""
        if index < self.n_plain:
            return "interval" if self.kind == "number" else "levels"
        return "missing" if index == self.n_plain else "special"

    def special(self, index: int) -> Special:
        """Return the special code of bin `index`."""
        return self.specials[index - self.bins.n_bins]

    @cached_property
    def _special_codes(self) -> tuple[np.ndarray, ...]:
        """Values per special code as they stand in a matrix; a level the plan does not know never matches."""
        if self.kind == "number":
            return tuple(np.array(special.values, dtype=np.float64) for special in self.specials)
        codes = {level: float(code) for code, level in enumerate(self.levels)}
        return tuple(
            np.array([codes[str(level)] for level in special.values if level in codes]) for special in self.specials
        )

    def assign(self, x: np.ndarray) -> np.ndarray:
        """Return the bin of each value of `x` (n_rows,): numbers, or codes of levels; NaN is null."""
        x = np.asarray(x, dtype=np.float64)
        assigned = self.bins.assign(x)
        for number, values in enumerate(self._special_codes):
            assigned = np.where(np.isin(x, values), self.bins.n_bins + number, assigned)
        return assigned

    def is_special(self, x: np.ndarray) -> np.ndarray:
        """Whether each value of `x` is a special code."""
        return self.assign(x) >= self.bins.n_bins

    def interval(self, index: int) -> tuple[float, float]:
        """Return the lower (included) and upper (excluded) end of plain bin `index` of a number."""
        ends = (-np.inf, *self.bins.edges, np.inf)
        return float(ends[index]), float(ends[index + 1])

    def members(self, index: int) -> tuple[str, ...]:
        """Return the levels of plain bin `index` of a category, those with a special code left out."""
        special = {value for item in self.specials for value in item.values}
        pairs = zip(self.levels, self.bins.code_bins, strict=False)
        return tuple(level for level, number in pairs if number == index and level not in special)

    def holds_others(self, index: int) -> bool:
        """Whether plain bin `index` of a category takes all levels that are not named anywhere."""
        return bool(self.bins.code_bins) and self.bins.code_bins[-1] == index

    def label(self, index: int, language: str = "en") -> str:
        """Return what bin `index` holds, in `language`."""
        kind = self.bin_kind(index)
        if kind == "missing":
            return msg("missing").text(language)
        if kind == "special":
            return self.special(index).label(language)
        if kind == "interval":
            return _interval_text(*self.interval(index))
        names = ", ".join(self.level_label(level, language) for level in self.members(index))
        if not self.holds_others(index):
            return names
        return (msg("{levels} and others", levels=names) if names else msg("other")).text(language)

    def span_label(self, first: int, last: int) -> str:
        """Return what the neighbouring plain bins `first` to `last` of a number hold together."""
        return _interval_text(self.interval(first)[0], self.interval(last)[1])

    def level_label(self, level: str, language: str = "en") -> str:
        """Return a level as it stands in the data, with its name behind it where it has one."""
        names = self.level_names.get(level, {})
        name = names.get(language) or names.get("en")
        return level if not name or name == level else f"{level} {name}"

    def look_up(self, value: Value) -> int:
        """Return the bin of one raw value as a person finds it in the printed table: by reading its rows in turn.

        Numbers for a number, levels as text for a category, None for null.
        """
        if value is None or value != value:
            return self.n_plain
        for number, special in enumerate(self.specials):
            if value in special.values:
                return self.bins.n_bins + number
        if self.kind == "number":
            inside = [low <= float(value) < high for low, high in map(self.interval, range(self.n_plain))]
            return inside.index(True) if any(inside) else self.n_plain - 1  # plus infinity is in the last
        named = [index for index in range(self.n_plain) if value in self.members(index)]
        return named[0] if named else int(self.bins.code_bins[-1])

    def code(self, value: Value) -> float:
        """Return one raw value as it stands in a matrix."""
        if value is None:
            return float("nan")
        if self.kind == "number":
            return float(value)
        return float(self.levels.index(str(value))) if value in self.levels else float(len(self.levels))

    def with_levels(self, levels: Sequence[str]) -> "CharacteristicBins":
        """Return the same bins for codes of other `levels`: those of the plan that the values come from."""
        if self.kind == "number" or tuple(levels) == self.levels:
            return self
        bin_of = dict(zip(self.levels, self.bins.code_bins, strict=False))
        other = self.bins.code_bins[-1]
        special = {value for item in self.specials for value in item.values}
        unknown = [name for name in self.levels if name not in levels and (bin_of[name] != other or name in special)]
        if unknown:
            raise InputError(
                msg("the feature does not know the levels {levels} of the scorecard", levels=", ".join(unknown)),
                where=self.alias,
            )
        bins = FeatureBins(self.alias, "category", code_bins=(*(bin_of.get(level, other) for level in levels), other))
        return replace(self, bins=bins, levels=tuple(levels))

    def to_json(self) -> dict[str, Any]:
        """Return the bins as JSON values."""
        return {
            "bins": self.bins.to_json(),
            "specials": [special.to_json() for special in self.specials],
            "levels": list(self.levels),
            "names": dict(self.names),
            **({} if self.missing_as is None else {"missing_as": self.missing_as}),
            **(
                {"level_names": {level: {**names} for level, names in self.level_names.items()}}
                if self.level_names
                else {}
            ),
            **({"unit": self.unit} if self.unit else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CharacteristicBins":
        """Read what `to_json` wrote."""
        specials = tuple(Special.from_json(item) for item in data["specials"])
        bins = FeatureBins.from_json(data["bins"])
        return cls(
            bins,
            specials,
            tuple(data["levels"]),
            dict(data["names"]),
            data.get("missing_as"),
            data.get("level_names", {}),
            data.get("unit", ""),
        )


@dataclass(frozen=True)
class BinTable:
    """What the bins of one characteristic hold.

    Parameters
    ----------
    bins : CharacteristicBins
        The bins.
    good, bad : tuple of int
        Rows per bin.
    """

    bins: CharacteristicBins
    good: tuple[int, ...]
    bad: tuple[int, ...]

    @cached_property
    def n(self) -> np.ndarray:
        """Rows per bin."""
        return np.asarray(np.array(self.good) + np.array(self.bad))

    @cached_property
    def bad_rate(self) -> np.ndarray:
        """Share of bads per bin; NaN where it is empty."""
        n = self.n
        bad = np.array(self.bad, dtype=np.float64)
        return np.asarray(np.divide(bad, n, out=np.full(len(n), np.nan), where=n > 0))

    @cached_property
    def woe(self) -> np.ndarray:
        """Weight of evidence per bin: ln(share of goods / share of bads); null has that of the bin it counts with."""
        return np.asarray(weight_of_evidence(*self._pooled)[self._group])

    @cached_property
    def woe_error(self) -> np.ndarray:
        """Standard error of the weight of evidence per bin, by the delta method on two multinomials; NaN if empty."""
        good, bad = self._pooled
        is_empty = good + bad == 0
        # Of a bin with one class only, the smoothing of its weight stands in for the count that is zero.
        variance = sum(1 / np.maximum(n, _SMOOTHING) - 1 / max(n.sum(), _SMOOTHING) for n in (good, bad))
        return np.asarray(np.where(is_empty, np.nan, np.sqrt(variance))[self._group])

    @cached_property
    def information_value(self) -> float:
        """Information value over all bins."""
        return information_value(*self._pooled)

    @property
    def _group(self) -> np.ndarray:
        """Bin that each bin is counted with, of those left where null counts with another."""
        groups = np.arange(self.bins.n_bins)
        if self.bins.missing_as is not None:
            groups[self.bins.n_plain + 1 :] -= 1
            groups[self.bins.n_plain] = self.bins.missing_as
        return groups

    @cached_property
    def _pooled(self) -> tuple[np.ndarray, np.ndarray]:
        group = self._group
        good, bad = (np.bincount(group, weights=counts, minlength=0) for counts in (self.good, self.bad))
        return good, bad

    def to_json(self) -> dict[str, Any]:
        """Return counts and figures as JSON values."""
        return {"good": list(self.good), "bad": list(self.bad), "woe": self.woe.tolist(), "iv": self.information_value}


def count_bins(bins: CharacteristicBins, x: np.ndarray, y: np.ndarray) -> BinTable:
    """Count goods (0) and bads (1) of `y` in the bins of `x`."""
    assigned = bins.assign(x)
    good, bad = (np.bincount(assigned[y == value], minlength=bins.n_bins) for value in (0, 1))
    return BinTable(bins, tuple(good.tolist()), tuple(bad.tolist()))


def number_text(value: float) -> str:
    """Return the shortest text that reads back as the same number, whole numbers whole.

    Examples
    --------
    >>> number_text(30.0), number_text(0.1), number_text(1e22)
    ('30', '0.1', '1e+22')
    """
    text = repr(float(value))
    return text.removesuffix(".0")


def _interval_text(low: float, high: float) -> str:
    lower = "(-∞" if low == -np.inf else f"[{number_text(low)}"
    upper = "∞)" if high == np.inf else f"{number_text(high)})"
    return f"{lower}, {upper}"
