"""The registry: versions, their review by two people, and the slots they are deployed to.

Every step is one transaction that changes the row, writes the event and appends to the audit trail, or does none of
these. A row is changed only if it is still in the state the step was decided on, so of two people who act at once one
wins and the other gets a `ConflictError`.
"""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConflictError, IntegrityError, NotFoundError, PermissionDeniedError
from core.i18n import msg
from core.identity import Actor
from model_registry.bundle import Bundle
from model_registry.manifest import bundle_path, copy_sealed, open_manifest
from model_registry.mirroring import RegistryMirror
from model_registry.rules import (
    check_expiry,
    check_project,
    check_share,
    now,
    require_deployable,
    require_reason,
    require_rival,
    require_same,
    subject_of,
)
from model_registry.slots import Slots
from model_registry.tables import model_version, review_event
from model_registry.versions import (
    CHAMPION,
    LIVE_CHALLENGER,
    Deployment,
    ModelVersion,
    ReviewEvent,
    State,
    earlier_numbers,
    state_after,
)

__all__ = ["Registry"]

_LOG = logging.getLogger(__name__)
# Any number, the same in every process: whoever holds it on PostgreSQL counts versions.
_POSTGRESQL_LOCK = 5_310_003


class Registry:
    """Versions of all projects, their approval and their deployment.

    Safe for several threads and processes.

    Parameters
    ----------
    database : Database
        Where the rows are; migrated.
    artifact_root : Path
        Folder under which the bundles are kept, each in a folder named by its hash.
    mlflow : bool, default=True
        Whether to keep a mirror in MLflow.
    mirror_wait_seconds : float, default=30
        How long a step waits for MLflow after its own transaction is done. The mirror goes on without it after that;
        what fails there is logged, and the next step or `mirror` makes up for it. Nothing of ours is lost.
    """

    def __init__(
        self, database: Database, artifact_root: Path, *, mlflow: bool = True, mirror_wait_seconds: float = 30.0
    ) -> None:
        self._database = database
        self._artifact_root = artifact_root
        self._audit = AuditTrail(database)
        self._slots = Slots(self._audit)
        self._mirror = RegistryMirror(database, artifact_root, mirror_wait_seconds, is_on=mlflow)

    # Versions

    def register(self, project: str, bundle_folder: Path, *, author: Actor, run: dict[str, Any]) -> ModelVersion:
        """Take a bundle in as a new draft version.

        The same bundle given again for the same project is the same version, so a job that is run again after a crash
        does not double it.

        Parameters
        ----------
        project : str
            Project it belongs to.
        bundle_folder : Path
            A sealed bundle; copied.
        author : Actor
            Who built it; may not approve it.
        run : dict
            ``params``, ``metrics`` and ``tags`` of the training, each a flat mapping.

        Raises
        ------
        PermissionDeniedError
            If the author may not train.
        IntegrityError
            If the bundle is not whole.
        """
        author.require("model.train")
        check_project(project)
        bundle_hash = open_manifest(bundle_folder).hash
        copy_sealed(bundle_folder, bundle_path(self._artifact_root, bundle_hash))
        number = self._insert_version(project, bundle_hash, author, run)
        self._mirror.start()
        return self.version(project, number)

    def versions(self, project: str) -> list[ModelVersion]:
        """Return all versions of `project`, newest first."""
        query = sa.select(model_version).where(model_version.c.project == project)
        with self._database.connect() as connection:
            rows = connection.execute(query.order_by(model_version.c.number.desc())).all()
        return [ModelVersion.from_row(row) for row in rows]

    def version(self, project: str, number: int) -> ModelVersion:
        """Return one version.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        with self._database.connect() as connection:
            return _read_version(connection, project, number)

    def bundle_folder(self, version: ModelVersion) -> Path:
        """Return where the bundle of `version` is kept."""
        return bundle_path(self._artifact_root, version.bundle_hash)

    def folder_of(self, bundle_hash: str) -> Path:
        """Return where the bundle of this hash is kept."""
        return bundle_path(self._artifact_root, bundle_hash)

    def bundle(self, project: str, number: int) -> Bundle:
        """Open the bundle of a version, every file proved against the hash in the registry."""
        version = self.version(project, number)
        bundle = Bundle.open(self.bundle_folder(version))
        require_same(version, bundle.hash, version.bundle_hash)
        return bundle

    def review_events(self, project: str, number: int) -> list[ReviewEvent]:
        """Return what happened to a version, oldest first."""
        query = sa.select(review_event).where(review_event.c.project == project, review_event.c.number == number)
        with self._database.connect() as connection:
            return [ReviewEvent.from_row(row) for row in connection.execute(query.order_by(review_event.c.id))]

    # Review

    def submit(self, project: str, number: int, *, by: Actor, note: str) -> ModelVersion:
        """Ask for review of a draft, or of a version whose requested changes are answered."""
        by.require("model.submit")
        proved = self._prove(project, number)
        values = {"submitted_by": by.name, "submitted_at": now(), "submitted_hash": proved, "approved_hash": None}
        return self._step("submit", project, number, by=by, note=note, values=values)

    def approve(
        self,
        project: str,
        number: int,
        *,
        by: Actor,
        note: str = "",
        conditions: str = "",
        expires_at: datetime | None = None,
        reviewed_hash: str | None = None,
    ) -> ModelVersion:
        """Sign for a submitted version.

        Parameters
        ----------
        project, number : str, int
            The version.
        by : Actor
            A reviewer who neither built nor submitted it.
        note, conditions : str
            Words of the reviewer, and what the approval is bound to.
        expires_at : datetime, optional
            Aware moment at which the approval ends.
        reviewed_hash : str, optional
            Hash of the bundle the reviewer was shown; another one now is a conflict.

        Raises
        ------
        PermissionDeniedError
            If `by` is no reviewer, or built or submitted the version.
        ConflictError
            If the version is not submitted (any more), or is not the one that was shown.
        IntegrityError
            If the stored files are not the ones that were submitted.
        InputError
            If `expires_at` has no time zone or is past.
        """
        self._require_checker(project, number, by)
        check_expiry(expires_at)
        proved = self._prove(project, number)
        if reviewed_hash is not None and reviewed_hash != proved:
            raise ConflictError(
                msg("The version changed since it was reviewed; open it again."), where=subject_of(project, number)
            )
        values = {
            **_decision(by),
            "approved_hash": proved,
            "conditions": conditions or None,
            "expires_at": expires_at,
        }
        details = {"conditions": conditions, "expires_at": expires_at.isoformat() if expires_at else None}
        return self._step("approve", project, number, by=by, note=note, values=values, details=details)

    def reject(self, project: str, number: int, *, by: Actor, note: str) -> ModelVersion:
        """Refuse a submitted version for good, with the reason."""
        self._require_checker(project, number, by)
        require_reason(note)
        return self._step("reject", project, number, by=by, note=note, values=_decision(by))

    def request_changes(self, project: str, number: int, *, by: Actor, note: str) -> ModelVersion:
        """Send a submitted version back to its author, with what is missing."""
        self._require_checker(project, number, by)
        require_reason(note)
        return self._step("request_changes", project, number, by=by, note=note, values=_decision(by))

    def retire(self, project: str, number: int, *, by: Actor, note: str) -> ModelVersion:
        """Take a version out of use; refused while a slot holds it."""
        by.require("model.deploy")
        require_reason(note)
        return self._step("retire", project, number, by=by, note=note, values={})

    # Deployment

    def deploy(
        self,
        project: str,
        number: int,
        slot: str = CHAMPION,
        *,
        by: Actor,
        reason: str,
        share: float | None = None,
    ) -> Deployment:
        """Put a version into a slot, or give the live challenger that is there another share.

        A live challenger that becomes the champion leaves its own slot in the same step.

        Parameters
        ----------
        project, number : str, int
            The version.
        slot : str, default="champion"
            Where to.
        by : Actor
            Who does it.
        reason : str
            Why; kept in the history.
        share : float, optional
            Of a live challenger, and of it only: the part of the enterprises it answers, above 0 and below 1.

        Raises
        ------
        InputError
            If the share is missing, too much, or given for another slot.
        ConflictError
            If the slot is one that answers and the version is not approved for exactly these bytes or its approval
            expired; or a shadow's and it is neither submitted nor approved; or the slot holds it already, with this
            share; or it shall challenge a champion that is not there, or itself.
        IntegrityError
            If the stored files are not the ones that were signed for.
        """
        by.require("model.deploy")
        require_reason(reason)
        part = check_share(slot, share)
        proved = self._prove(project, number)
        with self._database.begin() as connection:
            version = _read_version(connection, project, number, lock=True)
            require_deployable(version, slot, proved)
            held = self._slots.newest(connection, project, slot)
            is_there = held is not None and held.number == number
            if held is not None and is_there and held.share == part:
                raise ConflictError(
                    msg("Version {number} is in this slot already", number=number), where=subject_of(project, number)
                )
            if slot == LIVE_CHALLENGER:
                require_rival(version, self._slots.number(connection, project, CHAMPION))
            action = "share" if is_there else "deploy"
            entry = self._slots.fill(connection, action, version, slot, by=by, reason=reason, share=part)
        self._mirror.start()
        return entry

    def rollback(self, project: str, slot: str = CHAMPION, *, by: Actor, reason: str) -> Deployment:
        """Put back what the slot held before, the nearest earlier version that may still be there.

        Raises
        ------
        ConflictError
            If there is no such version.
        """
        by.require("model.deploy")
        require_reason(reason)
        with self._database.begin() as connection:
            history = self._slots.history(connection, project, slot)
            share = next((entry.share for entry in reversed(history) if entry.share), 0.0)
            for number in earlier_numbers(history):
                version = _read_version(connection, project, number, lock=True)
                if self._may_return(version, slot):
                    if slot == LIVE_CHALLENGER:
                        require_rival(version, self._slots.number(connection, project, CHAMPION))
                    entry = self._slots.fill(connection, "rollback", version, slot, by=by, reason=reason, share=share)
                    break
            else:
                raise ConflictError(
                    msg(
                        "The slot {slot} of {project} has no earlier version to go back to", slot=slot, project=project
                    ),
                    fix=msg("Deploy an approved version instead."),
                    code="nothing_to_roll_back_to",
                )
        self._mirror.start()
        return entry

    def withdraw(self, project: str, slot: str, *, by: Actor, reason: str) -> Deployment:
        """Empty a slot."""
        by.require("model.deploy")
        require_reason(reason)
        with self._database.begin() as connection:
            number = self._slots.number(connection, project, slot)
            if number is None:
                raise ConflictError(msg("The slot {slot} of {project} is empty", slot=slot, project=project))
            version = _read_version(connection, project, number)
            entry = self._slots.empty(connection, version, slot, by=by, reason=reason)
        self._mirror.start()
        return entry

    def deployment(self, project: str, slot: str = CHAMPION) -> Deployment | None:
        """Return what `slot` holds now, or None where it holds nothing."""
        return next((entry for entry in self.deployments(project) if entry.slot == slot), None)

    def deployments(self, project: str | None = None) -> list[Deployment]:
        """Return what every slot that is not empty holds now, of one project or of all."""
        with self._database.connect() as connection:
            return self._slots.held(connection, project)

    def deployment_history(self, project: str) -> list[Deployment]:
        """Return every change of every slot of `project`, newest first."""
        with self._database.connect() as connection:
            return self._slots.history(connection, project)[::-1]

    def mirror(self) -> None:
        """Bring MLflow up to date with our rows; every step that changes something does it too."""
        self._mirror.bring_up_to_date()

    # Inside

    def _prove(self, project: str, number: int) -> str:
        """Return the hash of a version's stored files after proving them against the registry."""
        version = self.version(project, number)
        proved = open_manifest(self.bundle_folder(version)).hash
        require_same(version, proved, version.bundle_hash)
        return proved

    def _may_return(self, version: ModelVersion, slot: str) -> bool:
        try:
            proved = open_manifest(self.bundle_folder(version)).hash
            require_deployable(version, slot, proved)
        except (ConflictError, IntegrityError, NotFoundError) as error:
            _LOG.warning("%s v%s cannot be rolled back to: %s", version.project, version.number, error)
            return False
        return True

    def _insert_version(self, project: str, bundle_hash: str, author: Actor, run: dict[str, Any]) -> int:
        of_project = model_version.c.project == project
        with self._database.begin() as connection:
            _one_at_a_time(connection)
            known = sa.select(model_version.c.number).where(of_project, model_version.c.bundle_hash == bundle_hash)
            if (existing := connection.execute(known).scalar()) is not None:
                return int(existing)
            highest = connection.execute(sa.select(sa.func.max(model_version.c.number)).where(of_project)).scalar()
            number = (highest or 0) + 1
            values = {"project": project, "number": number, "bundle_hash": bundle_hash, "author": author.name}
            connection.execute(
                sa.insert(model_version).values(**values, state=State.DRAFT.value, created_at=now(), run=run)
            )
            self._record(
                connection, "register", project, number, by=author, note="", bundle_hash=bundle_hash, details={}
            )
        return number

    def _step(
        self,
        step: str,
        project: str,
        number: int,
        *,
        by: Actor,
        note: str,
        values: dict[str, Any],
        details: dict[str, Any] | None = None,
    ) -> ModelVersion:
        with self._database.begin() as connection:
            version = _read_version(connection, project, number, lock=True)
            target = state_after(step, version)
            self._check_step(connection, step, version, values)
            changed = connection.execute(
                sa.update(model_version)
                .where(
                    model_version.c.project == project,
                    model_version.c.number == number,
                    model_version.c.state == version.state.value,
                )
                .values(state=target.value, **values)
            )
            if changed.rowcount != 1:
                raise ConflictError(msg("Somebody else acted on this version first"), where=subject_of(project, number))
            self._record(
                connection,
                step,
                project,
                number,
                by=by,
                note=note,
                bundle_hash=version.bundle_hash,
                details=details or {},
            )
            return _read_version(connection, project, number)

    def _check_step(self, connection: Connection, step: str, version: ModelVersion, values: dict[str, Any]) -> None:
        if step == "approve":
            require_same(version, values["approved_hash"], version.submitted_hash)
        if step == "retire":
            held = self._slots.held(connection, version.project)
            if slots := [entry.slot for entry in held if entry.number == version.number]:
                raise ConflictError(
                    msg("The version is deployed ({slots}) and cannot be retired", slots=", ".join(slots)),
                    where=subject_of(version.project, version.number),
                    fix=msg("Deploy another version to the slot, or empty it, first."),
                )

    def _record(
        self,
        connection: Connection,
        action: str,
        project: str,
        number: int,
        *,
        by: Actor,
        note: str,
        bundle_hash: str,
        details: dict[str, Any],
    ) -> None:
        connection.execute(
            sa.insert(review_event).values(
                project=project,
                number=number,
                at=now(),
                actor=by.name,
                action=action,
                note=note,
                bundle_hash=bundle_hash,
                details=details,
            )
        )
        self._audit.append(
            by.name,
            f"model.{action}",
            subject_of(project, number),
            {"bundle_hash": bundle_hash, "note": note, **details},
            connection=connection,
        )

    def _require_checker(self, project: str, number: int, by: Actor) -> None:
        """Refuse a reviewer who built or submitted the version, and keep the attempt in the audit trail."""
        by.require("model.review")
        version = self.version(project, number)
        makers = {name.casefold() for name in (version.author, version.submitted_by) if name}
        if by.name.casefold() not in makers:
            return
        self._audit.append(by.name, "model.review_refused", subject_of(project, number), {"reason": "own work"})
        raise PermissionDeniedError(
            msg("{name} built or submitted this version and may not decide on it", name=by.name),
            where=subject_of(project, number),
            fix=msg("Another reviewer must decide."),
            code="own_work",
        )


def _one_at_a_time(connection: Connection) -> None:
    """Let one transaction after another count versions; on SQLite every writing transaction is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))


def _decision(by: Actor) -> dict[str, Any]:
    return {"decided_by": by.name, "decided_at": now()}


def _read_version(connection: Connection, project: str, number: int, *, lock: bool = False) -> ModelVersion:
    query = sa.select(model_version).where(model_version.c.project == project, model_version.c.number == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFoundError(msg("There is no version {number} of {project}", number=number, project=project))
    return ModelVersion.from_row(row)
