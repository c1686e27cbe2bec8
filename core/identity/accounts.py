"""Users and keys in the database: made, changed, recognised, withdrawn, each time with a line in the audit trail."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError as RowExistsError

from core.audit import AuditTrail
from core.database import Database
from core.database.rows import insert_missing
from core.errors import AuthenticationError, ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.i18n import LANGUAGES, msg
from core.identity.actor import PERMISSIONS, ROLES, SYSTEM, Actor
from core.identity.keys import ApiKey, KeyRing, hash_secret, key_id, new_secret
from core.identity.passwords import check_password, hash_password, is_outdated, verify_password
from core.tables import api_key, login_failure, user_account

__all__ = ["Identity", "User"]

_NAME = re.compile(r"[\w.@-]{1,64}")
_MAX_FAILURES = 5
_LOCK = timedelta(minutes=15)


@dataclass(frozen=True)
class User:
    """A person's account; never the password."""

    name: str
    roles: frozenset[str]
    language: str
    is_active: bool
    created_at: datetime
    created_by: str


class Identity:
    """The accounts and keys of one database.

    Parameters
    ----------
    database : Database
        Migrated.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.audit = AuditTrail(database)

    def create_user(
        self, name: str, password: str, roles: Iterable[str], language: str = "en", *, by: Actor | None
    ) -> User:
        """Make an account.

        Parameters
        ----------
        name : str
            1 to 64 letters, digits or ``. _ @ -``.
        password : str
            At least 8 characters.
        roles : iterable of str
            Keys of `ROLES`.
        language : {"en", "zh"}
            What the person reads.
        by : Actor or None
            Who makes it, with the permission ``user.manage``. None makes the very first account and no other.

        Raises
        ------
        InputError, ConflictError, PermissionDeniedError
        """
        _check_name(name)
        _check_language(language)
        granted = _checked(roles, frozenset(ROLES), "role")
        check_password(password, name)
        password_hash = hash_password(password)
        if by is not None:
            by.require("user.manage")
        maker = by.name if by is not None else name
        user = User(name, granted, language, is_active=True, created_at=datetime.now(UTC), created_by=maker)
        with self.database.begin() as connection:
            if by is None and _n_users(connection):
                raise PermissionDeniedError(msg("only the first account is made by nobody"))
            _insert_user(connection, user, password_hash)
            self._record(connection, maker, "user.create", name, {"roles": sorted(granted)})
        return user

    def users(self) -> list[User]:
        """Return all accounts by name."""
        with self.database.connect() as connection:
            return [_user(row) for row in connection.execute(select(user_account).order_by(user_account.c.name))]

    def actor(self, name: str) -> Actor:
        """Return who `name` is, without asking for a password (for work that was started under that name).

        Raises
        ------
        NotFoundError
            Where there is no such active account.
        """
        if name == SYSTEM.name:
            return SYSTEM
        with self.database.connect() as connection:
            row = _row(connection, name)
        if row is None or not row.is_active:
            raise NotFoundError(msg("there is no active user {name}", name=name))
        return _actor(row)

    def authenticate(self, name: str, password: str) -> Actor:
        """Return who comes with `name` and `password`.

        After five failures in a row a name is refused for 15 minutes, known or not. The attempt is counted before the
        password is looked at, so that many attempts at once are not more attempts.

        Raises
        ------
        AuthenticationError
            The same in words and in time for an unknown name, a wrong password and a locked or closed account.
        """
        name = name.strip()
        is_admitted = self._count_attempt(name)
        with self.database.connect() as connection:
            row = _row(connection, name)
        is_right = verify_password(row.password_hash if row is not None else None, password)
        if row is None or not (is_admitted and is_right and row.is_active):
            self._refuse_login(row, is_admitted=is_admitted)
        with self.database.begin() as connection:
            connection.execute(delete(login_failure).where(login_failure.c.name_hash == _name_hash(name)))
            if is_outdated(row.password_hash):
                _change(connection, name, {"password_hash": hash_password(password)})
            self._record(connection, name, "user.login", name, {})
        return _actor(row)

    def set_password(self, name: str, password: str, *, by: Actor) -> None:
        """Change a password, one's own or (with ``user.manage``) another's; it also lifts the lock."""
        if by.name != name or by.scopes is not None:
            by.require("user.manage")
        check_password(password, name)
        self._change_user(name, {"password_hash": hash_password(password)}, "user.set_password", {}, by)

    def set_language(self, name: str, language: str, *, by: Actor) -> None:
        """Change what a person reads, one's own or (with ``user.manage``) another's."""
        if by.name != name:
            by.require("user.manage")
        _check_language(language)
        self._change_user(name, {"language": language}, "user.set_language", {"language": language}, by)

    def set_roles(self, name: str, roles: Iterable[str], *, by: Actor) -> None:
        """Change what a person may do. The last administrator stays one."""
        by.require("user.manage")
        granted = sorted(_checked(roles, frozenset(ROLES), "role"))
        self._change_user(name, {"roles": granted}, "user.set_roles", {"roles": granted}, by)

    def set_active(self, name: str, is_active: bool, *, by: Actor) -> None:
        """Close an account, and with it every key it owns, or open it again. The last administrator's stays open."""
        by.require("user.manage")
        self._change_user(name, {"is_active": is_active}, "user.set_active", {"is_active": is_active}, by)

    def create_key(
        self, owner: str, scopes: Iterable[str], expires_at: datetime | None = None, *, by: Actor
    ) -> tuple[ApiKey, str]:
        """Make an API key.

        Parameters
        ----------
        owner : str
            Business system or user who answers for it; closing a user's account closes the key.
        scopes : iterable of str
            From `PERMISSIONS`; all that the key allows.
        expires_at : datetime, optional
            Aware.
        by : Actor
            With the permission ``user.manage``.

        Returns
        -------
        tuple of (ApiKey, str)
            The key, and its secret, which is kept nowhere.
        """
        by.require("user.manage")
        _check_name(owner)
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise InputError(msg("a key must end in the future"), where="expires_at")
        identifier, secret = new_secret()
        key = ApiKey(identifier, owner, _checked(scopes, PERMISSIONS, "scope"), now, by.name, expires_at)
        with self.database.begin() as connection:
            connection.execute(insert(api_key).values(**_key_values(key), secret_hash=hash_secret(secret)))
            self._record(connection, by.name, "key.create", identifier, {"owner": owner, "scopes": sorted(key.scopes)})
        return key, secret

    def keys(self) -> list[ApiKey]:
        """Return all keys, the newest first."""
        with self.database.connect() as connection:
            rows = connection.execute(select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.id))
            return [_key(row) for row in rows]

    def revoke_key(self, key_id: str, *, by: Actor) -> None:
        """Withdraw a key at once and for ever; withdrawing it again changes nothing."""
        by.require("user.manage")
        with self.database.begin() as connection:
            row = connection.execute(select(api_key).where(api_key.c.id == key_id)).one_or_none()
            if row is None:
                raise NotFoundError(msg("there is no API key {key}", key=key_id))
            if row.revoked_at is None:
                now = datetime.now(UTC)
                connection.execute(update(api_key).where(api_key.c.id == key_id).values(revoked_at=now))
                self._record(connection, by.name, "key.revoke", key_id, {"owner": row.owner})

    def authenticate_key(self, secret: str) -> Actor:
        """Return whom an API key belongs to, with its scopes as permissions.

        Raises
        ------
        AuthenticationError
            The same for an unknown, a wrong, a withdrawn and an expired key, and one whose owner's account is closed.
        """
        return self.key_ring(key_id(secret)).authenticate(secret)

    def key_ring(self, only_id: str | None = None) -> KeyRing:
        """Return the keys that are not withdrawn, for a service that must know its callers without the database."""
        closed = select(user_account.c.name).where(user_account.c.is_active.is_(False))
        query = select(api_key).where(api_key.c.revoked_at.is_(None), api_key.c.owner.not_in(closed))
        if only_id is not None:
            query = query.where(api_key.c.id == only_id)
        with self.database.connect() as connection:
            return KeyRing({row.id: (_key(row), row.secret_hash) for row in connection.execute(query)})

    def _count_attempt(self, name: str) -> bool:
        """Count an attempt to log in; return False where the name is locked now."""
        now = datetime.now(UTC)
        fresh = {"name_hash": _name_hash(name), "n_failures": 0, "last_failure_at": now}
        where = login_failure.c.name_hash == fresh["name_hash"]
        with self.database.begin() as connection:
            connection.execute(delete(login_failure).where(login_failure.c.last_failure_at < now - _LOCK))
            insert_missing(connection, login_failure, [fresh])
            row = connection.execute(select(login_failure).where(where).with_for_update()).one()
            if row.n_failures >= _MAX_FAILURES:
                return False
            values = {"n_failures": row.n_failures + 1, "last_failure_at": now}
            connection.execute(update(login_failure).where(where).values(values))
        return True

    def _refuse_login(self, row: Row[Any] | None, *, is_admitted: bool) -> NoReturn:
        # An unknown name is not recorded: people type their password there.
        subject = row.name if row is not None else "(unknown)"
        with self.database.begin() as connection:
            self._record(connection, "anonymous", "user.login_refused", subject, {"locked": not is_admitted})
        raise AuthenticationError(
            msg("the name or the password is wrong, or the account is closed or locked"),
            fix=msg(
                "after {n} failures a name is locked for {minutes} minutes",
                n=_MAX_FAILURES,
                minutes=round(_LOCK.total_seconds() / 60),
            ),
        )

    def _change_user(self, name: str, values: dict[str, Any], action: str, details: dict[str, Any], by: Actor) -> None:
        with self.database.begin() as connection:
            _change(connection, name, values)
            if not _n_administrators(connection) and not ({"roles", "is_active"}.isdisjoint(values)):
                raise ConflictError(msg("somebody must stay administrator"), where=name)
            if "password_hash" in values:
                connection.execute(delete(login_failure).where(login_failure.c.name_hash == _name_hash(name)))
            self._record(connection, by.name, action, name, details)

    def _record(self, connection: Connection, actor: str, action: str, subject: str, details: dict[str, Any]) -> None:
        kind = action.partition(".")[0]
        self.audit.append(actor, action, f"{kind}:{subject}", details, connection=connection)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.casefold() in {SYSTEM.name, "anonymous"}:
        raise InputError(
            msg("{name} cannot be a name: use 1 to 64 letters, digits or . _ @ -", name=repr(name)), where="name"
        )


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise InputError(
            msg("language {language} is not known: use {known}", language=repr(language), known=", ".join(LANGUAGES)),
            where="language",
        )


def _checked(names: Iterable[str], known: frozenset[str], what: str) -> frozenset[str]:
    chosen = frozenset([names] if isinstance(names, str) else names)
    unknown = sorted(chosen - known)
    if unknown or not chosen:
        raise InputError(
            msg(
                "{got} is not usable here: use one or more of {known}",
                got=", ".join(unknown) or "–",
                known=", ".join(sorted(known)),
            ),
            where=what,
        )
    return chosen


def _name_hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _n_users(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(user_account)).scalar_one())


def _n_administrators(connection: Connection) -> int:
    roles = connection.execute(select(user_account.c.roles).where(user_account.c.is_active))
    return sum("admin" in granted for granted in roles.scalars())


def _row(connection: Connection, name: str) -> Row[Any] | None:
    if not _NAME.fullmatch(name):
        return None
    return connection.execute(select(user_account).where(user_account.c.name == name)).one_or_none()


def _insert_user(connection: Connection, user: User, password_hash: str) -> None:
    values = {
        "name": user.name,
        "roles": sorted(user.roles),
        "language": user.language,
        "is_active": user.is_active,
        "created_at": user.created_at,
        "created_by": user.created_by,
        "password_hash": password_hash,
    }
    try:
        connection.execute(insert(user_account).values(values))
    except RowExistsError as error:
        raise ConflictError(msg("there is a user {name} already", name=user.name)) from error


def _change(connection: Connection, name: str, values: dict[str, Any]) -> None:
    if not connection.execute(update(user_account).where(user_account.c.name == name).values(values)).rowcount:
        raise NotFoundError(msg("there is no user {name}", name=name))


def _user(row: Row[Any]) -> User:
    return User(row.name, frozenset(row.roles), row.language, row.is_active, row.created_at, row.created_by)


def _actor(row: Row[Any]) -> Actor:
    return Actor(row.name, frozenset(row.roles), row.language)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id, row.owner, frozenset(row.scopes), row.created_at, row.created_by, row.expires_at, row.revoked_at
    )


def _key_values(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
