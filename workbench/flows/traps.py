"""Columns that look like a trap: what is known of each, and what a person decided, before a model is trained on it."""

from dataclasses import dataclass
from datetime import datetime

from core.audit import AuditTrail
from core.errors import ConflictError, InputError, NotFoundError
from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import when
from features.spec import FeatureSpec
from workbench.flows import feature_choice, features, projects
from workbench.flows.context import Context
from workbench.flows.features import TrapView

__all__ = [
    "Acknowledgement",
    "TrapState",
    "acknowledge",
    "findings_for_review",
    "leave_out",
    "require_decided",
    "states",
    "withdraw",
]

_ACTION = "feature.acknowledge"
_LEAST_REASON = 3
_MOST_RECORDS = 1_000


@dataclass(frozen=True)
class Acknowledgement:
    """That somebody wants to use a column all the same; `by` and `at` are None where only the project file says so."""

    reason: str
    by: str | None
    at: datetime | None


@dataclass(frozen=True)
class TrapState:
    """All that speaks against one column, and what was decided.

    Parameters
    ----------
    subject : str
        ``table.column``, or ``table`` where all of its rows are meant.
    findings : tuple of Finding
        The gravest first.
    n_features : int
        Computed features that are made of it.
    kept : tuple of str
        Aliases of those that selection kept.
    is_grave : bool
        Whether a finding says so strongly that somebody has to decide on it before a model is trained on the column.
    is_left_out : bool
        Whether the project leaves it out from the next build on.
    acknowledgement : Acknowledgement or None
        Who wants to use it all the same, and why.
    """

    subject: str
    findings: tuple[Finding, ...]
    n_features: int
    kept: tuple[str, ...]
    is_grave: bool
    is_left_out: bool
    acknowledgement: Acknowledgement | None

    @property
    def is_open(self) -> bool:
        """Whether it stands in the way of training: features made of it were kept, and nobody has decided."""
        return self.is_undecided and bool(self.kept)

    @property
    def is_undecided(self) -> bool:
        """Whether a decision is wanted, now or once the features that outdid it are gone."""
        return self.is_grave and self.acknowledgement is None and not (self.is_left_out and not self.kept)


def states(ctx: Context, project: str) -> tuple[TrapState, ...]:
    """Return what the last build found, column by column, with the decisions of today; needs ``view``."""
    ctx.require("view")
    result = features.stored(ctx, project)
    if result is None:
        return ()
    spec = projects.spec(ctx, project).features
    grouped: dict[str, list[TrapView]] = {}
    for trap in result.traps:
        grouped.setdefault(trap.subject, []).append(trap)
    decided = _decisions(ctx, project) if spec.acknowledged else {}
    return tuple(_state(subject, found, spec, decided) for subject, found in grouped.items())


def acknowledge(ctx: Context, project: str, column: str, reason: str) -> TrapState:
    """Say why a column is used although it looks like a trap; needs ``feature.build``.

    The audit trail keeps who said it, when, and what had been found; a reviewer sees it beside every model trained on
    the column.

    Parameters
    ----------
    column : str
        A `TrapState.subject` of the last build.
    reason : str
        Why it is no trap, or is used all the same.

    Raises
    ------
    NotFoundError
        Nothing speaks against such a column.
    InputError
        There is no reason.
    """
    ctx.require("feature.build")
    state = _named(ctx, project, column)
    said = reason.strip()
    if len(said) < _LEAST_REASON:
        raise InputError(
            msg("a column that looks like a trap is used only with a reason"), where=column, code="reason_missing"
        )
    codes = [finding.code for finding in state.findings]
    choice = feature_choice.chosen(ctx, project)
    changed = feature_choice.changed(choice, acknowledged={**choice.acknowledged, column: said})
    feature_choice.save(ctx, project, changed)
    ctx.audit(_ACTION, f"project:{project}", {"column": column, "reason": said, "codes": codes})
    return _named(ctx, project, column)


def withdraw(ctx: Context, project: str, column: str) -> TrapState:
    """Take an acknowledgement back; needs ``feature.build``."""
    ctx.require("feature.build")
    choice = feature_choice.chosen(ctx, project)
    kept = {name: reason for name, reason in choice.acknowledged.items() if name != column}
    feature_choice.save(ctx, project, feature_choice.changed(choice, acknowledged=kept))
    return _named(ctx, project, column)


def leave_out(ctx: Context, project: str, column: str) -> TrapState:
    """Leave a column, or a whole table, out of the features from the next build on; needs ``feature.build``."""
    ctx.require("feature.build")
    state = _named(ctx, project, column)
    choice = feature_choice.chosen(ctx, project)
    table, name = _parts(ctx, project, column)
    changed = (
        feature_choice.with_column(choice, table, name, is_used=False)
        if name
        else feature_choice.with_table(choice, table, is_used=False)
    )
    kept = {subject: reason for subject, reason in changed.acknowledged.items() if subject != state.subject}
    feature_choice.save(ctx, project, feature_choice.changed(changed, acknowledged=kept))
    return _named(ctx, project, column)


def require_decided(ctx: Context, project: str) -> None:
    """Refuse to go on while a strong trap is neither acknowledged nor left out and built again.

    Raises
    ------
    ConflictError
        Naming the columns and the two ways out.
    """
    known = states(ctx, project)
    if not any(state.is_open for state in known):
        return
    undecided = [state for state in known if state.is_undecided]  # all at once, lest they come one by one
    raise ConflictError(
        msg(
            "nothing is trained on columns that look like a trap before somebody has decided: {names}",
            names=", ".join(state.subject for state in undecided),
        ),
        fix=msg(
            "Leave a column out (workbench features --leave-out COLUMN) or say why it may be used (workbench features "
            "--acknowledge COLUMN --reason TEXT); both are on the Features page too."
        ),
        code="traps_undecided",
        findings=tuple(finding for state in undecided for finding in state.findings),
    )


def findings_for_review(ctx: Context, project: str) -> tuple[Finding, ...]:
    """Return what a reviewer of a model trained now must know: traps used all the same, and what is to be looked at."""
    found = [_for_review(state, ctx) for state in states(ctx, project) if state.kept]
    result = features.stored(ctx, project)
    shifts = [item for item in result.findings if item.code == "feature_shift"] if result else []
    return (*(finding for finding in found if finding is not None), *shifts)


def _for_review(state: TrapState, ctx: Context) -> Finding | None:
    first = state.findings[0]
    said = state.acknowledgement
    if said is None:
        return first if first.severity is not Severity.BAD else None
    message = msg(
        "{problem} — used all the same: “{reason}” ({name}, {date})",
        problem=first.message,
        reason=said.reason,
        name=said.by or msg("the project file"),
        date=when(said.at.date() if said.at else None, ctx.language),
    )
    return Finding("acknowledged_trap", Severity.WATCH, message, where=state.subject, fix=first.fix)


def _state(
    subject: str, found: list[TrapView], spec: FeatureSpec, decided: dict[tuple[str, str], Acknowledgement]
) -> TrapState:
    reason = spec.acknowledged.get(subject)
    left_out = any(
        subject in (f"{table}.{name}" for name in columns)
        or (not columns and (subject == table or subject.startswith(f"{table}.")))
        for table, columns in spec.ignore.items()
    )
    return TrapState(
        subject=subject,
        findings=tuple(trap.finding for trap in found),
        n_features=max(trap.n_features for trap in found),
        kept=found[0].kept,
        is_grave=any(trap.finding.severity is Severity.BAD for trap in found),
        is_left_out=left_out,
        acknowledgement=None if reason is None else decided.get((subject, reason), Acknowledgement(reason, None, None)),
    )


def _decisions(ctx: Context, project: str) -> dict[tuple[str, str], Acknowledgement]:
    """Return who acknowledged which column with which words, from the audit trail: nothing else can say it."""
    records = AuditTrail(ctx.database).records(action=_ACTION, subject=f"project:{project}", limit=_MOST_RECORDS)
    return {
        (record.details["column"], record.details["reason"]): Acknowledgement(
            record.details["reason"], record.actor, record.at
        )
        for record in reversed(records)
    }


def _named(ctx: Context, project: str, column: str) -> TrapState:
    known = states(ctx, project)
    for state in known:
        if state.subject == column:
            return state
    raise NotFoundError(
        msg("nothing speaks against the column {column}", column=column),
        fix=msg("Choose one of: {names}.", names=", ".join(state.subject for state in known) or "–"),
    )


def _parts(ctx: Context, project: str, subject: str) -> tuple[str, str]:
    """Return table and column of a subject; table names may hold dots themselves."""
    from workbench.flows import importing

    names = importing.tables(ctx, project).names
    table = max((name for name in names if subject == name or subject.startswith(f"{name}.")), key=len)
    return table, subject[len(table) + 1 :]
