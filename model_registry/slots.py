"""The slots: which version stands where, told by rows that are added and never changed."""

import sqlalchemy as sa
from sqlalchemy import Connection

from core.audit import AuditTrail
from core.identity import Actor
from model_registry.rules import now, subject_of
from model_registry.tables import deployment
from model_registry.versions import CHAMPION, LIVE_CHALLENGER, Deployment, ModelVersion

__all__ = ["Slots"]


class Slots:
    """Reads and writes the deployments of all projects, always within a transaction of the caller's.

    The newest row of a slot says what it holds. What may stand where is decided by the caller.

    Parameters
    ----------
    audit : AuditTrail
        Where each change is recorded, in the same transaction.
    """

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit

    @staticmethod
    def history(connection: Connection, project: str, slot: str | None = None) -> list[Deployment]:
        """Return every change of a slot, or of all of a project, the oldest first."""
        query = sa.select(deployment).where(deployment.c.project == project)
        if slot is not None:
            query = query.where(deployment.c.slot == slot)
        return [Deployment.from_row(row) for row in connection.execute(query.order_by(deployment.c.id))]

    @staticmethod
    def newest(connection: Connection, project: str, slot: str) -> Deployment | None:
        """Return the last change of a slot; None where there was none."""
        history = Slots.history(connection, project, slot)
        return history[-1] if history else None

    @staticmethod
    def number(connection: Connection, project: str, slot: str) -> int | None:
        """Return the number of the version that a slot holds; None where it is empty."""
        newest = Slots.newest(connection, project, slot)
        return newest.number if newest is not None else None

    @staticmethod
    def held(connection: Connection, project: str | None = None) -> list[Deployment]:
        """Return what every slot that is not empty holds, of one project or of all, by project and slot."""
        newest = sa.select(sa.func.max(deployment.c.id)).group_by(deployment.c.project, deployment.c.slot)
        query = sa.select(deployment).where(deployment.c.id.in_(newest), deployment.c.number.is_not(None))
        if project is not None:
            query = query.where(deployment.c.project == project)
        rows = connection.execute(query.order_by(deployment.c.project, deployment.c.slot))
        return [Deployment.from_row(row) for row in rows]

    def fill(
        self,
        connection: Connection,
        action: str,
        version: ModelVersion,
        slot: str,
        *,
        by: Actor,
        reason: str,
        share: float = 0.0,
    ) -> Deployment:
        """Put a version into a slot, by the name of what was done.

        Where it is now both champion and live challenger, the latter's slot is emptied: nothing challenges itself.
        """
        entry = self._add(connection, action, version, slot, version.number, by=by, reason=reason, share=share)
        champion = self.number(connection, version.project, CHAMPION)
        if champion is not None and self.number(connection, version.project, LIVE_CHALLENGER) == champion:
            self.empty(connection, version, LIVE_CHALLENGER, by=by, reason="it became the champion")
        return entry

    def empty(self, connection: Connection, version: ModelVersion, slot: str, *, by: Actor, reason: str) -> Deployment:
        """Take the version that a slot holds out of it."""
        return self._add(connection, "withdraw", version, slot, None, by=by, reason=reason)

    def _add(
        self,
        connection: Connection,
        action: str,
        version: ModelVersion,
        slot: str,
        number: int | None,
        *,
        by: Actor,
        reason: str,
        share: float = 0.0,
    ) -> Deployment:
        values = {
            "project": version.project,
            "slot": slot,
            "action": action,
            "number": number,
            "bundle_hash": version.bundle_hash if number is not None else None,
            "at": now(),
            "actor": by.name,
            "reason": reason,
            "share": share,
        }
        row = connection.execute(sa.insert(deployment).values(**values).returning(deployment)).one()
        details = {"slot": slot, "reason": reason, "bundle_hash": version.bundle_hash}
        if share:
            details["share"] = f"{share:g}"
        subject = subject_of(version.project, version.number)
        self._audit.append(by.name, f"model.{action}", subject, details, connection=connection)
        return Deployment.from_row(row)
