"""Users, API keys and the audit trail, behind their permissions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.audit import AuditRecord, AuditTrail, read_anchors
from core.findings import Finding
from core.identity import ApiKey, User
from workbench.flows.context import Context

__all__ = ["NewKey", "audit_records", "create_key", "create_user", "keys", "revoke_key", "users", "verify_audit"]


@dataclass(frozen=True)
class NewKey:
    """An API key just made; its secret is shown this once and stored nowhere."""

    key: ApiKey
    secret: str


def users(ctx: Context) -> list[User]:
    """Return all users; needs ``user.manage``."""
    ctx.require("user.manage")
    return ctx.identity.users()


def create_user(ctx: Context, name: str, password: str, roles: Sequence[str], *, language: str = "en") -> User:
    """Make a user; needs ``user.manage``."""
    return ctx.identity.create_user(name, password, roles, language, by=ctx.actor)


def keys(ctx: Context) -> list[ApiKey]:
    """Return all API keys, the newest first; needs ``user.manage``."""
    ctx.require("user.manage")
    return ctx.identity.keys()


def create_key(ctx: Context, owner: str, scopes: Sequence[str], *, expires_at: datetime | None = None) -> NewKey:
    """Make an API key for a user or a business system; needs ``user.manage``."""
    key, secret = ctx.identity.create_key(owner, scopes, expires_at, by=ctx.actor)
    return NewKey(key, secret)


def revoke_key(ctx: Context, key_id: str) -> None:
    """Make a key useless at once; needs ``user.manage``."""
    ctx.identity.revoke_key(key_id, by=ctx.actor)


def audit_records(ctx: Context, *, subject: str | None = None, limit: int = 200) -> list[AuditRecord]:
    """Return the latest records, newest first; needs ``audit.read``."""
    ctx.require("audit.read")
    return AuditTrail(ctx.database).records(subject=subject, limit=limit)


def verify_audit(ctx: Context, *, anchors: Path | None = None) -> list[Finding]:
    """Walk the whole hash chain; needs ``audit.read``.

    Parameters
    ----------
    anchors : Path, optional
        A file of anchors kept outside the database: catches a trail that was cut.

    Returns
    -------
    list of Finding
        Empty where the trail is whole, else the first bad record is named.
    """
    ctx.require("audit.read")
    return AuditTrail(ctx.database).verify(read_anchors(anchors) if anchors else ())
