"""The online snapshot: the bits of the batch by id, swapped in whole, dated, and read without pandas."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from core.errors import CancelledError, InputError, IntegrityError, NotFoundError, UnavailableError
from core.progress import CallbackProgress
from features.engine import EngineData, compute
from features.matrix import build_matrix
from features.online import OnlineSnapshot, SnapshotReader
from features.online_publishing import publish_snapshot
from features.planning import make_plan
from features.preparation import entity_rows
from tests.features.test_engine import asked, definitions
from tests.features.test_streaming import two_parents
from tests.features.worlds import Recipe, make_world

RECIPE = Recipe(seed=11, n_firms=30, n_applications=60, n_loans=200, n_payments=900, late=True, step_hours=1)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    world = make_world(RECIPE)
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    path = tmp_path_factory.mktemp("online") / "snapshot.db"
    publish_snapshot(world, path, [plan])
    return world, plan, keys, cutoffs, path


def values(plan, tables, key, cutoff):
    return compute(plan, EngineData.from_rows(plan, tables), np.array([key]), np.array([cutoff]))


def test_scoring_by_id_gives_the_bits_of_the_batch(case):
    world, plan, keys, cutoffs, path = case
    snapshot = OnlineSnapshot(path)
    matrix = build_matrix(world, plan, keys, cutoffs)
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        assert values(plan, snapshot.rows_of(plan, key), key, cutoff).tobytes() == matrix.values[row].tobytes()


def test_a_new_root_row_is_completed_from_the_snapshot_and_replaces_the_one_it_holds(case):
    world, plan, keys, cutoffs, path = case
    snapshot, key, cutoff = OnlineSnapshot(path), keys[3], cutoffs[3]
    mine = next(row for row in entity_rows(world, plan, key)["application"] if row["application_id"] == key)
    expected = values(plan, entity_rows(world, plan, key), key, cutoff)
    assert values(plan, snapshot.complete(plan, [mine]), key, cutoff).tobytes() == expected.tobytes()
    dearer = values(plan, snapshot.complete(plan, [{**mine, "amount": 7.0}]), key, cutoff)
    assert dearer[0, plan.positions["amount"]] == 7.0
    fresh = values(plan, snapshot.complete(plan, [{**mine, "application_id": "new"}]), "new", cutoff)
    count = plan.positions["firm__application__count"]
    assert fresh[0, count] == expected[0, count] + 1
    others = [number for number in range(len(plan.aliases)) if number != count]
    assert fresh[:, others].tobytes() == expected[:, others].tobytes()


def test_paths_through_one_table_on_several_links_are_followed(tmp_path):
    world, plan = two_parents()
    publish_snapshot(world, tmp_path / "s.db", [plan])
    deals = world.frame("deal")
    keys, cutoffs = deals["deal"].to_numpy(), deals["at"].to_numpy()
    matrix, snapshot = build_matrix(world, plan, keys, cutoffs), OnlineSnapshot(tmp_path / "s.db")
    for row in range(0, 400, 23):
        found = values(plan, snapshot.rows_of(plan, keys[row]), keys[row], cutoffs[row])
        assert found.tobytes() == matrix.values[row].tobytes()


def test_it_is_published_from_parquet_files_too(case, tmp_path):
    world, plan, keys, _, path = case
    world.save(tmp_path / "world")
    with pytest.raises(InputError, match="up to which moment"):
        publish_snapshot(tmp_path / "world", tmp_path / "s.db", [plan])
    publish_snapshot(tmp_path / "world", tmp_path / "s.db", [plan], as_of=np.datetime64("2024-05-31"))
    again = OnlineSnapshot(tmp_path / "s.db")
    assert again.as_of == np.datetime64("2024-05-31")
    assert all(again.rows_of(plan, key) == OnlineSnapshot(path).rows_of(plan, key) for key in keys[:5])


def test_it_says_how_far_its_data_reaches_and_when_it_was_made(case):
    world, _, _, _, path = case
    snapshot = OnlineSnapshot(path)
    assert snapshot.as_of == world.as_of.to_datetime64()
    assert abs(np.datetime64("now") - snapshot.published_at) < np.timedelta64(300, "s")
    assert set(snapshot.tables) == set(world.names)


def test_a_new_one_is_swapped_in_whole_under_readers(case, tmp_path):
    world, plan, keys, _, _ = case
    path = tmp_path / "s.db"
    publish_snapshot(world, path, [plan], as_of=np.datetime64("2024-01-01"))
    reader, seen, problems, done = SnapshotReader(path), set(), [], threading.Event()

    def read():
        while not done.is_set():
            try:
                snapshot = reader.current()
                snapshot.rows_of(plan, keys[0])
                seen.add(snapshot.as_of)
            except Exception as error:  # noqa: BLE001 - told below
                problems.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    old = reader.current()
    for day in ("2024-01-02", "2024-01-03"):
        publish_snapshot(world, path, [plan], as_of=np.datetime64(day))
        assert reader.current().as_of == np.datetime64(day)
    done.set()
    for thread in readers:
        thread.join()
    assert not problems
    assert old.rows_of(plan, keys[0]) == reader.current().rows_of(plan, keys[0])
    assert seen <= {np.datetime64(f"2024-01-0{day}") for day in (1, 2, 3)}


def test_a_cancel_leaves_the_old_one_and_nothing_else(case, tmp_path):
    world, plan, _, _, _ = case
    publish_snapshot(world, tmp_path / "s.db", [plan], as_of=np.datetime64("2024-01-01"))

    def cancel(share, _):
        if share > 0.3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        publish_snapshot(world, tmp_path / "s.db", [plan], progress=CallbackProgress(cancel))
    assert [path.name for path in tmp_path.iterdir()] == ["s.db"]
    assert OnlineSnapshot(tmp_path / "s.db").as_of == np.datetime64("2024-01-01")


def test_what_is_not_there_is_said(case, tmp_path):
    _, plan, _, _, path = case
    with pytest.raises(UnavailableError, match="no online snapshot"):
        SnapshotReader(tmp_path / "none.db").current()
    (tmp_path / "bad.db").write_bytes(b"this is not a snapshot" * 100)
    with pytest.raises(IntegrityError, match="not an online snapshot"):
        OnlineSnapshot(tmp_path / "bad.db")
    with pytest.raises(NotFoundError, match="no history of 'a9999'"):
        OnlineSnapshot(path).rows_of(plan, "a9999")
    world, other = two_parents()
    publish_snapshot(world, tmp_path / "s.db", [other])
    with pytest.raises(UnavailableError, match="published without"):
        OnlineSnapshot(tmp_path / "s.db").rows_of(plan, "a1")


def test_reading_needs_neither_pandas_nor_arrow_nor_duckdb():
    code = (
        "import sys; import features.online, features.engine; "
        "print([name for name in ('pandas', 'pyarrow', 'duckdb', 'featuretools') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
