"""SHA-256 fingerprints of values, arrays and files: equal content, equal name."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["canonical_json", "fingerprint_array", "fingerprint_file", "fingerprint_json"]

_BLOCK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Return `value` as JSON bytes that depend on its content only (sorted keys, no blanks, UTF-8).

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [1.5, None]})
    b'{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def fingerprint_array(array: "np.ndarray") -> str:
    """Return the SHA-256 of an array's shape, type and bytes (object arrays: of their JSON)."""
    digest = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    if array.dtype == object:
        content = json.dumps(array.ravel().tolist(), ensure_ascii=False, default=str)
        digest.update(content.encode("utf-8", "surrogatepass"))
    else:
        digest.update(array.tobytes())
    return digest.hexdigest()


def fingerprint_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
