"""The scorecard: a sum of table look-ups whose points, kept as whole units, are the one number of every path."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from automl.scale import ScoreScale
from automl.scorecard.bins import CharacteristicBins, Value
from automl.scorecard.pairs import MOST_PAIRS, Pair, extremes
from core.errors import InputError, IntegrityError
from core.fingerprints import fingerprint_json
from core.i18n import msg

__all__ = ["Characteristic", "Scorecard", "points_text"]

_FORMAT, _FORMAT_WITH_PAIRS = 1, 2
"""A reader that knows no pairs must not take a card with some for one without."""
_MOST_DECIMALS = 6
_MOST_UNITS = 1 << 40


@dataclass(frozen=True)
class Characteristic:
    """One characteristic with the points of each of its bins.

    Parameters
    ----------
    bins : CharacteristicBins
        Its bins.
    units : tuple of int
        Points per bin, in units of the card's last decimal.
    coefficient : float, optional
        Log-odds of good per unit of weight of evidence; None where the points came from outside.
    woe : tuple of float
        Weight of evidence per bin that the points stand on; empty where they came from outside.
    good, bad : tuple of int
        Rows per bin when it was fitted; empty where the points came from outside.
    """

    bins: CharacteristicBins
    units: tuple[int, ...]
    coefficient: float | None = None
    woe: tuple[float, ...] = ()
    good: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(item) for item in (self.woe, self.good, self.bad) if item} | {len(self.units)}
        if lengths != {self.bins.n_bins}:
            raise InputError(
                msg("{n} bins need {n} points, not {got}", n=self.bins.n_bins, got=sorted(lengths)), where=self.alias
            )
        if any(abs(unit) > _MOST_UNITS for unit in self.units):
            raise InputError(msg("points must be bounded"), where=self.alias)

    @property
    def alias(self) -> str:
        """Name in the plan."""
        return self.bins.alias

    def to_json(self) -> dict[str, Any]:
        """Return the characteristic as JSON values."""
        return {
            **self.bins.to_json(),
            "units": list(self.units),
            "coefficient": self.coefficient,
            "woe": list(self.woe),
            "good": list(self.good),
            "bad": list(self.bad),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Characteristic":
        """Read what `to_json` wrote."""
        rows = (tuple(data[name]) for name in ("woe", "good", "bad"))
        return cls(CharacteristicBins.from_json(data), tuple(data["units"]), data["coefficient"], *rows)


@dataclass(frozen=True)
class Scorecard:
    """Base points plus the points of one bin per characteristic, and of one cell per pair; more points, less risk.

    Points are whole numbers of the last decimal, so a sum is exact whatever adds it up: this code, a database or a
    person. Probability and log-odds follow from the points, never the other way round.

    Parameters
    ----------
    name : str
        What it is called.
    characteristics : tuple of Characteristic
        In the order they are printed.
    base_units : int
        Points every row starts with, in units of the last decimal.
    scale : ScoreScale
        Base points, base odds, points to double the odds, and grades.
    decimals : int, default=0
        Decimals of the points, up to 6.
    about : mapping
        Where it comes from, as JSON values.
    pairs : tuple of Pair
        Crossed characteristics; empty where points only add up.
    """

    name: str
    characteristics: tuple[Characteristic, ...]
    base_units: int
    scale: ScoreScale = field(default_factory=ScoreScale)
    decimals: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.aliases)) < len(self.characteristics) or not self.characteristics:
            raise InputError(msg("a scorecard needs characteristics, each once"), where=self.name)
        if not 0 <= self.decimals <= _MOST_DECIMALS or abs(self.base_units) > _MOST_UNITS:
            raise InputError(msg("points must be bounded, with at most {n} decimals", n=_MOST_DECIMALS))
        positive = (self.scale.pdo, self.scale.base_odds)
        if not all(np.isfinite(value) and value > 0 for value in positive) or not np.isfinite(self.scale.base_points):
            raise InputError(msg("base odds and the points that double the odds must be positive"), where=self.name)
        self._check_pairs()

    def _check_pairs(self) -> None:
        if len(self.pairs) > MOST_PAIRS:
            raise InputError(msg("a scorecard has at most {n} crossed characteristics", n=MOST_PAIRS), where=self.name)
        if len({frozenset(pair.aliases) for pair in self.pairs}) < len(self.pairs):
            raise InputError(msg("two characteristics are crossed once"), where=self.name)
        for pair in self.pairs:
            for alias, groups in zip(pair.aliases, (pair.rows, pair.columns), strict=True):
                if self.characteristic(alias).bins.n_bins != len(groups):
                    raise InputError(msg("the matrix is not of the bins of {alias}", alias=alias), where=pair.name)
            if any(abs(unit) > _MOST_UNITS for row in pair.units for unit in row):
                raise InputError(msg("points must be bounded"), where=pair.name)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names of the characteristics."""
        return tuple(item.alias for item in self.characteristics)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        return fingerprint_json(self.to_json())

    def points(self, units: int) -> float:
        """Return units of the last decimal as points."""
        return float(units / 10**self.decimals)

    def characteristic(self, alias: str) -> Characteristic:
        """Return the characteristic `alias`; raises `InputError` where there is none."""
        for item in self.characteristics:
            if item.alias == alias:
                return item
        raise InputError(msg("the scorecard has no characteristic {alias}", alias=alias), where=self.name)

    def pair_title(self, pair: Pair, language: str = "en") -> str:
        """Return the readable names of both characteristics of a pair in `language`."""
        return " × ".join(self.characteristic(alias).bins.title(language) for alias in pair.aliases)

    def score(self, X: np.ndarray) -> np.ndarray:
        """Return the points of rows of shape (n_rows, n_characteristics), columns in the order of the card."""
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.characteristics):
            raise InputError(
                msg("the scorecard reads {n} columns, but got shape {shape}", n=len(self.characteristics),
                    shape=X.shape), where=self.name,
            )  # fmt: skip
        total = np.full(len(X), self.base_units, dtype=np.int64)
        assigned = self.assign(X)
        for item in self.characteristics:
            total += np.array(item.units, dtype=np.int64)[assigned[item.alias]]
        for pair in self.pairs:
            total += pair.cells()[assigned[pair.first], assigned[pair.second]]
        return np.asarray(total / 10**self.decimals)

    def assign(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """Return the bin of each row by characteristic, for columns in the order of the card."""
        return {item.alias: item.bins.assign(column) for column, item in zip(X.T, self.characteristics, strict=True)}

    def look_up(self, row: Mapping[str, Value]) -> float:
        """Return the points of one row of raw values, added up as a person does it from the printed table.

        Examples
        --------
        >>> from features.binning import FeatureBins
        >>> bins = CharacteristicBins(FeatureBins("age", "number", (30.0,)))
        >>> card = Scorecard("demo", (Characteristic(bins, (10, 25, 0)),), 500)
        >>> card.look_up({"age": 41.0}), card.look_up({"age": None})
        (525.0, 500.0)
        """
        missing = [alias for alias in self.aliases if alias not in row]
        if missing:
            raise InputError(msg("the row lacks {columns}", columns=", ".join(missing)), where=self.name)
        found = {item.alias: item.bins.look_up(row[item.alias]) for item in self.characteristics}
        units = [item.units[found[item.alias]] for item in self.characteristics]
        units += [pair.units[pair.rows[found[pair.first]]][pair.columns[found[pair.second]]] for pair in self.pairs]
        return self.points(self.base_units + sum(units))

    def log_odds(self, score: np.ndarray) -> np.ndarray:
        """Return the log-odds of bad that points stand for."""
        shifted = (self.scale.base_points - np.asarray(score, dtype=np.float64)) / self.points_per_log_odds
        return np.asarray(shifted - np.log(self.scale.base_odds))

    @property
    def points_per_log_odds(self) -> float:
        """Points that one unit of log-odds is worth."""
        return float(self.scale.pdo / np.log(2))

    def range(self) -> tuple[float, float]:
        """Return the fewest and the most points a row can get."""
        position = {alias: number for number, alias in enumerate(self.aliases)}
        units = [np.array(item.units, dtype=np.int64) for item in self.characteristics]
        pairs = [(position[pair.first], position[pair.second], pair.cells()) for pair in self.pairs]
        lowest, highest = extremes(units, pairs)
        return self.points(self.base_units + lowest), self.points(self.base_units + highest)

    def to_json(self) -> dict[str, Any]:
        """Return the card as JSON values; `from_json` reads it back bit for bit."""
        return {
            "format": _FORMAT_WITH_PAIRS if self.pairs else _FORMAT,
            "name": self.name,
            "decimals": self.decimals,
            "base_units": self.base_units,
            "scale": self.scale.to_json(),
            "about": dict(self.about),
            "characteristics": [item.to_json() for item in self.characteristics],
            **({"pairs": [pair.to_json() for pair in self.pairs]} if self.pairs else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scorecard":
        """Read what `to_json` wrote; raises `IntegrityError` where it is no scorecard."""
        if data.get("format") != (_FORMAT_WITH_PAIRS if data.get("pairs") else _FORMAT):
            raise IntegrityError(msg("this is not a saved scorecard: {problem}", problem="format"))
        try:
            return cls(
                name=data["name"],
                characteristics=tuple(Characteristic.from_json(item) for item in data["characteristics"]),
                base_units=int(data["base_units"]),
                scale=ScoreScale.from_json(data["scale"]),
                decimals=int(data["decimals"]),
                about=dict(data["about"]),
                pairs=tuple(Pair.from_json(item) for item in data.get("pairs", ())),
            )
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise IntegrityError(msg("this is not a saved scorecard: {problem}", problem=str(error))) from error

    def save(self, path: Path) -> None:
        """Write the card to the file `path`, as JSON."""
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False)
        path.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Scorecard":
        """Read what `save` wrote."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IntegrityError(msg("the file cannot be read"), where=str(path)) from error
        return cls.from_json(data)


def points_text(units: int, decimals: int) -> str:
    """Return units of the last decimal as decimal text.

    Examples
    --------
    >>> points_text(-1205, 2), points_text(7, 0), points_text(5, 3)
    ('-12.05', '7', '0.005')
    """
    if not decimals:
        return str(units)
    whole, rest = divmod(abs(units), 10**decimals)
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{decimals}d}"
