"""A change of the scorecard asked for on a page: made, or refused in words that the next run shows."""

from core.errors import WorkbenchError
from workbench.flows import scorecard
from workbench.flows.scorecard import Change
from workbench.ui.session import Here
from workbench.ui.state import remember
from workbench.ui.texts import language

__all__ = ["ask_change"]


def ask_change(place: Here, wanted: Change, note: str, seen: int) -> None:
    """Make a change; what is refused is remembered, and shown where the page shows its errors."""
    try:
        scorecard.change(place.ctx, place.name, wanted, note=note, seen=seen)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))
