"""Every place of online snapshots: what is read by id has the bits of the batch, and a swap is whole."""

import threading

import numpy as np
import pytest

from core.errors import CancelledError, InputError, NotFoundError, UnavailableError
from core.progress import CallbackProgress
from features.engine import EngineData, compute
from features.matrix import build_matrix
from features.online import SnapshotAbout, unknown_parents
from features.online_file import FilePlace
from features.online_postgresql import PostgreSQLPlace
from features.online_publishing import publish_snapshot
from features.planning import make_plan
from features.preparation import entity_rows
from tests.features.test_engine import asked, definitions
from tests.features.test_streaming import two_parents
from tests.features.worlds import Recipe, make_world

RECIPE = Recipe(seed=11, n_firms=30, n_applications=60, n_loans=200, n_payments=900, late=True, step_hours=1)


@pytest.fixture(scope="module")
def case():
    world = make_world(RECIPE)
    keys, cutoffs = asked(world)
    return (
        world,
        make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs),
        keys,
        cutoffs,
    )


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def place(request, tmp_path):
    if request.param == "file":
        return FilePlace(tmp_path / "online" / "snapshot.db")
    return PostgreSQLPlace(request.getfixturevalue("postgresql_url"), "guarantee")


@pytest.fixture
def reader(place):
    reader = place.reader()
    yield reader
    reader.close()


def values(plan, tables, key, cutoff):
    return compute(plan, EngineData.from_rows(plan, tables), np.array([key]), np.array([cutoff]))


def test_scoring_by_id_gives_the_bits_of_the_batch(case, place, reader):
    world, plan, keys, cutoffs = case
    publish_snapshot(world, place, [plan])
    snapshot = reader.current()
    matrix = build_matrix(world, plan, keys, cutoffs)
    for row, (key, cutoff) in enumerate(zip(keys, cutoffs, strict=True)):
        assert values(plan, snapshot.rows_of(plan, key), key, cutoff).tobytes() == matrix.values[row].tobytes()


def test_many_ids_together_give_the_bits_of_each_alone(case, place, reader):
    world, plan, keys, cutoffs = case
    publish_snapshot(world, place, [plan])
    tables, found = reader.current().rows_of_each(plan, [*keys, "nobody"])
    assert found == set(keys)
    together = compute(plan, EngineData.from_rows(plan, tables), keys, cutoffs)
    assert together.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_a_new_root_row_is_completed_from_the_snapshot_and_replaces_the_one_it_holds(case, place, reader):
    world, plan, keys, cutoffs = case
    publish_snapshot(world, place, [plan])
    snapshot, key, cutoff = reader.current(), keys[3], cutoffs[3]
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


def test_a_parent_that_is_not_known_is_told(case, place, reader):
    world, plan, keys, _ = case
    publish_snapshot(world, place, [plan])
    mine = next(row for row in entity_rows(world, plan, keys[3])["application"] if row["application_id"] == keys[3])
    for row, expected in (
        (mine, []),
        ({**mine, "firm_id": "nobody"}, [("firm_id", True)]),
        ({**mine, "firm_id": None}, []),
    ):
        assert list(unknown_parents(plan, reader.current().complete(plan, [row]), row)) == expected


def test_paths_through_one_table_on_several_links_are_followed(place, reader):
    world, plan = two_parents()
    publish_snapshot(world, place, [plan])
    deals = world.frame("deal")
    keys, cutoffs = deals["deal"].to_numpy(), deals["at"].to_numpy()
    matrix, snapshot = build_matrix(world, plan, keys, cutoffs), reader.current()
    for row in range(0, 400, 23):
        found = values(plan, snapshot.rows_of(plan, keys[row]), keys[row], cutoffs[row])
        assert found.tobytes() == matrix.values[row].tobytes()


def test_it_is_published_from_parquet_files_too(case, place, reader, tmp_path):
    world, plan, keys, _ = case
    publish_snapshot(world, place, [plan])
    before = [reader.current().rows_of(plan, key) for key in keys[:5]]
    world.save(tmp_path / "world")
    with pytest.raises(InputError, match="up to which moment"):
        publish_snapshot(tmp_path / "world", place, [plan])
    publish_snapshot(tmp_path / "world", place, [plan], as_of=np.datetime64("2024-05-31"), data_fingerprint="f")
    again = reader.current()
    assert (again.as_of, again.about.data_fingerprint) == (np.datetime64("2024-05-31"), "f")
    assert [again.rows_of(plan, key) for key in keys[:5]] == before


def test_it_says_how_far_its_data_reaches_when_it_was_made_and_what_is_in_it(case, place, reader):
    world, plan, _, _ = case
    told = publish_snapshot(world, place, [plan])
    snapshot = reader.current()
    assert snapshot.as_of == world.as_of.to_datetime64()
    assert abs(np.datetime64("now") - snapshot.published_at) < np.timedelta64(300, "s")
    assert set(snapshot.tables) == set(plan.tables)
    assert snapshot.about.n_rows == {name: len(world.frame(name)) for name in plan.tables}
    assert snapshot.about == told == SnapshotAbout.from_json(told.to_json())
    assert reader.size_bytes() > 10_000


def test_a_new_one_is_swapped_in_whole_under_readers(case, place, reader):
    world, plan, keys, _ = case
    publish_snapshot(world, place, [plan], as_of=np.datetime64("2024-01-01"))
    seen, problems, done = set(), [], threading.Event()

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
        publish_snapshot(world, place, [plan], as_of=np.datetime64(day))
        assert reader.current().as_of == np.datetime64(day)
    done.set()
    for thread in readers:
        thread.join()
    assert not problems
    assert old.rows_of(plan, keys[0]) == reader.current().rows_of(plan, keys[0])
    assert seen <= {np.datetime64(f"2024-01-0{day}") for day in (1, 2, 3)}


def test_two_that_are_published_at_once_are_each_whole(case, place, reader):
    world, plan, keys, _ = case
    publish_snapshot(world, place, [plan])
    problems = []

    def publish(day):
        try:
            publish_snapshot(world, place, [plan], as_of=np.datetime64(day))
        except Exception as error:  # noqa: BLE001 - told below
            problems.append(error)

    threads = [threading.Thread(target=publish, args=(f"2024-02-0{day}",)) for day in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert reader.current().as_of in {np.datetime64("2024-02-01"), np.datetime64("2024-02-02")}
    assert reader.current().rows_of(plan, keys[0])


def test_a_cancel_leaves_the_old_one(case, place, reader):
    world, plan, _, _ = case
    publish_snapshot(world, place, [plan], as_of=np.datetime64("2024-01-01"))

    def cancel(share, _):
        if share > 0.3:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        publish_snapshot(world, place, [plan], progress=CallbackProgress(cancel))
    assert reader.current().as_of == np.datetime64("2024-01-01")


def test_what_is_not_there_is_said(case, place, reader):
    world, plan, _, _ = case
    with pytest.raises(UnavailableError, match="no online snapshot") as missing:
        reader.current()
    assert missing.value.code == "no_snapshot"
    publish_snapshot(world, place, [plan])
    with pytest.raises(NotFoundError, match="no history of 'a9999'"):
        reader.current().rows_of(plan, "a9999")


def test_a_plan_it_was_not_published_for_is_refused_whole_never_answered_with_nulls(case, place, reader):
    world, plan, keys, _ = case
    narrow = plan.select([alias for alias in plan.aliases if "payment" not in alias])
    publish_snapshot(world, place, [narrow])
    assert reader.current().rows_of(narrow, keys[0])
    with pytest.raises(UnavailableError, match="published without") as refused:
        reader.current().rows_of(plan, keys[0])
    assert refused.value.code == "no_snapshot"
    other_world, other = two_parents()
    publish_snapshot(other_world, place, [other])
    with pytest.raises(UnavailableError, match="published without"):
        reader.current().complete(plan, [{"application_id": "a1"}])


def test_a_key_with_a_character_of_code_0_is_refused(place):
    world, plan = two_parents()
    deals = world.frame("deal").copy()
    deals.loc[0, "deal"] = "a\x00b"
    spoilt = type(world)(
        {**world.tables, "deal": type(world.tables["deal"])(world.spec("deal"), deals)}, world.data_model
    )
    with pytest.raises(InputError, match="code 0"):
        publish_snapshot(spoilt, place, [plan])
