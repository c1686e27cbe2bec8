"""On a Dask cluster: the same bits as in memory, from Parquet partitioned by entity."""

import numpy as np
import pytest

from core.errors import CancelledError, NotFoundError
from core.progress import CallbackProgress
from features.matrix import FeatureMatrix, build_matrix
from features.planning import make_plan
from tests.features.test_engine import asked, definitions
from tests.features.test_peers import all_statistics, plan_of, random_world
from tests.features.test_peers import asked as asked_of_firms
from tests.features.test_streaming import two_parents
from tests.features.worlds import Recipe, make_world

distributed = pytest.importorskip("distributed", reason="Dask is an extra that is not installed")


@pytest.fixture(scope="module")
def client():
    from features.scale_dask import local_cluster

    with local_cluster(2) as client:
        yield client


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    world = make_world(Recipe(seed=9, n_firms=50, n_applications=150, n_loans=300, n_payments=2_500, late=True))
    folder = tmp_path_factory.mktemp("tables") / "world"
    world.save(folder)
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    return folder, plan, keys, cutoffs, build_matrix(world, plan, keys, cutoffs).values


def test_two_workers_give_the_bits_of_memory(client, case, tmp_path):
    folder, plan, keys, cutoffs, expected = case
    assert len(client.nthreads()) == 2
    told = []
    matrix = build_matrix(
        folder, plan, keys, cutoffs, engine="dask", client=client, temporary=tmp_path, folder=tmp_path / "matrix",
        progress=CallbackProgress(lambda share, _: told.append(share)),
    )  # fmt: skip
    assert matrix.values.tobytes() == expected.tobytes()
    assert FeatureMatrix.load(tmp_path / "matrix").values.tobytes() == expected.tobytes()
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["matrix"]


def test_two_chains_of_parents_give_the_bits_of_memory(client, tmp_path):
    world, plan = two_parents()
    world.save(tmp_path / "world")
    keys, cutoffs = world.frame("deal")["deal"].to_numpy(), world.frame("deal")["at"].to_numpy()
    values = build_matrix(tmp_path / "world", plan, keys, cutoffs, engine="dask", client=client).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_comparisons_with_peers_have_the_bits_of_memory(client, tmp_path):
    world = random_world(4, n_firms=80, n_sales=900, n_applications=60)
    world.save(tmp_path / "world")
    plan, (keys, cutoffs) = plan_of(world, all_statistics()), asked_of_firms(world)
    values = build_matrix(tmp_path / "world", plan, keys, cutoffs, engine="dask", client=client).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()
    assert np.isfinite(values).any(axis=0).all()


def test_an_unknown_key_and_a_cancel_reach_the_caller(client, case, tmp_path):
    folder, plan, _, cutoffs, _ = case
    with pytest.raises(NotFoundError, match="no history of 'a9999'"):
        build_matrix(folder, plan, np.array(["a9999"]), cutoffs[:1], engine="dask", client=client)

    def cancel(share, _):
        if share > 0.3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        build_matrix(
            folder, plan, *case[2:4], engine="dask", client=client, temporary=tmp_path,
            progress=CallbackProgress(cancel),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
