"""Work on a schedule: which there is, whose it is, when it is due next, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError as DuplicateError

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.i18n import Message, msg
from core.identity import Actor
from workbench.jobs.cron import check_cron, check_zone, next_due
from workbench.tables import project as project_table
from workbench.tables import schedule as schedule_table
from workbench.tables import schedule_run as run_table

__all__ = [
    "WORK",
    "Run",
    "Schedule",
    "ScheduleBook",
    "arguments",
    "run_of",
    "schedule_of",
    "state_word",
    "work_in_words",
]

_MAX_NAME: Final = 64
_MAX_PERIOD_DAYS: Final = 366
_DEFAULT_PERIOD_DAYS: Final = 30

# Kinds of jobs that make sense again and again, with the arguments that a schedule keeps.
WORK: Final[Mapping[str, frozenset[str]]] = {
    "database": frozenset({"only_new"}),
    "import": frozenset({"source"}),
    "quality": frozenset(),
    "monitor": frozenset({"days", "source"}),
    "snapshot": frozenset(),
    "enterprises": frozenset(),
}
"""What can be scheduled: kinds of jobs, and the arguments each takes."""


@dataclass(frozen=True)
class Run:
    """A moment that was due.

    Parameters
    ----------
    id, schedule_id : int
        Its number and that of its schedule.
    due_at : datetime
        The moment it stands for, aware.
    n_missed : int
        Moments before it at which nothing ran because no scheduler did; it stands for them too.
    started_at, finished_at : datetime
        When it was begun, when it ended; the latter None while it has not.
    state : {"running", "retrying", "succeeded", "failed", "cancelled", "skipped"}
        ``skipped``: the run before was still at work.
    attempt : int
        From 1.
    job_id : int or None
        The job of the last attempt.
    retry_at : datetime or None
        When it is tried again.
    error : dict or None
        As in `workbench.jobs.queue.Job`.
    alerted_at : datetime or None
        When somebody was told that it failed.
    """

    id: int
    schedule_id: int
    due_at: datetime
    n_missed: int
    started_at: datetime
    finished_at: datetime | None
    state: str
    attempt: int
    job_id: int | None
    retry_at: datetime | None
    error: dict[str, Any] | None
    alerted_at: datetime | None

    def error_text(self, language: str = "en") -> str:
        """Return what went wrong, in `language`; empty where nothing did."""
        parts = [] if self.error is None else [self.error.get("message"), self.error.get("fix")]
        texts = [Message.from_json(part).text(language) if isinstance(part, Mapping) else part for part in parts]
        return "; ".join(str(text) for text in texts if text)


@dataclass(frozen=True)
class Schedule:
    """Work that is done again and again.

    Parameters
    ----------
    id : int
        Its number.
    project, name : str
        Where it belongs, and what it is called there.
    kind, args
        Of the job: a key of `WORK` and its arguments.
    cron, time_zone : str
        When it is due: a cron expression of five fields in a zone.
    is_on : bool
        Whether it runs.
    max_attempts, retry_minutes : int
        How often a run is tried in all, and how long after the first failure; the pause doubles with each.
    owner : str
        In whose name, with the roles held when it runs.
    created_at, next_at : datetime
        Aware; `next_at` is when it is due next.
    revision : int
        Goes up with each change.
    last : Run or None
        The latest run.
    """

    id: int
    project: str
    name: str
    kind: str
    args: dict[str, Any]
    cron: str
    time_zone: str
    is_on: bool
    max_attempts: int
    retry_minutes: int
    owner: str
    created_at: datetime
    next_at: datetime
    revision: int
    last: Run | None = None


class ScheduleBook:
    """The schedules of one database; every method is one short transaction.

    Parameters
    ----------
    database : Database
        The migrated database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(
        self,
        project: str,
        name: str,
        kind: str,
        args: Mapping[str, Any],
        *,
        cron: str,
        time_zone: str,
        by: Actor,
        max_attempts: int = 3,
        retry_minutes: int = 10,
        now: datetime | None = None,
    ) -> Schedule:
        """Let work be done on a schedule from now on; `by` must hold the permission of the kind.

        Raises
        ------
        InputError
            The name, kind, arguments, times or attempts are not as they must be.
        ConflictError
            The project has a schedule of this name.
        NotFoundError
            There is no such project.
        """
        from workbench.jobs.kinds import kind_named

        moment = now or datetime.now(UTC)
        by.require(kind_named(kind).permission)
        values: dict[str, Any] = {
            "project": project,
            "name": _checked_name(name),
            "kind": kind,
            "args": _checked_args(kind, args),
            "cron": check_cron(cron),
            "time_zone": check_zone(time_zone).key,
            "is_on": True,
            "max_attempts": _within("max_attempts", max_attempts, 1, 10),
            "retry_minutes": _within("retry_minutes", retry_minutes, 1, 1_440),
            "actor": {"name": by.name, "roles": sorted(by.roles), "language": by.language},
            "created_at": moment,
            "revision": 1,
        }
        values["next_at"] = next_due(values["cron"], values["time_zone"], moment)
        try:
            with self.database.begin() as connection:
                _require_project(connection, project)
                row = connection.execute(insert(schedule_table).values(**values).returning(schedule_table)).one()
                details = {key: values[key] for key in ("kind", "args", "cron", "time_zone")}
                self._audit(by, "schedule.add", schedule_of(row), details, connection)
        except DuplicateError as error:
            raise ConflictError(
                msg("there is a schedule called {name}", name=name), where=project,
                fix=msg("Choose another name, or remove that one."),
            ) from error  # fmt: skip
        return schedule_of(row)

    def get(self, project: str, name: str) -> Schedule:
        """Return a schedule with its latest run; raises `NotFoundError`."""
        found = next((one for one in self.list(project) if one.name == name), None)
        if found is None:
            raise NotFoundError(msg("there is no schedule called {name}", name=name), where=project)
        return found

    def list(self, project: str | None = None) -> "list[Schedule]":
        """Return schedules with their latest run, in the order of their names."""
        query = select(schedule_table).order_by(schedule_table.c.project, schedule_table.c.name)
        if project is not None:
            query = query.where(schedule_table.c.project == project)
        with self.database.connect() as connection:
            return [schedule_of(row, _last_run(connection, row.id)) for row in connection.execute(query).all()]

    def runs(self, project: str, name: str, *, limit: int = 50) -> tuple[Run, ...]:
        """Return what came of a schedule, the latest first; raises `NotFoundError`."""
        known = self.get(project, name)
        query = select(run_table).where(run_table.c.schedule_id == known.id).order_by(run_table.c.id.desc())
        with self.database.connect() as connection:
            return tuple(run_of(row) for row in connection.execute(query.limit(limit)))

    def remove(self, project: str, name: str, *, by: Actor) -> None:
        """Remove a schedule with its history; its owner may, and who manages jobs. What runs goes on."""
        known = self.get(project, name)
        _require_owner(known, by)
        with self.database.begin() as connection:
            connection.execute(delete(run_table).where(run_table.c.schedule_id == known.id))
            connection.execute(delete(schedule_table).where(schedule_table.c.id == known.id))
            self._audit(by, "schedule.remove", known, {"kind": known.kind}, connection)

    def switch(self, project: str, name: str, *, is_on: bool, by: Actor, now: datetime | None = None) -> Schedule:
        """Let a schedule rest, or run again from its next moment on: what was due meanwhile is not caught up."""
        known = self.get(project, name)
        moment = now or datetime.now(UTC)
        return self._change(
            known, "schedule.on" if is_on else "schedule.off", by,
            is_on=is_on, next_at=next_due(known.cron, known.time_zone, moment),
        )  # fmt: skip

    def run_now(self, project: str, name: str, *, by: Actor, now: datetime | None = None) -> Schedule:
        """Let a schedule be due at once; its own times stay as they are.

        Raises
        ------
        ConflictError
            The schedule rests.
        """
        known = self.get(project, name)
        if not known.is_on:
            raise ConflictError(
                msg("the schedule {name} rests", name=name), where=project, fix=msg("Let it run again first.")
            )
        moment = now or datetime.now(UTC)
        return self._change(known, "schedule.run", by, next_at=min(known.next_at, moment))

    def reschedule(
        self, project: str, name: str, *, cron: str, time_zone: str, by: Actor, now: datetime | None = None
    ) -> Schedule:  # fmt: skip
        """Let a schedule be due at other times from now on."""
        known = self.get(project, name)
        text, zone = check_cron(cron), check_zone(time_zone).key
        moment = now or datetime.now(UTC)
        return self._change(
            known, "schedule.change", by, cron=text, time_zone=zone, next_at=next_due(text, zone, moment)
        )  # fmt: skip

    def _change(self, known: Schedule, action: str, by: Actor, **values: Any) -> Schedule:
        _require_owner(known, by)
        with self.database.begin() as connection:
            moved = connection.execute(
                update(schedule_table)
                .where(schedule_table.c.id == known.id, schedule_table.c.revision == known.revision)
                .values(**values, revision=known.revision + 1)
            )
            if moved.rowcount != 1:
                raise ConflictError(msg("the schedule was changed meanwhile"), where=known.name, fix=msg("Try again."))
            details = {name: str(value) for name, value in values.items() if name != "next_at"}
            self._audit(by, action, known, details, connection)
        return self.get(known.project, known.name)

    def _audit(
        self, by: Actor, action: str, known: Schedule, details: Mapping[str, Any], connection: Connection
    ) -> None:  # fmt: skip
        subject = f"schedule:{known.project}/{known.name}"
        AuditTrail(self.database).append(by.name, action, subject, details, connection=connection)


def arguments(kind: str, args: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return the arguments of the job that is due on `today`, in the schedule's own zone: periods end on that day."""
    if kind != "monitor":
        return dict(args)
    days = int(args.get("days", _DEFAULT_PERIOD_DAYS))
    period = {"start": (today - timedelta(days=days)).isoformat(), "end": today.isoformat()}
    return period | {name: value for name, value in args.items() if name != "days"}


def work_in_words(kind: str, args: Mapping[str, Any] | None = None) -> Message:
    """Return what a schedule does."""
    given = args or {}
    if kind == "database":
        return msg("import new rows from the database") if given.get("only_new") else msg("import from the database")
    if kind == "import":
        return msg("import {source}", source=given["source"]) if given.get("source") else msg("import a folder")
    if kind == "monitor":
        days = given.get("days", _DEFAULT_PERIOD_DAYS)
        return msg("check the last {days} days for drift", days=days) if given else msg("check for drift")
    return {
        "quality": msg("assess the data's quality"),
        "snapshot": msg("publish the online snapshot"),
        "enterprises": msg("publish the view of enterprises"),
    }[kind]


def state_word(state: str) -> Message:
    """Return a run's state in words."""
    return {
        "running": msg("at work"),
        "retrying": msg("to be tried again"),
        "succeeded": msg("done"),
        "failed": msg("failed"),
        "cancelled": msg("stopped"),
        "skipped": msg("skipped"),
    }[state]


def schedule_of(row: Row[Any], last: Run | None = None) -> Schedule:
    """Return the schedule that a row tells of."""
    names = Schedule.__dataclass_fields__.keys() - {"owner", "last"}
    return Schedule(**{name: getattr(row, name) for name in names}, owner=row.actor["name"], last=last)


def run_of(row: Row[Any]) -> Run:
    """Return the run that a row tells of."""
    return Run(**{name: getattr(row, name) for name in Run.__dataclass_fields__})


def _last_run(connection: Connection, schedule_id: int) -> Run | None:
    query = select(run_table).where(run_table.c.schedule_id == schedule_id).order_by(run_table.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else run_of(row)


def _require_project(connection: Connection, name: str) -> None:
    if connection.execute(select(project_table.c.name).where(project_table.c.name == name)).first() is None:
        raise NotFoundError(msg("there is no project called {name}", name=name))


def _require_owner(known: Schedule, by: Actor) -> None:
    if by.name != known.owner and not by.can("job.manage"):
        raise PermissionDeniedError(
            msg("the schedule {name} is {owner}'s", name=known.name, owner=known.owner),
            fix=msg("Only who made it, an operator or an administrator may change it."),
        )


def _checked_name(name: str) -> str:
    if not name or len(name) > _MAX_NAME or name != name.strip() or not name.isprintable():
        raise InputError(msg("a name has 1 to {n} printable characters", n=_MAX_NAME), where="name")
    return name


def _within(where: str, value: int, low: int, high: int) -> int:
    if isinstance(value, bool) or not low <= value <= high:
        raise InputError(msg("expected a whole number from {low} to {high}", low=low, high=high), where=where)
    return value


def _checked_args(kind: str, args: Mapping[str, Any]) -> dict[str, Any]:
    if kind not in WORK:
        raise InputError(
            msg("{kind} cannot be scheduled", kind=kind), where="kind",
            fix=msg("Choose one of: {names}.", names=", ".join(WORK)),
        )  # fmt: skip
    if unknown := sorted(args.keys() - WORK[kind]):
        raise InputError(msg("{kind} takes no {names}", kind=kind, names=", ".join(unknown)), where="args")
    if kind == "import" and not args.get("source"):
        raise InputError(msg("name the folder or file to import"), where="source")
    if kind == "monitor":
        _within("days", args.get("days", _DEFAULT_PERIOD_DAYS), 1, _MAX_PERIOD_DAYS)
        if args.get("source", "score_log") not in {"score_log", "tables"}:
            raise InputError(msg("expected score_log or tables"), where="source")
    return dict(args)
