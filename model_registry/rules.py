"""What a step on a version must hold to: reasons given, files as signed for, slots filled only by who may be there."""

import re
from datetime import UTC, datetime

from core.errors import ConflictError, InputError, IntegrityError
from core.i18n import msg
from model_registry.versions import ANSWERING, LIVE_CHALLENGER, ModelVersion, State, state_label

__all__ = [
    "check_expiry",
    "check_project",
    "check_share",
    "now",
    "require_deployable",
    "require_reason",
    "require_rival",
    "require_same",
    "subject_of",
]

_SLOT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SHADOW_STATES = frozenset({State.SUBMITTED, State.APPROVED})


def subject_of(project: str, number: int) -> str:
    """Return how a version is named in errors and in the audit trail."""
    return f"model:{project}/{number}"


def require_same(version: ModelVersion, found: str, signed: str | None) -> None:
    """Refuse files whose hash is not the one that was signed for."""
    if found != signed:
        raise IntegrityError(
            msg("The stored bundle is not the one that was signed for"),
            where=subject_of(version.project, version.number),
            code="bundle_changed",
        )


def require_deployable(version: ModelVersion, slot: str, proved: str) -> None:
    """Refuse a version that may not be in `slot`; `proved` is the hash of its stored files just now."""
    if not _SLOT.fullmatch(slot):
        raise InputError(msg("{slot} is no name for a slot: small letters, digits, - and _", slot=repr(slot)))
    where = subject_of(version.project, version.number)
    require_same(version, proved, version.bundle_hash)
    if slot not in ANSWERING:
        if version.state not in _SHADOW_STATES:
            raise ConflictError(
                msg(
                    "A shadow must be submitted or approved; this version is {state}", state=state_label(version.state)
                ),
                where=where,
                code="wrong_state",
            )
        return
    if version.state is not State.APPROVED:
        raise ConflictError(
            msg("What answers must be approved; this version is {state}", state=state_label(version.state)),
            where=where,
            fix=msg("Submit it and let another person review it."),
            code="not_approved",
        )
    require_same(version, proved, version.approved_hash)
    if not version.may_answer(now()):
        raise ConflictError(
            msg("The approval of this version has expired"),
            where=where,
            fix=msg("Ask a reviewer to approve a new version."),
            code="approval_expired",
        )


def check_share(slot: str, share: float | None) -> float:
    """Return the part of the enterprises that a version in `slot` answers in the champion's place; 0 where it does not.

    Raises
    ------
    InputError
        If a live challenger has no share strictly between 0 and 1, or another slot has one.
    """
    if slot != LIVE_CHALLENGER:
        if share is not None:
            raise InputError(
                msg("Only a live challenger has a share; this slot is {slot}", slot=slot),
                where="share",
                fix=msg("Use the slot {slot}, or leave the share out.", slot=LIVE_CHALLENGER),
            )
        return 0.0
    if share is None or not 0.0 < share < 1.0:
        raise InputError(
            msg("A live challenger answers more than none and less than all of the enterprises"),
            where="share",
            fix=msg("Give a share above 0 and below 100 percent; to let it answer all, make it the champion."),
            code="bad_share",
        )
    return float(share)


def require_rival(version: ModelVersion, champion: int | None) -> None:
    """Refuse a live challenger where there is no other version to challenge."""
    if champion is None or champion == version.number:
        problem = msg("No champion is deployed") if champion is None else msg("This version is the champion")
        raise ConflictError(
            problem,
            where=subject_of(version.project, version.number),
            fix=msg("A share of the traffic is split off from that of another version, the champion."),
            code="no_rival",
        )


def check_project(project: str) -> None:
    """Refuse a project name that cannot be shown or stored."""
    if not project or len(project) > 120 or not project.isprintable() or project != project.strip():
        raise InputError(msg("A project's name has 1 to 120 printable characters"))


def check_expiry(expires_at: datetime | None) -> None:
    """Refuse an end of an approval that is past, or that nobody can place in time."""
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        raise InputError(msg("The end of an approval needs a time zone"))
    if expires_at <= now():
        raise InputError(msg("The end of an approval must be in the future"))


def require_reason(text: str) -> None:
    """Refuse an empty reason."""
    if not text.strip():
        raise InputError(msg("Please give a reason; it is kept in the history"))


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)
