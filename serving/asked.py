"""A request on its way: with the model that shall answer it, its id, and by what a repetition is known."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any, Final

import orjson

from serving.deployed import DeployedModel
from serving.request_form import ScoreRequest

__all__ = ["Asked", "content_hash", "new_request_id"]

_IDS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with the model that shall answer it, its id, the hash of its content and the language of its texts."""

    model: DeployedModel
    request: ScoreRequest
    request_id: str
    payload_hash: str
    language: str

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from every other request."""
        return self.request.project, self.request_id

    @property
    def is_named(self) -> bool:
        """Whether the caller named it, and so may repeat it."""
        return self.request.request_id is not None


def new_request_id() -> str:
    """Return an id for a request that came without: 32 digits by chance."""
    while True:
        try:
            return _IDS.pop()
        except IndexError:
            # Asked for one by one, noise costs a system call each, and the interpreter's turn with it.
            noise = os.urandom(16 * _IDS_AT_ONCE).hex()
            _IDS.extend(noise[place : place + 32] for place in range(0, len(noise), 32))


_IDS: list[str] = []
# A child must not give out the ids of its parent.
os.register_at_fork(after_in_child=_IDS.clear)


def content_hash(content: Any) -> str:
    """Return the SHA-256 of a request's content, whatever the order of its keys."""
    try:
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Integers beyond 64 bits are numbers of JSON too.
        canonical = repr(content).encode()
    return hashlib.sha256(canonical).hexdigest()
