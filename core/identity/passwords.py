"""Passwords: what is accepted, and how they are kept (Argon2id with the parameters of RFC 9106, low memory)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import InputError
from core.i18n import msg

__all__ = ["check_password", "hash_password", "is_outdated", "verify_password"]

_MIN_CHARACTERS = 8
_MAX_CHARACTERS = 1024
_HASHER = PasswordHasher()


def check_password(password: str, name: str) -> None:
    """Refuse a password that is too short, too long, or the name itself.

    Raises
    ------
    InputError
        Never with the password in it.
    """
    if not _MIN_CHARACTERS <= len(password) <= _MAX_CHARACTERS:
        raise InputError(
            msg(
                "a password has {low} to {high} characters, this one has {n}",
                low=_MIN_CHARACTERS,
                high=_MAX_CHARACTERS,
                n=len(password),
            ),
            where="password",
        )
    if password.casefold() == name.casefold():
        raise InputError(msg("a password must differ from the name"), where="password")


def hash_password(password: str) -> str:
    """Return the Argon2id hash, parameters and salt included."""
    return _HASHER.hash(password)


def verify_password(stored_hash: str | None, password: str) -> bool:
    """Return whether `password` is the one behind `stored_hash`; None takes as long and is never right."""
    try:
        _HASHER.verify(stored_hash or _hash_of_nobody(), password[:_MAX_CHARACTERS].encode("utf-8", "replace"))
    except (VerificationError, InvalidHashError):
        return False
    return stored_hash is not None


def is_outdated(stored_hash: str) -> bool:
    """Return whether the hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(stored_hash)


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash("nobody has this password")
