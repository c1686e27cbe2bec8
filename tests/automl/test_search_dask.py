"""Fits on a Dask cluster: the models of this machine, whoever makes them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from automl.control import FitControl, StopFittingError, Supervisor
from automl.families import make_family
from automl.families.interface import TrainingData
from automl.race import Race
from automl.search_dask import ClusterFits, open_cluster
from automl.spec import TrainSpec
from automl.split import grouped_folds, make_split
from automl.training import train
from core.errors import ConfigurationError
from core.progress import SilentProgress

distributed = pytest.importorskip("distributed", reason="Dask is an extra that is not installed")

FAMILIES = ["logistic", "lightgbm", "forest", "catboost"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with open_cluster(cluster.scheduler_address) as client:
        yield client


def data_of(world: Callable[..., Any], n: int = 800) -> tuple[TrainingData, np.ndarray]:
    matrix, labels = world(n)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    return data, grouped_folds(data.y, data.entities, 3, 1)


def test_a_training_on_the_cluster_makes_the_model_of_this_machine(world: Callable[..., Any], client: Any) -> None:
    matrix, labels = world(500, by_time=True)
    spec = TrainSpec(n_trials=1, families=FAMILIES, folds=3, bootstrap_draws=50, ensemble=False)
    split = make_split(labels, spec)
    there = train(matrix, labels, split, spec, cluster=client)
    here = train(matrix, labels, split, spec)
    assert there.fingerprint == here.fingerprint
    assert [trial.fold_values for trial in there.trials] == [trial.fold_values for trial in here.trials]
    assert {trial.state for trial in there.trials} == {"complete"}


def test_a_fit_that_is_no_longer_wanted_ends_on_its_worker(world: Callable[..., Any], client: Any) -> None:
    data, folds = data_of(world, 20_000)
    control = FitControl()
    params = {**make_family("lightgbm").defaults(data)[1], "learning_rate": 0.001, "num_leaves": 200}
    with ClusterFits(client, data, folds, 1) as fits:
        threading.Timer(1.0, control.stop.set).start()
        with pytest.raises(StopFittingError):
            fits.job("lightgbm", params, 0, 100_000)(control)
        ends = time.monotonic() + 20
        while any(client.processing().values()) and time.monotonic() < ends:
            time.sleep(0.1)
        assert not any(client.processing().values())


def test_a_fit_whose_time_is_up_returns_what_it_has(world: Callable[..., Any], client: Any) -> None:
    data, folds = data_of(world, 20_000)
    params = {**make_family("lightgbm").defaults(data)[1], "learning_rate": 0.001, "num_leaves": 200}
    with ClusterFits(client, data, folds, 1) as fits:
        fit = fits.job("lightgbm", params, 0, None)(FitControl(deadline=time.monotonic() + 2))
    assert fit.is_cut_short
    assert fit.margin.shape == ((folds == 0).sum(),)


def test_a_fit_survives_its_worker(world: Callable[..., Any], client: Any) -> None:
    data, folds = data_of(world, 20_000)
    params = {**make_family("lightgbm").defaults(data)[1], "num_leaves": 100}
    with ClusterFits(client, data, folds, 1) as fits:
        expected = fits.job("lightgbm", params, 0, 60)(FitControl())
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.append(fits.job("lightgbm", params, 0, 60)(FitControl())))
        waiting.start()
        ends = time.monotonic() + 20
        busy: list[str] = []
        while not busy and time.monotonic() < ends:
            busy = [address for address, tasks in client.processing().items() if tasks]
        pids = client.run(os.getpid)
        os.kill(pids[busy[0]], signal.SIGKILL)
        waiting.join(60)
    assert found
    assert np.array_equal(found[0].margin, expected.margin)


def test_what_a_fit_raises_fails_its_trial_only(world: Callable[..., Any], client: Any) -> None:
    data, folds = data_of(world)
    spec = TrainSpec(n_trials=1, folds=3)
    with ClusterFits(client, data, folds, 1) as fits:
        supervisor = Supervisor(SilentProgress(), 2)
        race = Race([make_family("lightgbm")], data, folds, spec, supervisor, cluster=fits)
        search = race.searches[0]
        record = search._try(0, {**search.family.defaults(data)[0], "learning_rate": "fast"})
    assert record.state == "failed"
    assert "fast" in record.message


def test_nobody_answers(world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.search_dask._CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigurationError, match="no Dask scheduler answers"), open_cluster("tcp://127.0.0.1:9"):
        pass


def test_a_worker_with_another_version_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.search_dask.version", lambda _: "0.0.1")
    with pytest.raises(ConfigurationError, match=r"here is 0\.0\.1"), open_cluster(cluster.scheduler_address):
        pass


def test_a_cluster_without_workers_is_refused() -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ConfigurationError, match="no worker"),
        open_cluster(empty.scheduler_address),
    ):
        pass
