"""Who is let in: a known caller, allowed to ask, within the rate of the key."""

from fastapi import Request

from core.identity import Actor
from serving.service import ScoringService

__all__ = ["admit"]


def admit(service: ScoringService, request: Request, permission: str = "model.score") -> Actor:
    """Return the caller of a request.

    Raises
    ------
    AuthenticationError, PermissionDeniedError, TooManyRequestsError
        The caller is not known, may not do `permission`, or sends too fast.
    """
    caller, key_id = service.callers.recognise(request.headers.get("authorization", ""))
    request.state.caller = caller.name
    caller.require(permission)
    service.rate.take(key_id)
    return caller
