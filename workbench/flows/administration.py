"""Users, API keys and the audit trail, behind their permissions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.flows.context import Context

if TYPE_CHECKING:
    from core.audit import AuditRecord
    from core.findings import Finding
    from core.identity import ApiKey, User

__all__ = ["NewKey", "audit_records", "create_key", "create_user", "revoke_key", "users", "verify_audit"]


@dataclass(frozen=True)
class NewKey:
    """An API key just made; its secret is shown this once and stored nowhere."""

    key: "ApiKey"
    secret: str


def users(ctx: Context) -> "list[User]":
    """Return all users; needs ``user.manage``."""
    raise NotImplementedError


def create_user(ctx: Context, name: str, password: str, roles: Sequence[str], *, language: str = "en") -> None:
    """Make a user; needs ``user.manage``."""
    raise NotImplementedError


def create_key(ctx: Context, owner: str, scopes: Sequence[str], *, expires_at: datetime | None = None) -> NewKey:
    """Make an API key for a user; needs ``user.manage``."""
    raise NotImplementedError


def revoke_key(ctx: Context, key_id: str) -> None:
    """Make a key useless at once; needs ``user.manage``."""
    raise NotImplementedError


def audit_records(ctx: Context, *, subject: str | None = None, limit: int = 200) -> "list[AuditRecord]":
    """Return the latest records, newest first; needs ``audit.read``."""
    raise NotImplementedError


def verify_audit(ctx: Context) -> "list[Finding]":
    """Walk the whole hash chain; empty where it is whole, else the first bad record is named; needs ``audit.read``."""
    raise NotImplementedError
