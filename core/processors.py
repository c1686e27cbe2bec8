"""How many processors this process may use, which can be fewer than the machine has."""

import os

__all__ = ["usable_processors"]


def usable_processors() -> int:
    """Return the processors that the system lets this process run on; at least 1.

    Examples
    --------
    >>> 1 <= usable_processors() <= os.cpu_count()
    True
    """
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
