"""OptBinning, imported where bins are fitted: it is slow, and one of its solver libraries speaks up at import."""

import logging

__all__ = ["OptimalBinning"]


def _is_never_shown(record: object) -> bool:  # noqa: ARG001 - the signature is logging's
    return False


# CVXPY reports on standard error that its HiGHS interface does not load beside ortools; OptBinning does not use it.
_logger = logging.getLogger("__cvxpy__")
_logger.addFilter(_is_never_shown)
try:
    from optbinning import OptimalBinning
finally:
    _logger.removeFilter(_is_never_shown)
