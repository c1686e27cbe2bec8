"""One row of a LightGBM model at a time, without what `lightgbm.Booster.predict` does for tables of any kind."""

import ctypes
import weakref
from typing import Final

import lightgbm
import numpy as np
from lightgbm.basic import _LIB  # type: ignore[attr-defined]  # the library that is loaded already

__all__ = ["SingleRow"]

_RAW_SCORE, _FLOAT64 = 1, 1
# A row takes some ten microseconds: another thread that took the interpreter meanwhile would be waited for longer.
_HOLDING: Final = ctypes.PyDLL(_LIB._name)  # noqa: SLF001 - where the library was found
_PARAMETERS: Final = b"num_threads=1"


class SingleRow:
    """Log-odds of single rows, prepared once (``LGBM_BoosterPredictForMatSingleRowFast``). Safe for several threads.

    Parameters
    ----------
    booster : lightgbm.Booster
        The model; it is kept.
    n_features : int
        Its features.

    Raises
    ------
    lightgbm.basic.LightGBMError
        If the library refuses.
    """

    def __init__(self, booster: lightgbm.Booster, n_features: int) -> None:
        self._booster = booster
        self._config = ctypes.c_void_p()
        _check(
            _HOLDING.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,  # noqa: SLF001 - the library's functions take nothing else
                ctypes.c_int(_RAW_SCORE), ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(_FLOAT64),
                ctypes.c_int32(n_features), ctypes.c_char_p(_PARAMETERS), ctypes.byref(self._config),
            )
        )  # fmt: skip
        self._free = weakref.finalize(self, _HOLDING.LGBM_FastConfigFree, self._config)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of the row `X`, shape (1, n_features), C-contiguous float64; shape (1,)."""
        found, length = ctypes.c_double(), ctypes.c_int64()
        _check(
            _HOLDING.LGBM_BoosterPredictForMatSingleRowFast(
                self._config, ctypes.c_void_p(X.ctypes.data), ctypes.byref(length), ctypes.byref(found)
            )
        )
        return np.array([found.value])


def _check(code: int) -> None:
    if code != 0:
        _LIB.LGBM_GetLastError.restype = ctypes.c_char_p
        raise lightgbm.basic.LightGBMError(_LIB.LGBM_GetLastError().decode())
