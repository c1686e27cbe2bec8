"""From a margin in log-odds to a probability of default: increasing, so that it never changes an order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.errors import IntegrityError
from core.i18n import msg

__all__ = ["IDENTITY", "Calibration", "log_odds", "sigmoid"]

Method = Literal["identity", "platt", "isotonic"]
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """A strictly increasing, piecewise linear map of log-odds to log-odds, then the logistic function.

    Parameters
    ----------
    method : {"identity", "platt", "isotonic"}
        Platt is one line; isotonic joins the centres of the pooled blocks (Oron and Flournoy, 2017).
    margins, log_odds : tuple of float
        The points to join; increasing.
    slope : float
        Beyond the first and last point, log-odds per unit of margin.

    Examples
    --------
    >>> IDENTITY.apply(np.array([0.0])).tolist()
    [0.5]
    """

    method: Method
    margins: tuple[float, ...]
    log_odds: tuple[float, ...]
    slope: float

    def apply(self, margin: np.ndarray) -> np.ndarray:
        """Return the probability for each margin, strictly inside 0 and 1."""
        return sigmoid(self.log_odds_of(margin))

    def log_odds_of(self, margin: np.ndarray) -> np.ndarray:
        """Return the calibrated log-odds for each margin."""
        margin = np.asarray(margin, dtype=np.float64)
        inner = np.interp(margin, self.margins, self.log_odds)
        below = np.minimum(margin - self.margins[0], 0.0)
        above = np.maximum(margin - self.margins[-1], 0.0)
        return np.asarray(inner + self.slope * (below + above))

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values; `from_json` reads it back bit for bit."""
        return {
            "method": self.method,
            "margins": list(self.margins),
            "log_odds": list(self.log_odds),
            "slope": self.slope,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote; refuse what would not be increasing."""
        margins, levels = tuple(map(float, data["margins"])), tuple(map(float, data["log_odds"]))
        slope = float(data["slope"])
        is_increasing = all(np.diff(margins) > 0) and all(np.diff(levels) > 0)
        if not margins or len(margins) != len(levels) or not is_increasing or not slope > 0:
            raise IntegrityError(msg("the stored calibration is not an increasing map"))
        return cls(data["method"], margins, levels, slope)


IDENTITY = Calibration("identity", (0.0,), (0.0,), 1.0)


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """Return probabilities of `log_odds`, within 1e-12 of 0 and 1 at most."""
    bounded = np.clip(log_odds, -700.0, 700.0)
    probability = 1.0 / (1.0 + np.exp(-bounded))
    return np.asarray(np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY))


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities, bounded as `sigmoid` bounds them."""
    bounded = np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return np.asarray(np.log(bounded) - np.log1p(-bounded))
