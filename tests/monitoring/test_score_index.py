"""What one process answered another one finds, and nothing is believed that the log does not hold."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitoring.score_index import ScoreIndex, name_of
from monitoring.score_log import LOG_FILES, LocalScoreLog, ScoreRecord

P = "guarantee"


def record(request_id: str, slot: str = "champion") -> ScoreRecord:
    return ScoreRecord(
        request_id=request_id,
        project=P,
        slot=slot,
        version=1,
        bundle_hash="h",
        asked_at=datetime(2025, 1, 2, tzinfo=UTC),
        key="A1",
        cutoff=datetime(2025, 1, 1),  # noqa: DTZ001 - the data's own clock
        probability=0.1,
        score=600.0,
        grade="A",
        reasons=[],
        warnings=[{"code": "x", "text": "中文"}],
        features={"a": 1.0},
    )


def write(folder: Path, *records: ScoreRecord, index: ScoreIndex | None = None) -> None:
    with LocalScoreLog(folder, index=index) as log:
        waiting = [log.append_soon(one, name_of(one.project, one.request_id)) for one in records]
        for future in waiting:
            future.result()


def test_another_process_finds_what_was_written(tmp_path: Path) -> None:
    mine, other = ScoreIndex(tmp_path), ScoreIndex(tmp_path)
    written = [record(f"r{i}") for i in range(700)]
    write(tmp_path, *written, index=mine)
    found = other.find([(P, one.request_id) for one in written] + [(P, "r999"), ("other", "r1")])
    assert set(found) == {(P, one.request_id) for one in written}
    assert found[P, "r7"] == written[7]


def test_an_index_that_is_lost_or_damaged_is_made_anew_from_the_log(tmp_path: Path) -> None:
    write(tmp_path, record("r1"), record("r2", slot="challenger"))
    for content in (None, b"no database at all" * 100, "of another version"):
        for path in tmp_path.glob("index.db*"):
            path.unlink()
        if isinstance(content, bytes):
            (tmp_path / "index.db").write_bytes(content)
        elif content is not None:
            with sqlite3.connect(tmp_path / "index.db") as connection:
                connection.execute(
                    "CREATE TABLE answer (name BLOB PRIMARY KEY, file TEXT, start INTEGER, length INTEGER)"
                )
            connection.close()
        index = ScoreIndex(tmp_path)
        index.catch_up()
        assert set(index.find([(P, "r1"), (P, "r2")])) == {(P, "r1")}
        index.close()


def test_an_entry_whose_record_was_never_written_is_not_believed(tmp_path: Path) -> None:
    index = ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=index)
    (path,) = tmp_path.glob(LOG_FILES)
    size = path.stat().st_size
    index.note(path.name, size, [([name_of(P, "r2")], 300)])
    index.note("scores-never.jsonl", 0, [([name_of(P, "r3")], 300)])
    index.note(path.name, 0, [([name_of(P, "r4")], size)])
    assert index.find([(P, "r2"), (P, "r3"), (P, "r4")]) == {}
    assert set(index.find([(P, "r1")])) == {(P, "r1")}


def test_a_file_that_goes_takes_its_entries_along(tmp_path: Path) -> None:
    index = ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=index)
    (path,) = tmp_path.glob(LOG_FILES)
    index.forget(path)
    path.unlink()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (0,)
    connection.close()


def written(folder: Path) -> list[Path]:
    """Return the files that hold content; what processes share of them in memory is none."""
    return [path for path in folder.glob("index.db*") if not path.name.endswith("-shm")]


def overwrite(folder: Path) -> None:
    for path in written(folder):
        path.write_bytes(b"\xa5" * max(path.stat().st_size, 4_096))


def empty(folder: Path) -> None:
    for path in written(folder):
        path.write_bytes(b"")


def remove(folder: Path) -> None:
    for path in folder.glob("index*"):
        path.unlink()


def put_another_there(folder: Path) -> None:
    remove(folder)
    sqlite3.connect(folder / "index.db").execute("CREATE TABLE answer (name BLOB PRIMARY KEY)").connection.close()


DAMAGES: list[Callable[[Path], None]] = [overwrite, empty, remove, put_another_there]


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_is_damaged_while_it_is_used_is_made_anew_at_once_by_whoever_notices(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    mine, other = ScoreIndex(tmp_path), ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=mine)
    write(tmp_path, record("r2"), index=other)
    names = [(P, f"r{i}") for i in range(1, 6)]
    assert set(other.find(names)) == set(names[:2])
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    damage(tmp_path)
    write(tmp_path, record("r3"), index=mine)
    assert set(other.find(names)) == set(names[:3])
    write(tmp_path, record("r4"), index=other)
    assert set(mine.find(names)) == set(names[:4])
    write(tmp_path, record("r5"), index=mine)
    started_later = ScoreIndex(tmp_path)
    started_later.catch_up()
    for index in (mine, other, started_later):
        assert set(index.find(names)) == set(names)
        index.close()
    assert len([path for path in tmp_path.glob("index*") if path.suffix == ".db"]) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_appended_while_another_process_makes_the_index_anew_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    mine, other = ScoreIndex(tmp_path), ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=mine)
    note, calls = mine.note, []

    def note_and_lose(*what: Any) -> Any:
        noted = note(*what)
        if not calls:  # between the note and the append
            damage(tmp_path)
            assert set(other.find([(P, "r1"), (P, "r2")])) == {(P, "r1")}
        calls.append(what)
        return noted

    monkeypatch.setattr(mine, "note", note_and_lose)
    write(tmp_path, record("r2"), index=mine)
    assert len(calls) == 2
    assert set(other.find([(P, "r1"), (P, "r2")])) == {(P, "r1"), (P, "r2")}


def test_an_index_that_cannot_be_filled_again_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=index)
    remove(tmp_path)

    def fail(*_: Any) -> None:
        raise OSError("the log cannot be read")

    with monkeypatch.context() as away:
        away.setattr(ScoreIndex, "_catch_up_with", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="cannot be read"):
                index.find([(P, "r1")])
    assert set(index.find([(P, "r1")])) == {(P, "r1")}


def test_a_full_disk_or_a_busy_file_makes_no_index_anew(tmp_path: Path) -> None:
    index = ScoreIndex(tmp_path)
    write(tmp_path, record("r1"), index=index)
    before = (tmp_path / "index.db").stat().st_ino
    index._file.writer.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        index.note("scores-x.jsonl", 0, [([name_of(P, f"n{i}") for i in range(5_000)], 10)])
    index._file.writer.execute("PRAGMA busy_timeout = 10")
    with sqlite3.connect(tmp_path / "index.db", isolation_level=None) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            index.note("scores-x.jsonl", 0, [([name_of(P, "n1")], 10)])
        held.execute("ROLLBACK")
    held.close()
    assert (tmp_path / "index.db").stat().st_ino == before
    assert set(index.find([(P, "r1")])) == {(P, "r1")}
