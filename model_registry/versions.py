"""What the registry answers with: a version, a review event, a deployment; and which step leads where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from core.errors import ConflictError
from core.i18n import Message, msg

__all__ = [
    "ANSWERING",
    "CHAMPION",
    "LIVE_CHALLENGER",
    "Deployment",
    "ModelVersion",
    "ReviewEvent",
    "State",
    "earlier_numbers",
    "state_after",
    "state_label",
]

CHAMPION = "champion"
"""The slot that answers whatever no other slot answers."""
LIVE_CHALLENGER = "live-challenger"
"""The slot that answers in the champion's place for a share of the enterprises."""
ANSWERING = frozenset({CHAMPION, LIVE_CHALLENGER})
"""The slots whose answers are used; every other slot is a shadow whose answers are only kept."""


class State(StrEnum):
    """Where a version stands on its way to approval."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"


# The whole state machine: step -> (states it may start from, state it leads to).
_STEPS: dict[str, tuple[frozenset[State], State]] = {
    "submit": (frozenset({State.DRAFT, State.CHANGES_REQUESTED}), State.SUBMITTED),
    "approve": (frozenset({State.SUBMITTED}), State.APPROVED),
    "reject": (frozenset({State.SUBMITTED}), State.REJECTED),
    "request_changes": (frozenset({State.SUBMITTED}), State.CHANGES_REQUESTED),
    "retire": (
        frozenset({State.DRAFT, State.CHANGES_REQUESTED, State.APPROVED, State.REJECTED}),
        State.RETIRED,
    ),
}


@dataclass(frozen=True)
class ModelVersion:
    """One bundle in the registry, with its approval.

    Parameters
    ----------
    project : str
        Project it belongs to.
    number : int
        1, 2, 3 … within the project.
    state : State
        Where it stands.
    bundle_hash : str
        SHA-256 of the bundle; never changes.
    author : str
        Who built it.
    created_at : datetime
        When it was registered, UTC.
    run : dict
        ``params``, ``metrics`` and ``tags`` of the training run.
    submitted_by, submitted_at, submitted_hash
        Who asked for review, when, and the hash proved at that moment.
    decided_by, decided_at, approved_hash
        Who decided, when, and the hash proved at approval (None unless approved).
    conditions : str or None
        What the approval is bound to.
    expires_at : datetime or None
        When the approval ends.
    mlflow_run_id, mlflow_version : str or None
        The mirror in MLflow; None until it is made.
    """

    project: str
    number: int
    state: State
    bundle_hash: str
    author: str
    created_at: datetime
    run: dict[str, Any]
    submitted_by: str | None = None
    submitted_at: datetime | None = None
    submitted_hash: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    approved_hash: str | None = None
    conditions: str | None = None
    expires_at: datetime | None = None
    mlflow_run_id: str | None = None
    mlflow_version: str | None = None

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ModelVersion":
        """Read a row of the table `model_version`."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name of a row's mapping
        values.pop("id")
        return cls(**{**values, "state": State(values["state"])})

    def is_expired(self, now: datetime) -> bool:
        """Whether the approval has an end and `now` is not before it."""
        return self.expires_at is not None and now >= self.expires_at

    def may_answer(self, now: datetime) -> bool:
        """Whether its answers may be used: approved, for exactly these bytes, and not expired."""
        return self.state is State.APPROVED and self.approved_hash == self.bundle_hash and not self.is_expired(now)


@dataclass(frozen=True)
class ReviewEvent:
    """One step of a version's life: who did what, when, with which words, looking at which hash."""

    project: str
    number: int
    at: datetime
    actor: str
    action: str
    note: str
    bundle_hash: str
    details: dict[str, Any]

    @classmethod
    def from_row(cls, row: Row[Any]) -> "ReviewEvent":
        """Read a row of the table `review_event`."""
        values = dict(row._mapping)  # noqa: SLF001
        values.pop("id")
        return cls(**values)


@dataclass(frozen=True)
class Deployment:
    """One entry of a slot's history; the newest entry says what the slot holds now.

    `number` and `bundle_hash` are None where the slot was emptied. `action` is "deploy", "share" (another share for
    what is there), "rollback" or "withdraw". `share` is the part of the enterprises that a live challenger answers,
    above 0 and below 1; 0 in every other slot.
    """

    id: int
    project: str
    slot: str
    action: str
    number: int | None
    bundle_hash: str | None
    at: datetime
    actor: str
    reason: str
    share: float = 0.0

    @classmethod
    def from_row(cls, row: Row[Any]) -> "Deployment":
        """Read a row of the table `deployment`."""
        return cls(**row._mapping)  # noqa: SLF001


def state_after(step: str, version: ModelVersion) -> State:
    """Return where `step` leads `version`.

    Raises
    ------
    ConflictError
        If the version is in a state from which the step is not possible.
    """
    allowed, target = _STEPS[step]
    if version.state not in allowed:
        raise ConflictError(
            msg(
                "Version {number} is {state}; this step needs: {allowed}",
                number=version.number,
                state=state_label(version.state),
                allowed=_listed(allowed),
            ),
            where=f"{version.project} v{version.number}",
            code="wrong_state",
        )
    return target


def state_label(state: State) -> Message:
    """Return a state's name for a person."""
    labels = {
        State.DRAFT: msg("draft"),
        State.SUBMITTED: msg("submitted for review"),
        State.CHANGES_REQUESTED: msg("changes requested"),
        State.APPROVED: msg("approved"),
        State.REJECTED: msg("rejected"),
        State.RETIRED: msg("retired"),
    }
    return labels[state]


def _listed(states: frozenset[State]) -> Message:
    first, *others = (state_label(state) for state in State if state in states)
    listed: Message = first
    for other in others:
        listed = msg("{first} or {second}", first=listed, second=other)
    return listed


def earlier_numbers(history: Sequence[Deployment]) -> list[int]:
    """Return what a slot held before what it holds now, nearest first, undoing earlier rollbacks.

    Parameters
    ----------
    history : sequence of Deployment
        One slot's entries, oldest first.

    Returns
    -------
    list of int
        Version numbers. After "deploy 1, deploy 2, deploy 3, rollback to 2" it is ``[1]``: 3 was left for a reason.
    """
    held: list[int | None] = []
    for entry in history:
        if entry.action == "rollback" and entry.number in held:
            while held[-1] != entry.number:
                held.pop()
        elif entry.action != "share":
            held.append(entry.number)
    return [number for number in reversed(held[:-1]) if number is not None]
