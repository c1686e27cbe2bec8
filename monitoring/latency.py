"""Times to answer as counts on a fixed logarithmic scale, which add up over processes and moments."""

import math
from collections.abc import Mapping
from typing import Final

__all__ = ["bucket_of", "percentile"]

_LEAST_SECONDS: Final = 1e-4
_RATIO: Final = 1.1
_LAST: Final = 150
_STEP: Final = math.log(_RATIO)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a time: each is a tenth wider than the one before, from 0.1 ms to about 160 s.

    Examples
    --------
    >>> bucket_of(0.0), bucket_of(0.0123), bucket_of(1e9)
    (0, 51, 150)
    """
    return 0 if seconds <= _LEAST_SECONDS else min(1 + int(math.log(seconds / _LEAST_SECONDS) / _STEP), _LAST)


def percentile(counts: Mapping[int, int], ratio: float) -> float | None:
    """Return the seconds within which a part of the answers came, true to 5 percent; None where there are none.

    Parameters
    ----------
    counts : mapping of int to int
        Answers by bucket.
    ratio : float
        The part, such as 0.99.

    Examples
    --------
    >>> percentile({bucket_of(0.010): 99, bucket_of(2.0): 1}, 0.99)
    0.01017525332185665
    >>> percentile({}, 0.5) is None
    True
    """
    total = sum(counts.values())
    if total == 0:
        return None
    wanted, seen = max(math.ceil(ratio * total), 1), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return _middle(bucket)
    raise ValueError("counts that are not whole numbers")


def _middle(bucket: int) -> float:
    return _LEAST_SECONDS * (_RATIO ** (bucket - 0.5) if bucket else 1.0)
