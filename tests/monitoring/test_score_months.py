"""The database's part of the score log: months of their own, blocks beside rows, each record once."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from core.database import Database
from core.database.migration import downgrade, upgrade
from monitoring.log_files import LOG_FILES
from monitoring.score_block import ScoreBlock, blocks_of
from monitoring.score_log import (
    LocalScoreLog,
    ScoreRecord,
    count_scores,
    latest_scores,
    read_scores,
    ship,
    write_scores,
)
from monitoring.score_months import bounds_of, drop_month, lock_log, month_of, month_table, months_of
from monitoring.tables import score_block, score_record
from tests.monitoring.test_score_log import NOON, record

_ids = (f"b{number}" for number in count())


def block(first: int, n: int = 5, **changes: object) -> ScoreBlock:
    asked_at = changes.pop("asked_at", NOON)
    records = [record(first + i, asked_at=asked_at, **changes) for i in range(n)]
    (made,), rest = blocks_of(records, [False] * n, _ids)
    assert rest == []
    return made


def months(database: Database) -> list[str]:
    with database.connect() as connection:
        return months_of(connection)


def test_each_record_lies_in_the_month_of_its_asking_in_utc(database: Database) -> None:
    last = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    first = datetime.fromisoformat("2026-04-01T08:00:00+08:00")
    write_scores(database, [record(1, asked_at=last), record(2, asked_at=first)], [block(10, asked_at=last)])
    assert months(database) == ["2026_04", "2026_03"]
    with database.connect() as connection:
        march, april = (month_table(score_record, month) for month in ("2026_03", "2026_04"))
        assert connection.execute(sa.select(march.c.request_id)).scalars().all() == ["r1"]
        assert connection.execute(sa.select(april.c.request_id, april.c.asked_at)).all() == [("r2", first)]
        blocks = month_table(score_block, "2026_03")
        assert connection.execute(sa.select(blocks.c.n_rows)).scalars().all() == [5]


@pytest.mark.parametrize("moment", [datetime(1970, 1, 1), datetime(999, 12, 31), datetime(2100, 2, 28)])  # noqa: DTZ001
def test_bounds_hold_the_moments_of_their_month(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    start, end = bounds_of(month_of(aware))
    assert start <= aware < end and (start.day, end.day, start.hour) == (1, 1, 0)


def test_the_first_record_of_a_request_id_stays_whatever_month_the_second_comes_in(database: Database) -> None:
    early, late = record(1), record(1, asked_at=NOON + timedelta(days=70), score=1.0)
    assert write_scores(database, [late]) == 1
    assert write_scores(database, [early, record(2)]) == 1
    assert write_scores(database, [record(3), record(3, asked_at=NOON + timedelta(days=70)), early]) == 1
    assert [one.score for one in latest_scores(database, "guarantee")] == [1.0, 597.0, 598.0]


def test_postgresql_reads_the_months_as_partitions_and_skips_those_not_asked_for(postgresql_database: Database) -> None:
    write_scores(postgresql_database, [record(i, asked_at=NOON + timedelta(days=31 * i)) for i in range(4)])
    with postgresql_database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(score_record)).scalar_one() == 4
        period = "asked_at >= '2026-05-01+00' and asked_at < '2026-06-01+00'"
        query = f"explain select count(*) from score_record where {period}"
        plan = "\n".join(connection.exec_driver_sql(query).scalars())
    assert "score_record_2026_05" in plan and "score_record_2026_03" not in plan


def test_a_month_is_dropped_whole_and_made_anew_when_a_record_of_it_comes(database: Database) -> None:
    write_scores(database, [record(1), record(2, asked_at=NOON + timedelta(days=31))], [block(10)])
    with database.begin() as connection:
        lock_log(connection)
        drop_month(connection, "2026_03")
    assert months(database) == ["2026_04"]
    assert [one.request_id for one in latest_scores(database, "guarantee")] == ["r2"]
    assert write_scores(database, [record(1)]) == 1
    assert months(database) == ["2026_04", "2026_03"]


def test_blocks_are_shipped_once_as_blocks_and_named_ones_as_rows(tmp_path: Path, database: Database) -> None:
    named = ScoreBlock(**{**vars(block(50)), "is_named": True})
    with LocalScoreLog(tmp_path) as log:
        log.append(record(1))
        log.append_block_soon(block(10)).result()
        log.append_block_soon(named).result()
    for _ in range(2):
        n_new = ship(tmp_path, database)
        (path,) = tmp_path.glob(LOG_FILES)
        path.with_suffix(".shipped").unlink()
    assert n_new == 0
    assert count_scores(database, "guarantee") == (11, NOON + timedelta(minutes=1))
    with database.connect() as connection:
        rows, blocks = (month_table(base, "2026_03") for base in (score_record, score_block))
        assert connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one() == 6
        assert connection.execute(sa.select(blocks.c.n_rows)).scalars().all() == [5]


def reference(records: list[ScoreRecord], by: str, limit: int | None) -> list[str]:
    ordered = sorted(records, key=lambda one: (getattr(one, by), int(one.request_id[1:])))
    return [one.request_id for one in ordered][-limit if limit else None :]


@pytest.mark.parametrize("by", ["asked_at", "cutoff"])
@pytest.mark.parametrize("limit", [None, 1, 7, 100])
def test_rows_and_blocks_of_several_months_are_read_together_in_order(
    database: Database, by: str, limit: int | None
) -> None:
    rows = [record(i, asked_at=NOON + timedelta(days=11 * i)) for i in range(8)]
    blocks = [block(20, asked_at=NOON + timedelta(days=20)), block(40, asked_at=NOON + timedelta(days=60))]
    other = block(80, slot="challenger")
    write_scores(database, rows, [*blocks, other, block(90, project="credit")])
    everything = [*rows, *(one for some in blocks for one in some.rows())]
    read = read_scores(database, "guarantee", by=by, limit=limit)  # type: ignore[arg-type]
    assert list(read.request_ids) == reference(everything, by, limit)
    start = NOON + timedelta(days=20) if by == "asked_at" else datetime(2022, 1, 23)  # noqa: DTZ001
    end = NOON + timedelta(days=61) if by == "asked_at" else datetime(2022, 2, 12)  # noqa: DTZ001
    inside = [one for one in everything if start <= getattr(one, by) < end]
    read = read_scores(database, "guarantee", start, end, by=by, limit=limit)  # type: ignore[arg-type]
    assert list(read.request_ids) == reference(inside, by, limit)
    numbers = [int(name[1:]) for name in read.request_ids]
    np.testing.assert_array_equal(read.values[:, 0], [1.5 * number for number in numbers])
    np.testing.assert_array_equal(read.scores, [600.0 - number for number in numbers])
    newest = latest_scores(database, "guarantee", limit=limit or 100)
    assert [one.asked_at for one in newest] == sorted((one.asked_at for one in everything), reverse=True)[:limit]


def test_a_month_is_made_while_others_are_read(database: Database) -> None:
    write_scores(database, [record(1)])
    with database.connect() as connection:
        march = month_table(score_record, "2026_03")
        assert connection.execute(sa.select(sa.func.count()).select_from(march)).scalar_one() == 1
        if connection.dialect.name == "postgresql":
            # Even one who reads all months at once.
            connection.execute(sa.select(sa.func.count()).select_from(score_record)).scalar_one()
        assert write_scores(database, [record(2, asked_at=NOON + timedelta(days=31))], [block(10)]) == 6
    assert months(database) == ["2026_04", "2026_03"]


def test_a_key_is_found_in_rows_and_in_blocks(database: Database) -> None:
    write_scores(database, [record(3), record(4, key="企业11")], [block(10, asked_at=NOON + timedelta(days=40))])
    found = latest_scores(database, "guarantee", key="企业11")
    assert [(one.request_id, one.features["amount"]) for one in found] == [("r11", 16.5), ("r4", 6.0)]
    assert latest_scores(database, "guarantee", key="nobody") == []


def test_records_of_before_move_into_their_months_and_back(database_url: str) -> None:
    with Database(database_url) as database:
        with database.begin() as connection:
            upgrade(connection, "0008")
            old = sa.Table("score_record", sa.MetaData(), autoload_with=connection)
            is_sqlite = connection.dialect.name == "sqlite"
            rows = []
            for i in range(6):
                one = record(i, asked_at=NOON + timedelta(days=20 * i), features={"amount": 1.5})
                rows.append({name: getattr(one, name) for name in ScoreRecord.__slots__})
                rows[-1]["asked_at"] = one.asked_at.replace(tzinfo=None) if is_sqlite else one.asked_at
            connection.execute(old.insert(), rows)
            upgrade(connection)
        assert months(database) == ["2026_06", "2026_05", "2026_04", "2026_03"]
        assert list(read_scores(database, "guarantee").request_ids) == [f"r{i}" for i in range(6)]
        newest = latest_scores(database, "guarantee", limit=1)[0]
        assert newest == record(5, asked_at=NOON + timedelta(days=100), features={"amount": 1.5})
        assert write_scores(database, [record(0), record(7)]) == 1
        with database.begin() as connection:
            downgrade(connection, "0008")
            assert connection.exec_driver_sql("select count(*) from score_record").scalar_one() == 7
            assert not [name for name in sa.inspect(connection).get_table_names() if name.startswith("score_record_")]


def test_a_scorer_that_made_its_month_before_the_upgrade_does_not_stop_it(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'workbench.db'}") as database:
        with database.begin() as connection:
            upgrade(connection, "0008")
            old = sa.Table("score_record", sa.MetaData(), autoload_with=connection)
            one = record(1, asked_at=NOON, features={"amount": 1.5})
            values = {name: getattr(one, name) for name in ScoreRecord.__slots__}
            connection.execute(old.insert(), [values | {"asked_at": NOON.replace(tzinfo=None)}])
            for base in (score_record, score_block):
                month_table(base, month_of(NOON)).create(connection)
            upgrade(connection)
        assert list(read_scores(database, "guarantee").request_ids) == ["r1"]
