"""Points and grades: the two forms in which a probability of default is read and signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from automl.calibration import log_odds

__all__ = ["Grade", "MasterScale", "ScoreScale"]


@dataclass(frozen=True)
class Grade:
    """One step of the master scale.

    Parameters
    ----------
    name : str
        ``"A"`` is the best.
    upper : float
        Probability below which a row is in this grade or a better one; 1 for the last.
    bad_rate : float
        Bad rate seen when the scale was made; increases from grade to grade.
    n, n_bad : int
        Rows and bads behind it.
    """

    name: str
    upper: float
    bad_rate: float
    n: int
    n_bad: int


@dataclass(frozen=True)
class MasterScale:
    """Grades in order of risk, best first."""

    grades: tuple[Grade, ...]

    def index(self, probability: np.ndarray) -> np.ndarray:
        """Return for each probability the position of its grade."""
        bounds = [grade.upper for grade in self.grades[:-1]]
        return np.searchsorted(bounds, np.asarray(probability, dtype=np.float64), side="right")

    def to_json(self) -> list[dict[str, Any]]:
        """Return the grades as JSON values."""
        return [vars(grade) | {} for grade in self.grades]

    @classmethod
    def from_json(cls, data: list[Mapping[str, Any]]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(Grade(**grade) for grade in data))


@dataclass(frozen=True)
class ScoreScale:
    """Points that fall as risk rises, and the grade of a probability.

    `base_points` stand for goods to bads of `base_odds` to 1; each `pdo` points more double the odds.

    Parameters
    ----------
    base_points : float, default=600
        Points at the base odds.
    base_odds : float, default=20
        Goods for each bad at the base points: 20 is a probability of default of 4.8 %.
    pdo : float, default=20
        Points to double the odds.
    master : MasterScale
        The grades.
    decimals : int, default=0
        Decimals of the points.

    Examples
    --------
    >>> scale = ScoreScale()
    >>> scale.points(np.array([1 / 21, 1 / 41])).tolist()
    [600.0, 620.0]
    """

    base_points: float = 600.0
    base_odds: float = 20.0
    pdo: float = 20.0
    master: MasterScale = MasterScale((Grade("A", 1.0, 0.0, 0, 0),))
    decimals: int = 0

    def points(self, probability: np.ndarray) -> np.ndarray:
        """Return points, rounded to the decimals of the scale, for each probability of default."""
        odds_of_good = -log_odds(np.asarray(probability, dtype=np.float64))
        points = self.base_points + self.pdo / np.log(2) * (odds_of_good - np.log(self.base_odds))
        return np.asarray(np.round(points, self.decimals))

    def probability(self, points: np.ndarray) -> np.ndarray:
        """Return the probability of default that `points` stand for, before rounding."""
        shifted = (np.asarray(points, dtype=np.float64) - self.base_points) * np.log(2) / self.pdo
        return np.asarray(1.0 / (1.0 + np.exp(shifted + np.log(self.base_odds))))

    def grade(self, probability: np.ndarray) -> np.ndarray:
        """Return the grade's name for each probability (ndarray of str)."""
        names = np.array([grade.name for grade in self.master.grades])
        return np.asarray(names[self.master.index(np.atleast_1d(probability))])

    def to_json(self) -> dict[str, Any]:
        """Return the scale as JSON values; `from_json` reads it back bit for bit."""
        return {
            "base_points": self.base_points,
            "base_odds": self.base_odds,
            "pdo": self.pdo,
            "grades": self.master.to_json(),
            "decimals": self.decimals,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ScoreScale":
        """Read what `to_json` wrote."""
        master = MasterScale.from_json(data["grades"])
        return cls(data["base_points"], data["base_odds"], data["pdo"], master, data.get("decimals", 0))
