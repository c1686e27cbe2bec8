"""Who calls: bearer keys checked in memory, so that no request waits for the database."""

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from core.errors import AuthenticationError, UnavailableError
from core.i18n import msg
from core.identity import Actor, ApiKey, Identity, KeyRing
from core.identity.keys import key_id
from serving.local_files import read_json, write_whole

__all__ = ["Callers"]

_LOG = logging.getLogger(__name__)
_MAX_KNOWN = 10_000


class Callers:
    """The usable API keys, followed in the database and remembered (hashes only) for a start without it.

    `refresh` is called by one thread again and again; a key withdrawn is refused from the next call on.

    Parameters
    ----------
    identity : Identity
        Where keys are.
    memory : Path
        File that keeps the ring; readable by its owner only.
    """

    def __init__(self, identity: Identity, memory: Path) -> None:
        self._identity = identity
        self._memory = memory
        self._ring: KeyRing | None = None
        self._known: tuple[KeyRing | None, dict[bytes, tuple[ApiKey, Actor]]] = (None, {})

    def authenticate(self, authorization: str | None) -> Actor:
        """Return whose key an ``Authorization`` header holds.

        Raises
        ------
        AuthenticationError
            The same for no key, an unknown, a wrong, a withdrawn and an expired one.
        """
        scheme, _, secret = (authorization or "").partition(" ")
        ring = self._ring if self._ring is not None else KeyRing({})
        if scheme.lower() != "bearer" or not secret:
            raise AuthenticationError(
                msg("An API key is needed"), fix=msg("Send the key as: Authorization: Bearer <key>")
            )
        return ring.authenticate(secret.strip())

    def recognise(self, authorization: str) -> tuple[Actor, str]:
        """Return whose key a header holds, as `authenticate` does, and the key's public id.

        Headers that were good lately are known by their SHA-256, each as long as the ring of keys is the same.
        """
        digest = hashlib.sha256(authorization.encode("latin-1", "replace")).digest()
        ring, known = self._known
        if ring is self._ring and (found := known.get(digest)) is not None:
            key, actor = found
            if key.is_usable(datetime.now(UTC)):
                return actor, key.id
        actor = self.authenticate(authorization)
        identifier = self.key_id(authorization)
        if ring is not self._ring or len(known) >= _MAX_KNOWN:
            known = {}
            self._known = self._ring, known
        if self._ring is not None and (entry := self._ring.keys.get(identifier)) is not None:
            known[digest] = entry[0], actor
        return actor, identifier

    def key_id(self, authorization: str) -> str:
        """Return the public id of the key in a header that `authenticate` took."""
        return key_id(authorization.partition(" ")[2].strip())

    def refresh(self) -> bool:
        """Ask the database once; return whether it answered."""
        try:
            ring = self._identity.key_ring()
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("the keys cannot be read: %s", type(error).__name__)
            if self._ring is None and (content := read_json(self._memory)) is not None:
                self._ring = KeyRing.from_json(content)
            return False
        if self._ring is None or ring.keys != self._ring.keys:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._memory, ring.to_json())
            self._ring = ring
        return True
