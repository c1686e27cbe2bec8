"""The audit trail: one chain whoever writes, and no change to it goes unseen."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from core.audit import EMPTY_HEAD, Anchor, AuditTrail, read_anchors
from core.errors import InputError
from core.findings import Severity
from core.tables import audit_record


@pytest.fixture
def trail(database):
    return AuditTrail(database)


@pytest.fixture
def written(trail):
    for number in range(1, 7):
        trail.append("lin", "model.train", f"model:guarantee/{number}", {"auc": 0.75 + number / 100, "note": "备注"})
    return trail


def _change(trail, statement, *more):
    with trail.database.begin() as connection:
        for each in (statement, *more):
            connection.execute(each)


def _row(trail, sequence):
    with trail.database.connect() as connection:
        return connection.execute(select(audit_record).where(audit_record.c.sequence == sequence)).one()._asdict()


def test_records_come_back_newest_first_and_filtered(trail):
    for number in range(5):
        trail.append("lin" if number % 2 else "zhao", "data.import", f"project:{number}", {"n": number})
    trail.append("lin", "model.deploy", "project:1", {})
    assert [record.sequence for record in trail.records()] == [6, 5, 4, 3, 2, 1]
    assert [record.sequence for record in trail.records(limit=2, before=5)] == [4, 3]
    assert [record.details for record in trail.records(actor="lin", action="data.import")] == [{"n": 3}, {"n": 1}]
    assert [record.action for record in trail.records(subject="project:1")] == ["model.deploy", "data.import"]


def test_the_returned_record_is_the_stored_one(trail):
    before = datetime.now(UTC)
    record = trail.append("林", "model.approve", "model:担保/3", {"带 条件": [1, None, 1.5], "e": 1e16})
    assert trail.records() == [record]
    assert before <= record.at <= datetime.now(UTC)
    assert trail.head() == record.hash


def test_the_hash_is_what_the_documentation_says(written):
    """Recomputed with nothing but hashlib and json, as an outside auditor would."""
    previous = "0" * 64
    for sequence in range(1, 7):
        row = _row(written, sequence)
        signed = {name: row[name] for name in ("sequence", "actor", "action", "subject", "details")}
        signed |= {"at": row["at"].strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"), "previous_hash": previous}
        content = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(content.encode()).hexdigest()
        assert row["hash"] == previous


def test_an_untouched_trail_verifies(written):
    assert written.verify() == []
    assert written.verify([written.anchor(), Anchor(2, _row(written, 2)["hash"], "2026-01-01")]) == []


def test_an_empty_trail_verifies_and_has_the_empty_head(trail):
    assert trail.verify() == []
    assert trail.head() == EMPTY_HEAD
    assert trail.verify([trail.anchor()]) == []


def _swapped(trail):
    """Give two neighbours each other's number."""
    numbered = update(audit_record)
    return [
        numbered.where(audit_record.c.sequence == 3).values(sequence=99),
        numbered.where(audit_record.c.sequence == 4).values(sequence=3),
        numbered.where(audit_record.c.sequence == 99).values(sequence=4),
    ]


def _inserted(trail):
    """Push a forged record, correct in itself, between two others."""
    forged = _row(trail, 3) | {"actor": "mallory", "sequence": 4}
    shift = [
        update(audit_record).where(audit_record.c.sequence == number).values(sequence=number + 1)
        for number in (6, 5, 4)
    ]
    return [*shift, insert(audit_record).values(forged)]


def _rewritten(trail):
    """Change a record and make its own hash right again."""
    row = _row(trail, 3) | {"actor": "mallory"}
    signed = {name: value for name, value in row.items() if name != "hash"}
    signed["at"] = row["at"].isoformat(timespec="microseconds")
    content = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    right = hashlib.sha256(content.encode()).hexdigest()
    return [update(audit_record).where(audit_record.c.sequence == 3).values(actor="mallory", hash=right)]


@pytest.mark.parametrize(
    ("tampering", "first_bad", "words"),
    [
        (lambda _: [delete(audit_record).where(audit_record.c.sequence == 3)], 3, "missing"),
        (lambda _: [delete(audit_record).where(audit_record.c.sequence == 1)], 1, "missing"),
        (lambda _: [update(audit_record).where(audit_record.c.sequence == 5).values(actor="x")], 5, "changed"),
        (lambda _: [update(audit_record).where(audit_record.c.sequence == 2).values(details="{}")], 2, "changed"),
        (_swapped, 3, "does not follow"),
        (_inserted, 4, "does not follow"),
        (_rewritten, 4, "does not follow"),
    ],
)
def test_the_first_bad_record_is_named(written, tampering, first_bad, words):
    _change(written, *tampering(written))
    (finding,) = written.verify()
    assert (finding.code, finding.severity) == ("audit_chain_broken", Severity.BAD)
    assert finding.where == f"audit_record {first_bad}"
    assert words in finding.text()


_changes = st.one_of(
    st.tuples(st.sampled_from(["actor", "action", "subject", "details"]), st.text("ab{}:/1 ", max_size=9)),
    st.tuples(st.just("at"), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    st.tuples(st.sampled_from(["hash", "previous_hash"]), st.text("0123456789abcdef", min_size=64, max_size=64)),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.integers(1, 6), change=_changes)
def test_any_change_of_any_column_is_found_where_it_is(written, sequence, change):
    column, value = change
    original = _row(written, sequence)
    here = update(audit_record).where(audit_record.c.sequence == sequence)
    _change(written, here.values({column: value}))
    found = [finding.where for finding in written.verify()]
    _change(written, here.values({column: original[column]}))
    assert found == ([] if value == original[column] else [f"audit_record {sequence}"])
    assert written.verify() == []


def test_a_tail_that_was_cut_is_found_by_the_anchor_only(written):
    anchor = written.anchor()
    _change(written, delete(audit_record).where(audit_record.c.sequence > 4))
    assert written.verify() == []
    (finding,) = written.verify([anchor])
    assert finding.where == "audit_record 5"
    assert "6" in finding.text()


def test_a_tail_that_was_cut_and_written_anew_is_found_by_the_anchor(written):
    anchor = written.anchor()
    _change(written, delete(audit_record).where(audit_record.c.sequence > 4))
    for _ in range(3):
        written.append("mallory", "model.approve", "model:guarantee/9", {})
    assert written.verify() == []
    (finding,) = written.verify([anchor])
    assert finding.where == "audit_record 6"
    assert "anchored" in finding.text()


def test_anchors_are_kept_in_a_file_line_by_line(written, tmp_path):
    path = tmp_path / "outside" / "anchors.jsonl"
    first = written.export_anchor(path)
    written.append("lin", "data.import", "project:x", {})
    second = written.export_anchor(path)
    assert read_anchors(path) == [first, second]
    assert (first.sequence, second.sequence, second.hash) == (6, 7, written.head())
    assert written.verify(read_anchors(path)) == []


@pytest.mark.parametrize("line", ["{", '{"sequence": 1}', "[]", '{"sequence": "x", "hash": "", "at": ""}'])
def test_a_line_that_is_no_anchor_is_named(tmp_path, line):
    path = tmp_path / "anchors.jsonl"
    path.write_text(json.dumps({"sequence": 1, "hash": "0" * 64, "at": ""}) + "\n" + line + "\n")
    with pytest.raises(InputError) as caught:
        read_anchors(path)
    assert caught.value.where == "anchors.jsonl, line 2"


def test_a_record_shares_the_fate_of_its_transaction(trail):
    with pytest.raises(RuntimeError), trail.database.begin() as connection:
        trail.append("lin", "model.deploy", "model:x/1", {}, connection=connection)
        raise RuntimeError
    with trail.database.begin() as connection:
        trail.append("lin", "model.deploy", "model:x/2", {}, connection=connection)
        trail.append("lin", "model.deploy", "model:x/3", {}, connection=connection)
    assert [record.subject for record in trail.records()] == ["model:x/3", "model:x/2"]
    assert trail.verify() == []


_APPENDER = """
    import sys
    from core.audit import AuditTrail
    from core.database import Database
    url, writer, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with Database(url) as database:
        trail = AuditTrail(database)
        for i in range(n):
            trail.append(writer, "test.append", f"record:{i}", {"i": i})
"""


def test_appends_of_four_processes_form_one_chain(trail, run_python):
    run_python(_APPENDER, trail.database.engine.url.render_as_string(hide_password=False), 15, n=4)
    records = trail.records(limit=1000)
    assert [record.sequence for record in records] == list(range(60, 0, -1))
    assert {(record.actor, record.details["i"]) for record in records} == {
        (str(writer), i) for writer in range(4) for i in range(15)
    }
    assert trail.verify() == []


@pytest.mark.parametrize("details", [{"x": float("nan")}, {"x": {1, 2}}, {"x": datetime(2026, 1, 1, tzinfo=UTC)}])
def test_details_that_are_not_json_are_refused_and_nothing_is_written(trail, details):
    with pytest.raises(InputError, match="JSON"):
        trail.append("lin", "data.import", "project:x", details)
    assert trail.records() == []


@pytest.mark.parametrize(("place", "limit"), [("actor", 128), ("action", 64), ("subject", 255)])
def test_a_text_that_does_not_fit_is_refused_by_name(trail, place, limit):
    texts = {"actor": "a", "action": "b", "subject": "c"}
    trail.append(**(texts | {place: "很" * limit}), details={})
    with pytest.raises(InputError) as caught:
        trail.append(**(texts | {place: "很" * (limit + 1)}), details={})
    assert caught.value.where == place


def test_broken_characters_of_a_file_name_are_written_out(trail):
    broken = b"\xb5\xa3.csv".decode("utf-8", "surrogateescape")
    trail.append("lin", "data.import", f"file:{broken}\x00", {"file": broken, "zero": "\x00"})
    (record,) = trail.records()
    assert record.subject == "file:\\udcb5\\udca3.csv\\x00"
    assert record.details == {"file": "\\udcb5\\udca3.csv", "zero": "\x00"}
    assert trail.verify() == []


def test_verify_reads_a_long_trail_in_order(trail):
    with trail.database.begin() as connection:
        for number in range(1_100):
            trail.append("lin", "test.append", f"record:{number}", {}, connection=connection)
    assert trail.verify([trail.anchor()]) == []
    _change(trail, text("update audit_record set actor = 'x' where sequence = 1077"))
    assert [finding.where for finding in trail.verify()] == ["audit_record 1077"]
