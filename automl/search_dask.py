"""The fits of a search on a Dask cluster: a task for every fold, and the models that this machine would make."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

import numpy as np

from automl.control import FitControl, StopFittingError
from automl.families import make_family
from automl.families.interface import Family, FoldFit, TrainingData
from core.errors import ConfigurationError
from core.i18n import msg

__all__ = ["ClusterFits", "open_cluster"]

_PACKAGE: Final = "guarantee-workbench"
_CONNECT_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.2


@contextmanager
def open_cluster(address: str) -> Iterator[Any]:
    """Connect to the scheduler at `address`, such as ``tcp://scheduler:8786``, and yield the client.

    Raises
    ------
    ConfigurationError
        Nobody answers there, no worker is connected, or a worker has another version of this package.
    """
    import distributed

    connect: Any = distributed.Client  # untyped there
    try:
        client = connect(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            msg("no Dask scheduler answers at {address}", address=repr(address)),
            code="no_cluster",
            fix=msg("Start it, correct WORKBENCH_DASK_SCHEDULER, or leave that empty to train on this machine."),
        ) from error
    with client:
        _check_workers(client)
        yield client


def _check_workers(client: Any) -> None:
    here, there = version(_PACKAGE), client.run(_installed_version)
    if not there:
        raise ConfigurationError(msg("no worker is connected to the Dask scheduler"), code="no_cluster_workers")
    other = sorted({found for found in there.values() if found != here})
    if other:
        raise ConfigurationError(
            msg("a Dask worker has version {other} of this package; here is {here}", other=other[0], here=here),
            code="cluster_version",
            fix=msg("Install the same version on all machines."),
        )


def _installed_version() -> str:
    return version(_PACKAGE)


class ClusterFits:
    """Makes the fits of one training run on the workers of a cluster; use it as a context.

    A fit depends on its arguments alone, so that where it is made changes nothing. A task whose worker died is run
    again by the cluster.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    data : TrainingData
        The training rows; its number of threads is set anew, from what the cluster has.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row.
    seed : int
        Of the run.
    """

    def __init__(self, client: Any, data: TrainingData, folds: np.ndarray, seed: int) -> None:
        self._client = client
        from automl.search_worker import Rows

        threads = client.nthreads()
        self.n_slots: int = sum(threads.values())
        n_folds = int(folds.max()) + 1
        each = max(1, min(*threads.values(), self.n_slots // n_folds))
        self._run = f"rows-{uuid4().hex}"
        client.register_plugin(Rows(self._run, data.with_threads(each), folds, seed))

    def __enter__(self) -> "ClusterFits":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.unregister_worker_plugin(self._run)

    @staticmethod
    def can_make(family: Family) -> bool:
        """Whether the workers can make this family by its name; one that carries data of its own stays here."""
        return type(family).__module__ == type(make_family(family.name)).__module__

    def job(self, family: str, params: dict[str, Any], k: int, rounds: int | None) -> Callable[[FitControl], FoldFit]:
        """Return what makes the fit of fold `k` on the cluster while a thread here waits for it."""
        from automl.search_worker import fit_there

        def wait(control: FitControl) -> FoldFit:
            control.check()
            flags = f"fit-{uuid4().hex}"
            seconds = max(control.deadline - time.monotonic(), 0.0)
            task = self._client.submit(fit_there, self._run, family, params, k, rounds, seconds, flags, pure=False)
            try:
                return _await(self._client, task, control, flags)
            finally:
                task.release()

        return wait


def _await(client: Any, task: Any, control: FitControl, flags: str) -> FoldFit:
    """Return what the task makes; pass on what is asked of it meanwhile."""
    from automl.search_worker import flag

    stop, cut_short = flag(client, flags, "stop"), flag(client, flags, "cut")
    told = False
    while not task.done():
        if control.stop.wait(_POLL_SECONDS):
            stop.set()
            raise StopFittingError
        if not told and control.is_over():
            cut_short.set()
            told = True
    fit: FoldFit = task.result()
    return fit
