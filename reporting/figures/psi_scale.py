"""How a population stability index is worded, coloured and held against its thresholds."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.i18n import Message, msg
from reporting.figures.canvas import Style, threshold
from reporting.tokens import Palette

__all__ = ["THRESHOLDS", "Thresholds", "draw_psi_thresholds", "psi_color", "psi_status", "psi_text", "two_digits"]

Thresholds = tuple[float, float]
THRESHOLDS: Thresholds = (0.10, 0.25)
"""From where a PSI is watched, and from where it is acted on."""


def psi_status(value: float, thresholds: Thresholds) -> Message:
    """Return the word for a PSI."""
    if not np.isfinite(value):
        return msg("not enough data")
    if value >= thresholds[1]:
        return msg("act")
    return msg("watch") if value >= thresholds[0] else msg("stable")


def psi_color(value: float, thresholds: Thresholds, colors: Palette) -> str:
    """Return the mark colour for a PSI."""
    if value >= thresholds[1]:
        return colors.series[3]
    return colors.series[1] if value >= thresholds[0] else colors.series[6]


def psi_text(value: float) -> str:
    """Return a PSI with three decimals, written as metrics are.

    Examples
    --------
    >>> psi_text(0.3118), psi_text(0.0004)
    ('.312', '.000')
    """
    return f"{value:.3f}".removeprefix("0") if np.isfinite(value) else "–"


def two_digits(value: float) -> str:
    """Return a threshold as it is spoken of: ``.25``."""
    return f"{value:.2f}".removeprefix("0")


def draw_psi_thresholds(figure: go.Figure, style: Style, thresholds: Thresholds, *, axis: str, **place: Any) -> None:
    """Draw both thresholds across the panel with their words and values."""
    for value, word, color in zip(
        thresholds, (msg("watch"), msg("act")), (style.colors.watch, style.colors.bad), strict=True
    ):
        threshold(figure, value, f"{style.say(word)} {two_digits(value)}", color, axis=axis, **place)
