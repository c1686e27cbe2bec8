"""API keys: a secret shown once, kept as its SHA-256, with scopes, an end and a way to withdraw it."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import AuthenticationError
from core.i18n import msg
from core.identity.actor import Actor

__all__ = ["ApiKey", "KeyRing"]

_PREFIX = "gw"
_NO_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key; never its secret.

    Parameters
    ----------
    id : str
        Public part, 12 hexadecimal digits.
    owner : str
        Business system or user who answers for it.
    scopes : frozenset of str
        The permissions it gives.
    created_at, expires_at, revoked_at : datetime
        Aware; the latter two None where it has no end and was not withdrawn.
    created_by : str
        Who made it.
    """

    id: str
    owner: str
    scopes: frozenset[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def prefix(self) -> str:
        """How the secret begins, to recognise a key by."""
        return f"{_PREFIX}_{self.id}_"

    def is_usable(self, now: datetime) -> bool:
        """Return whether it is neither withdrawn nor past its end."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class KeyRing:
    """The keys a service needs to know its callers by while the database is away.

    Parameters
    ----------
    keys : mapping of str to (ApiKey, str)
        By id: the key and the SHA-256 of its whole secret.
    """

    keys: Mapping[str, tuple[ApiKey, str]]

    def authenticate(self, secret: str, now: datetime | None = None) -> Actor:
        """Return whom `secret` belongs to, with the key's scopes as permissions.

        The secret has 256 random bits, so its plain SHA-256 cannot be guessed back; hashes are compared in constant
        time.

        Raises
        ------
        AuthenticationError
            The same for an unknown, a wrong, a withdrawn and an expired key.
        """
        key, expected = self.keys.get(key_id(secret), (None, _NO_HASH))
        is_equal = hmac.compare_digest(hash_secret(secret), expected)
        if key is None or not is_equal or not key.is_usable(now or datetime.now(UTC)):
            raise AuthenticationError(
                msg("the API key is unknown, withdrawn or expired"),
                fix=msg("send a valid key as: Authorization: Bearer <key>"),
            )
        return Actor(key.owner, frozenset({"service"}), scopes=key.scopes)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the ring as JSON values (hashes, no secrets); `from_json` reads it back."""
        return [_key_to_json(key) | {"secret_hash": secret_hash} for key, secret_hash in self.keys.values()]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> "KeyRing":
        """Read what `to_json` wrote."""
        return cls({item["id"]: (_key_from_json(item), item["secret_hash"]) for item in data})


def new_secret() -> tuple[str, str]:
    """Return a fresh key id and the secret that carries it."""
    identifier = secrets.token_hex(6)
    return identifier, f"{_PREFIX}_{identifier}_{secrets.token_urlsafe(32)}"


def key_id(secret: str) -> str:
    """Return the public id in `secret`, empty where it has none."""
    parts = secret[:200].split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == _PREFIX else ""


def hash_secret(secret: str) -> str:
    """Return the SHA-256 under which a secret is kept."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _key_to_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "created_by": key.created_by,
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }


def _key_from_json(data: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        id=data["id"],
        owner=data["owner"],
        scopes=frozenset(data["scopes"]),
        created_at=datetime.fromisoformat(data["created_at"]),
        created_by=data["created_by"],
        expires_at=data["expires_at"] and datetime.fromisoformat(data["expires_at"]),
        revoked_at=data["revoked_at"] and datetime.fromisoformat(data["revoked_at"]),
    )
