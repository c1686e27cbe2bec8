"""Somebody who does something, and the table of who may do what."""

from dataclasses import dataclass

from core.errors import PermissionDeniedError
from core.i18n import msg

__all__ = ["PERMISSIONS", "ROLES", "SYSTEM", "Actor"]

# The one table of permissions. Who builds a model does not review it, and who reviews it does not put it to work.
ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset({"view"}),
    "analyst": frozenset(
        {
            "view",
            "project.manage",
            "data.import",
            "feature.build",
            "model.train",
            "model.submit",
            "model.score",
            "snapshot.read",
            "enterprise.read",
            "monitor.run",
        }
    ),
    "reviewer": frozenset({"view", "model.review", "audit.read"}),
    "operator": frozenset(
        {
            "view",
            "data.import",
            "model.deploy",
            "model.score",
            "snapshot.read",
            "enterprise.read",
            "snapshot.publish",
            "monitor.run",
            "job.manage",
        }
    ),
    "admin": frozenset({"view", "project.manage", "job.manage", "user.manage", "audit.read", "data.personal"}),
    "service": frozenset({"model.score", "snapshot.read", "enterprise.read"}),
}
PERMISSIONS: frozenset[str] = frozenset().union(*ROLES.values())


@dataclass(frozen=True)
class Actor:
    """A person, a business system or the product itself.

    Parameters
    ----------
    name : str
        As in the audit trail.
    roles : frozenset of str
        Keys of `ROLES`.
    language : {"en", "zh"}, default="en"
        What they read.
    scopes : frozenset of str, optional
        Given by an API key: these permissions and no others, whatever the roles.

    Examples
    --------
    >>> Actor("lin", frozenset({"analyst"})).can("model.train")
    True
    >>> Actor("lin", frozenset({"analyst"})).can("model.review")
    False
    """

    name: str
    roles: frozenset[str]
    language: str = "en"
    scopes: frozenset[str] | None = None

    @property
    def permissions(self) -> frozenset[str]:
        """All that they may do."""
        if self.scopes is not None:
            return self.scopes
        return frozenset().union(*(ROLES.get(role, frozenset()) for role in self.roles))

    def can(self, permission: str) -> bool:
        """Return whether they may do `permission`, one of `PERMISSIONS`."""
        if permission not in PERMISSIONS:
            raise ValueError(f"no such permission {permission!r}; known are {sorted(PERMISSIONS)}")
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Refuse the step where they may not do `permission`.

        Raises
        ------
        PermissionDeniedError
            Naming them, the permission and the roles that have it.
        """
        if self.can(permission):
            return
        roles = ", ".join(role for role, granted in ROLES.items() if permission in granted)
        raise PermissionDeniedError(
            msg("{name} may not do this: it needs the permission {permission}", name=self.name, permission=permission),
            fix=msg("ask somebody with one of these roles: {roles}", roles=roles),
        )


SYSTEM = Actor("system", frozenset(ROLES))
"""The product itself, in scheduled work and on the command line of the machine's owner."""
