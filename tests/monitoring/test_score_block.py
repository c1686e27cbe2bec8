"""A block gives back the records that went in, is never read in part, and loses the rows that are erased."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.local_log import LocalScoreLog
from monitoring.log_files import whole_entries
from monitoring.score_block import ScoreBlock, blocks_of
from monitoring.score_index import ScoreIndex, name_of
from monitoring.score_log import ScoreRecord, read_local
from tests.monitoring.test_score_log import NOON, record

_ids = lambda: (f"block-{number}" for number in count())  # noqa: E731
_texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12)
_numbers = st.floats(allow_nan=True, allow_infinity=False, width=64)


def one_block(n: int, **changes: object) -> ScoreBlock:
    records = [record(i, asked_at=NOON, **changes) for i in range(n)]
    (block,), rest = blocks_of(records, [False] * n, _ids())
    assert rest == []
    return block


def null_as_none(one: ScoreRecord) -> ScoreRecord:
    return ScoreRecord.from_line(one.to_line())


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(_texts, _numbers, _numbers, st.sampled_from(["A", "B", "很差"]), _numbers), min_size=4, max_size=30
    ),
    is_named=st.booleans(),
    has_reasons=st.booleans(),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the data's own clock has no zone
)
def test_records_come_back_from_a_block_as_they_went_in(rows, is_named, has_reasons, at) -> None:
    records = [
        record(
            i,
            asked_at=NOON,
            key=key,
            probability=p,
            score=s,
            grade=grade,
            cutoff=at + timedelta(days=i),
            features={"a": value, "b": 1.0},
            reasons=[{"code": "a", "text": "逾期\n", "contribution": 0.5}] if has_reasons and i % 2 else [],
            payload_hash=f"{i:064x}" if is_named else "",
            snapshots={"online": "2026-01-01"},
        )
        for i, (key, p, s, grade, value) in enumerate(rows)
    ]
    (block,), rest = blocks_of(records, [is_named] * len(records), _ids())
    back = ScoreBlock.from_bytes(block.to_bytes())
    assert rest == [] and back is not None and (back.is_named, back.block_id) == (is_named, "block-0")
    assert [null_as_none(one) for one in back.rows()] == [null_as_none(one) for one in records]


def test_records_are_put_together_only_where_they_share_what_a_block_shares() -> None:
    records = [record(i, asked_at=NOON, language=["en", "zh"][i % 2]) for i in range(10)]
    records += [record(20 + i, asked_at=NOON, version=2) for i in range(3)]
    blocks, rest = blocks_of(records, [i < 8 for i in range(13)], _ids())
    assert [(block.language, block.is_named, len(block)) for block in blocks] == [("en", True, 4), ("zh", True, 4)]
    assert [(one.request_id, is_named) for one, is_named in rest] == [
        ("r8", False), ("r9", False), ("r20", False), ("r21", False), ("r22", False)
    ]  # fmt: skip


def test_a_text_with_a_line_feed_is_kept_alone_and_refused_in_a_block() -> None:
    records = [record(i, asked_at=NOON, key="two\nlines" if i == 1 else f"k{i}") for i in range(5)]
    assert blocks_of(records, [False] * 5, _ids()) == ([], [(one, False) for one in records])
    block = one_block(4)
    spoilt = ScoreBlock(**{**vars(block), "keys": ["a\nb", "c", "d", "e"]})
    with pytest.raises(ValueError, match="line feed"):
        spoilt.to_bytes()


def test_a_block_with_any_byte_changed_is_not_read(tmp_path: Path) -> None:
    content = one_block(5).to_bytes()
    assert ScoreBlock.from_bytes(content) is not None
    rng = np.random.default_rng(1)
    for place in [*range(40), *rng.integers(40, len(content) - 1, 200).tolist()]:
        spoilt = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        assert ScoreBlock.from_bytes(spoilt) is None, place
    for length in (0, 10, 36, 60, len(content) - 1):
        (tmp_path / "cut.jsonl").write_bytes(content[:length])
        assert list(whole_entries(tmp_path / "cut.jsonl", 0)) == []


def test_a_spoilt_block_holds_up_no_other_entry(tmp_path: Path) -> None:
    block, line = one_block(4).to_bytes(), record(9).to_line()
    body = block[:100] + b"x" + block[101:]
    head = b"#block 9" + block[8:]
    for spoilt in (body, head):
        (tmp_path / "scores-1.jsonl").write_bytes(block + spoilt + line + block)
        assert [one.request_id for one in read_local(tmp_path, max_records=99)] == [
            "r0", "r1", "r2", "r3", "r9", "r0", "r1", "r2", "r3"
        ]  # fmt: skip


def test_blocks_and_lines_share_a_file_and_a_named_row_is_found(tmp_path: Path) -> None:
    index = ScoreIndex(tmp_path)
    named = ScoreBlock(**{**vars(one_block(6)), "is_named": True, "payload_hashes": [f"h{i}" for i in range(6)]})
    with LocalScoreLog(tmp_path, index=index) as log:
        log.append(record(50))
        log.append_block_soon(named, [name_of("guarantee", one) for one in named.request_ids]).result()
        log.append_block_soon(one_block(3 + 1)).result()
    found = index.find([("guarantee", "r4"), ("guarantee", "r1"), ("guarantee", "r50")])
    assert {name[1]: one.payload_hash for name, one in found.items()} == {"r4": "h4", "r1": "h1"}
    (tmp_path / "index.db").unlink()
    again = ScoreIndex(tmp_path)
    again.catch_up()
    assert set(again.find([("guarantee", f"r{i}") for i in range(9)])) == {("guarantee", f"r{i}") for i in range(6)}
    assert len(read_local(tmp_path, max_records=99)) == 11


def test_erased_rows_are_gone_and_the_rest_stays_as_long_and_as_it_was() -> None:
    block = one_block(6)
    content = block.to_bytes()
    blank, n_rows = ScoreBlock.blank(content, frozenset({"企业2", "企业5", "nobody"}))
    assert (n_rows, len(blank)) == (2, len(content))
    back = ScoreBlock.from_bytes(blank)
    assert back is not None
    assert [null_as_none(one) for one in back.rows()] == [null_as_none(block.row(i)) for i in (0, 1, 3, 4)]
    assert "企业2".encode() in content and "企业2".encode() not in blank
    for trace in (np.float64(1.5 * 5).tobytes(), np.float64(595.0).tobytes(), b"r5"):
        assert trace in content and trace not in blank
    assert ScoreBlock.blank(blank, frozenset({"企业2"})) == (blank, 0)
    everything, n_rows = ScoreBlock.blank(content, frozenset(block.case_keys))
    emptied = ScoreBlock.from_bytes(everything)
    assert n_rows == 6 and emptied is not None and len(emptied) == 0


def test_a_block_asked_in_another_zone_comes_back_in_utc() -> None:
    block = one_block(4)
    back = ScoreBlock.from_bytes(block.to_bytes())
    assert back is not None and back.asked_at == NOON and back.asked_at.tzinfo is UTC
