"""Signed session tokens: who signed in and since when, in a cookie that nobody else can write."""

import hashlib
import hmac
import time

__all__ = ["COOKIE", "LANGUAGE_COOKIE", "LANGUAGE_LIFETIME_SECONDS", "LIFETIME_SECONDS", "issue_token", "read_token"]

COOKIE = "workbench_session"
LANGUAGE_COOKIE = "workbench_language"
LANGUAGE_LIFETIME_SECONDS = 365 * 24 * 3600
LIFETIME_SECONDS = 12 * 3600


def issue_token(name: str, secret: str, *, now: float | None = None) -> str:
    """Return a token that says `name` signed in at `now` (seconds since 1970; the present where left out).

    Parameters
    ----------
    name : str
        The user's name.
    secret : str
        The installation's secret key.
    now : float, optional
        Time of signing in.

    Examples
    --------
    >>> read_token(issue_token("li", "s3cret"), "s3cret")
    'li'
    """
    issued = int(time.time() if now is None else now)
    body = f"{name.encode().hex()}.{issued}"
    return f"{body}.{_signature(body, secret)}"


def read_token(token: str | None, secret: str, *, now: float | None = None) -> str | None:
    """Return the name in `token`, or None where it is missing, forged, malformed or older than `LIFETIME_SECONDS`."""
    body, _, signature = (token or "").rpartition(".")
    if not body or not hmac.compare_digest(signature.encode(), _signature(body, secret).encode()):
        return None
    name, _, issued = body.partition(".")
    age_seconds = (time.time() if now is None else now) - int(issued)
    return bytes.fromhex(name).decode() if 0 <= age_seconds < LIFETIME_SECONDS else None


def _signature(body: str, secret: str) -> str:
    return hmac.new(secret.encode(), f"session:{body}".encode(), hashlib.sha256).hexdigest()
