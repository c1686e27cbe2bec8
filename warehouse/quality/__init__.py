"""How good the data is: profiles, rules, faults with their rows, and a score that can be explained."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warehouse.quality.assessment import assess
    from warehouse.quality.report import QualityReport
    from warehouse.quality.rules import RuleSet

__all__ = ["QualityReport", "RuleSet", "assess"]

_HOMES = {
    "QualityReport": "warehouse.quality.report",
    "RuleSet": "warehouse.quality.rules",
    "assess": "warehouse.quality.assessment",
}


def __getattr__(name: str) -> Any:
    """Load pandas when it is needed, not when the package is named."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
