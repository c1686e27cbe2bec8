"""What one process answered another one finds, and nothing is believed that the log does not hold."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

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
