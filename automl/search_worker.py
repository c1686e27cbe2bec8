"""The side of a Dask worker: the rows of a run, and the fits of its folds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from distributed import Event, WorkerPlugin, get_client
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from automl.control import FitControl
from automl.families import make_family
from automl.families.interface import Family, FoldFit, TrainingData
from automl.fold_fits import fold_fit

__all__ = ["Rows", "fit_there", "flag"]

_LISTEN_SECONDS: Final = 0.5
_ROWS: "dict[str, Rows]" = {}


class Rows(WorkerPlugin):
    """What all fits of one run share. As a plugin it reaches workers that come later, too, and leaves with the run.

    Parameters
    ----------
    name : str
        Of the run.
    data : TrainingData
        The training rows.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row.
    seed : int
        Of the run.
    """

    def __init__(self, name: str, data: TrainingData, folds: np.ndarray, seed: int) -> None:
        self.name = name
        self.data = data
        self.folds = folds
        self.seed = seed

    def setup(self, worker: Any) -> None:  # noqa: ARG002  # the plugin's signature
        """Keep the rows in this process."""
        self._families: dict[str, Family] = {}
        self._lock = threading.Lock()
        _ROWS[self.name] = self

    def teardown(self, worker: Any) -> None:  # noqa: ARG002  # the plugin's signature
        """Let them go."""
        _ROWS.pop(self.name, None)

    def family(self, name: str) -> Family:
        """Return the family, prepared once in this process."""
        with self._lock:
            if name not in self._families:
                family = make_family(name)
                family.prepare(self.data)
                self._families[name] = family
            return self._families[name]


def fit_there(
    run: str, family: str, params: dict[str, Any], k: int, rounds: int | None, seconds: float, flags: str
) -> FoldFit:
    """Make the fit of fold `k`; `seconds` are left, and the events named after `flags` may end it sooner."""
    rows = _ROWS[run]
    control = FitControl(deadline=time.monotonic() + seconds)
    with _listening(get_client(), control, flags), threadpool_limits(limits=1, user_api="blas"):
        maker = rows.family(family)
        return fold_fit(maker, rows.data, rows.folds, k, params, seed=rows.seed, control=control, rounds=rounds)


def flag(client: Any, flags: str, name: str) -> Any:
    """Return the event of the cluster that asks a fit for something: ``"stop"`` or ``"cut"``."""
    return Event(f"{flags}-{name}", client=client)  # type: ignore[no-untyped-call]


@contextmanager
def _listening(client: Any, control: FitControl, flags: str) -> Iterator[None]:
    """Let a thread carry the flags of the cluster over to `control` while a fit runs."""
    done = threading.Event()
    pairs = [(flag(client, flags, "stop"), control.stop), (flag(client, flags, "cut"), control.cut_short)]

    def carry() -> None:
        while not done.wait(_LISTEN_SECONDS):
            for there, here in pairs:
                if there.is_set():
                    here.set()

    thread = threading.Thread(target=carry, name="fit-flags", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
