"""From a margin in log-odds to a probability of default: increasing, so that it never changes an order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from core.errors import IntegrityError
from core.i18n import msg

__all__ = ["IDENTITY", "Calibration", "log_odds", "sigmoid"]

Method = Literal["identity", "platt", "isotonic", "beta"]
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """A strictly increasing map of log-odds to log-odds, then the logistic function.

    Parameters
    ----------
    method : {"identity", "platt", "isotonic", "beta"}
        Platt is one line; isotonic joins the centres of the pooled blocks (Oron and Flournoy, 2017); beta bends the
        line at both ends (Kull, Silva Filho and Flach, 2017).
    margins, log_odds : tuple of float
        The points to join; increasing. Not looked at by beta.
    slope : float
        Beyond the first and last point, log-odds per unit of margin.
    bend : tuple of (a, b, c), optional
        Of beta alone: log-odds are ``a ln p - b ln(1 - p) + c`` of the probability p of the margin; a and b positive.
    shift : float, default=0
        Added to the log-odds at the end: the correction to a long-run average bad rate.

    Examples
    --------
    >>> IDENTITY.apply(np.array([0.0])).tolist()
    [0.5]
    """

    method: Method
    margins: tuple[float, ...]
    log_odds: tuple[float, ...]
    slope: float
    bend: tuple[float, float, float] | None = None
    shift: float = 0.0

    def apply(self, margin: np.ndarray) -> np.ndarray:
        """Return the probability for each margin, strictly inside 0 and 1."""
        return sigmoid(self.log_odds_of(margin))

    def log_odds_of(self, margin: np.ndarray) -> np.ndarray:
        """Return the calibrated log-odds for each margin."""
        margin = np.asarray(margin, dtype=np.float64)
        if self.bend is not None:
            a, b, c = self.bend
            return np.asarray(b * np.logaddexp(0, margin) - a * np.logaddexp(0, -margin) + (c + self.shift))
        inner = np.interp(margin, self.margins, self.log_odds)
        below = np.minimum(margin - self.margins[0], 0.0)
        above = np.maximum(margin - self.margins[-1], 0.0)
        return np.asarray(inner + self.slope * (below + above) + self.shift)

    @property
    def line(self) -> tuple[float, float]:
        """Slope and intercept of a straight map; raises `ValueError` where it is not straight."""
        if self.bend is not None or len(self.margins) > 1:
            raise ValueError("the calibration is not straight")
        return self.slope, self.log_odds[0] - self.slope * self.margins[0] + self.shift

    def shifted(self, shift: float) -> "Calibration":
        """Return the same map with `shift` in place of its own."""
        return replace(self, shift=shift)

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values; `from_json` reads it back bit for bit."""
        return {
            "method": self.method,
            "margins": list(self.margins),
            "log_odds": list(self.log_odds),
            "slope": self.slope,
            "bend": None if self.bend is None else list(self.bend),
            "shift": self.shift,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote; refuse what would not be increasing."""
        margins, levels = tuple(map(float, data["margins"])), tuple(map(float, data["log_odds"]))
        slope, shift = float(data["slope"]), float(data.get("shift", 0.0))
        bend = data.get("bend")
        is_increasing = all(np.diff(margins) > 0) and all(np.diff(levels) > 0) and np.isfinite(shift)
        if bend is not None:
            bend = (float(bend[0]), float(bend[1]), float(bend[2]))
            is_increasing = is_increasing and min(bend[:2]) > 0 and bool(np.isfinite(bend).all())
        if not margins or len(margins) != len(levels) or not is_increasing or not slope > 0:
            raise IntegrityError(msg("the stored calibration is not an increasing map"))
        return cls(data["method"], margins, levels, slope, bend, shift)


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
