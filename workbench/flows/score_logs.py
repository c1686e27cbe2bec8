"""The score log's upkeep: its months, what the policy lets go, and the erasure of a person's answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.errors import InputError, NotFoundError
from core.i18n import msg
from monitoring.score_erasure import Erasure, count_of, erase, erasures
from monitoring.score_months import month_counts
from monitoring.score_retention import due_months, retain
from workbench.flows import projects
from workbench.flows.context import Context
from workbench.flows.held_keys import HeldPlace, still_held
from workbench.flows.stored_columns import stored_columns

__all__ = [
    "ErasureState",
    "LogState",
    "MonthRow",
    "erase_answers",
    "erasure_list",
    "keys_of_enterprise",
    "retain_months",
    "state",
]

_PERMISSION = "data.personal"


@dataclass(frozen=True)
class MonthRow:
    """One month, ``2026-03``: how many answers it holds in the database, and whether the policy lets it go."""

    month: str
    n_answers: int
    is_due: bool


@dataclass(frozen=True)
class LogState:
    """The months that are there, oldest first, and the policy: how many are kept, None for all."""

    months: tuple[MonthRow, ...]
    keep_months: int | None


@dataclass(frozen=True)
class ErasureState:
    """An erasure, and what is left: hosts that have still to look, answers and reports that name one of the keys.

    `n_left` is None where the keys are not at hand, because an erasure does not know them; `held` says where else rows
    of them stand, which no erasure takes away.
    """

    number: int
    project: str
    requested_at: datetime
    requested_by: str
    reason: str
    n_keys: int
    n_records: int
    n_outcomes: int
    done: dict[str, datetime]
    pending: tuple[str, ...]
    n_left: int | None
    held: tuple[HeldPlace, ...] = ()


def state(ctx: Context, keep_months: int | None = None) -> LogState:
    """Return the months with what is due by the policy of the settings, or by another one; needs ``view``."""
    ctx.require("view")
    keep = keep_months or ctx.settings.score_log_months
    due = set(due_months(ctx.database, keep)) if keep else set()
    counts = month_counts(ctx.database)
    rows = tuple(MonthRow(month.replace("_", "-"), counts[month], month in due) for month in sorted(counts))
    return LogState(rows, keep)


def retain_months(ctx: Context, keep_months: int | None = None) -> list[str]:
    """Drop what is due by the policy of the settings, or by another one; needs ``data.personal``.

    Raises
    ------
    InputError
        If neither names a policy.
    """
    ctx.require(_PERMISSION)
    keep = keep_months or ctx.settings.score_log_months
    if keep is None:
        raise InputError(
            msg("no policy says how many months are kept"),
            where="--months",
            fix=msg("Give --months, or set WORKBENCH_SCORE_LOG_MONTHS."),
        )
    return [month.replace("_", "-") for month in retain(ctx.database, keep, by=ctx.actor.name)]


def erase_answers(ctx: Context, project: str, keys: Iterable[str], *, reason: str) -> ErasureState:
    """Erase the answers about some keys, and the outcomes reported of them; needs ``data.personal``.

    Scoring hosts erase in their local logs within seconds, those that are down when they are up again.

    Raises
    ------
    InputError
        If there is no key or no reason.
    """
    ctx.require(_PERMISSION)
    projects.get(ctx, project)
    chosen = sorted({key.strip() for key in keys} - {""})
    if not chosen:
        raise InputError(msg("no key says whose answers are to be erased"), where="--key")
    if not reason.strip():
        raise InputError(msg("a reason is needed: it stands in the audit trail"), where="--reason")
    done = erase(ctx.database, project, chosen, by=ctx.actor.name, reason=reason.strip()[:500])
    return _state(done, sum(count_of(ctx.database, project, chosen)), still_held(ctx, project, chosen))


def erasure_list(ctx: Context, project: str | None = None, key: str | None = None) -> list[ErasureState]:
    """Return the erasures, newest first, those that cover `key` only where it is given; needs ``data.personal``."""
    ctx.require(_PERMISSION)
    found = [one for one in reversed(erasures(ctx.database)) if project in (None, one.project)]
    if key is None:
        return [_state(one, None) for one in found]
    return [
        _state(one, sum(count_of(ctx.database, one.project, [key])), still_held(ctx, one.project, [key]))
        for one in found
        if one.covers(one.project, key)
    ]


def keys_of_enterprise(ctx: Context, project: str, enterprise: str) -> list[str]:
    """Return the keys of an enterprise's cases in the stored tables, itself among them.

    Raises
    ------
    NotFoundError
        If the tables do not know it.
    """
    ctx.require(_PERMISSION)
    label = projects.spec(ctx, project).label()
    entity = label.entity_column or label.key_column
    rows = stored_columns(ctx, project).read(label.root_table, list(dict.fromkeys([label.key_column, entity])))
    keys = rows.loc[rows[entity].astype(str) == enterprise, label.key_column].astype(str).tolist()
    if not keys:
        raise NotFoundError(
            msg("the stored tables know no such enterprise"),
            where=f"{label.root_table}.{entity}",
            fix=msg("Name the keys of its cases with --key."),
        )
    return sorted({enterprise, *keys})


def _state(one: Erasure, n_left: int | None, held: tuple[HeldPlace, ...] = ()) -> ErasureState:
    return ErasureState(
        number=one.erasure_id,
        project=one.project,
        requested_at=one.requested_at,
        requested_by=one.requested_by,
        reason=one.reason,
        n_keys=len(one.digests),
        n_records=one.n_records,
        n_outcomes=one.n_outcomes,
        done=dict(one.done),
        pending=one.pending,
        n_left=n_left,
        held=held,
    )
