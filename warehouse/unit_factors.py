"""Units that measure the same thing: what a value in one is multiplied by to stand in the other."""

from typing import Final

__all__ = ["convertible_units", "unit_factor"]

_SIZES: Final = (
    {"CNY": 1.0, "10k CNY": 1e4},
    {"ratio": 1.0, "ratio per year": 1.0, "percent": 0.01},
)


def unit_factor(given: str, wanted: str) -> float | None:
    """Return what a value in the unit `given` is multiplied by to stand in `wanted`; None where no number does.

    Examples
    --------
    >>> unit_factor("CNY", "10k CNY"), unit_factor("percent", "ratio"), unit_factor("days", "10k CNY")
    (0.0001, 0.01, None)
    """
    if given == wanted:
        return 1.0
    for sizes in _SIZES:
        if given in sizes and wanted in sizes:
            return sizes[given] / sizes[wanted]
    return None


def convertible_units() -> tuple[str, ...]:
    """Return the units that values can be converted to."""
    return tuple(unit for sizes in _SIZES for unit in sizes)
