"""Named lines of batches: each name is answered once and kept once, by whichever way its lines came."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_registry.scorer import Scorer
from monitoring import local_log
from monitoring.local_erasure import LocalErasure
from monitoring.score_erasure import erase, erasures
from monitoring.score_log import read_local, read_scores
from serving import batch as batch_module
from serving import service as service_module
from serving.claims import Claims, _place
from serving.ready_answers import ReadyAnswers
from serving.repeats import Repeats
from serving.service import ScoringService
from tests.model_registry.tiny_world import example_keys, payload, tiny_world
from tests.monitoring.test_score_index import overwrite, remove
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_batch import by_features, by_rows, line, send

Kind = tuple[str, int]
"""What a line asks: ready features or rows that are answered, ready features that are refused; and which of them."""
KINDS: list[Kind] = [("features", 0), ("features", 1), ("features", 2), ("rows", 0), ("rows", 1), ("refused", 0)]
lines_of_one = st.lists(st.tuples(st.sampled_from(KINDS), st.none() | st.integers(0, 4)), min_size=1, max_size=14)


def asked(kind: Kind, name: str | None) -> dict[str, Any]:
    form, number = kind
    named = {} if name is None else {"request_id": name}
    if form == "rows":
        return by_rows(example_keys(2)[number], reasons=0, **named)
    content = by_features(number, key=f"C{number}", reasons=0, **named)
    return content if form == "features" else {**content, "features": {"amount": 1}}


def right(kind: Kind, scorer: Scorer) -> float:
    form, number = kind
    if form == "rows":
        return float(scorer.score_rows(payload(example_keys(2)[number])).probability)
    return float(scorer.score_matrix(tiny_world().matrix.values[[number]])[0][0])


def told(answer: dict[str, Any]) -> Any:
    """Return what a line was told, without what differs from one asking to the next."""
    return answer["error"]["code"] if "error" in answer else answer["answer"]["probability"]


def one_by_one(lines: list[tuple[Kind, str | None]], scorer: Scorer) -> list[Any]:
    """Return what lines are told that come one after another under names nobody has used."""
    given: dict[str, Kind] = {}
    found: list[Any] = []
    for kind, name in lines:
        if name in given and given[name] != kind:
            found.append("request_id_reused")
        elif kind[0] == "refused":
            found.append("missing_feature")
        else:
            found.append(right(kind, scorer))
            given |= {} if name is None else {name: kind}
    return found


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "_MAX_ROWS_AT_ONCE", 4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(lines_of_one, st.sampled_from([True, True, False])), min_size=1, max_size=3))
def test_any_mixture_of_lines_in_several_batches_and_alone_at_once_is_answered_as_one_by_one(
    service: tuple[Site, httpx.Client], small_pieces: None, mixtures: list[tuple[list[tuple[Kind, int | None]], bool]]
) -> None:
    site, client = service
    scorer = service_scorer(site)
    prefix = uuid.uuid4().hex
    sent = [[(kind, None if n is None else f"{prefix}-{n}") for kind, n in lines] for lines, _ in mixtures]

    def ask(lines: list[tuple[Kind, str | None]], is_batch: bool) -> list[dict[str, Any]]:
        contents = [asked(*one) for one in lines]
        return (
            send(client, b"".join(map(line, contents)))[:-1] if is_batch else [alone(client, one) for one in contents]
        )

    with ThreadPoolExecutor(len(sent)) as pool:
        answered = list(pool.map(ask, sent, [is_batch for _, is_batch in mixtures]))
    if len(sent) == 1:
        assert list(map(told, answered[0])) == one_by_one(sent[0], scorer)
    pairs = [pair for lines, answers in zip(sent, answered, strict=True) for pair in zip(lines, answers, strict=True)]
    winners: dict[str, tuple[Kind, dict[str, Any]]] = {}
    for (kind, name), answer in pairs:
        if "answer" in answer:
            assert answer["answer"]["probability"] == right(kind, scorer)
            if name is not None:
                assert winners.setdefault(name, (kind, answer["answer"])) == (kind, answer["answer"])
    for (kind, name), answer in pairs:
        if "error" in answer:
            # Refused for what it is, or because another content has the name; and nothing is refused without a cause.
            another = name in winners and winners[name][0] != kind
            allowed = {"request_id_reused"} if another else set()
            assert told(answer) in allowed | ({"missing_feature"} if kind[0] == "refused" else set())
    kept = Counter(one.request_id for one in read_local(site.settings.home / "scorer" / "log", max_records=5_000))
    assert {name: n for name, n in kept.items() if name.startswith(prefix)} == dict.fromkeys(winners, 1)
    again = send(client, b"".join(line(asked(kind, name)) for name, (kind, _) in winners.items()))[:-1]
    assert [one["answer"] for one in again] == [answer for _, answer in winners.values()]


def test_the_first_line_of_a_name_counts_whichever_way_it_goes(
    service: tuple[Site, httpx.Client], small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, client = service
    fsync, prefix = local_log.os.fsync, uuid.uuid4().hex

    def slow_disk(descriptor: int) -> None:
        # The long way begins where the quick lines of a piece are kept; by then the next piece is being scored.
        time.sleep(0.3)
        fsync(descriptor)

    monkeypatch.setattr(local_log.os, "fsync", slow_disk)
    kinds: list[tuple[Kind, str | None]] = [(("rows", 0), "x"), *[(("features", i), None) for i in range(3)],
                                            (("features", 1), "x"), (("features", 2), "y"), (("refused", 0), "z"),
                                            (("features", 0), "z"), (("rows", 1), "y"), (("features", 1), "z"),
                                            (("features", 2), "y"), (("rows", 0), "x")]  # fmt: skip
    lines = [(kind, None if name is None else f"{prefix}-{name}") for kind, name in kinds]
    *answers, _ = send(client, b"".join(line(asked(*one)) for one in lines))
    assert list(map(told, answers)) == one_by_one(lines, service_scorer(site))


def alone(client: httpx.Client, content: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/score", json=content).json()
    return answer if "error" in answer else {"answer": answer}


def service_scorer(site: Site) -> Scorer:
    return Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))


def test_named_lines_go_the_quick_way_and_are_found_again_after_a_restart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    long_way = noted(monkeypatch)
    rows = range(30)
    content = b"".join(line(by_features(i, key=f"C{i}", request_id=f"quick-{i}", reasons=0)) for i in rows)
    with site.client() as client:
        *first, _ = send(client, content)
        *again, _ = send(client, content)
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == len(rows))
    with site.client() as client:
        *later, _ = send(client, content)
        changed = content.replace(b'"C3"', b'"C4"', 1)
        other = send(client, changed)[3]
        alone = client.post("/v1/score", json=by_features(7, key="C7", request_id="quick-7", reasons=0))
    assert long_way == []
    assert first == again == later
    assert (other["error"]["code"], other["request_id"]) == ("request_id_reused", "quick-3")
    assert alone.json() == first[7]["answer"]
    read = read_scores(site.database, PROJECT, aliases=tiny_world().matrix.plan.aliases)
    places = [list(read.request_ids).index(f"quick-{i}") for i in rows]
    assert sorted(places) == list(rows)
    np.testing.assert_array_equal(read.values[places], tiny_world().matrix.values[: len(rows)])


def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the names that go the long way from now on."""
    names: list[str] = []
    answer_many = ScoringService.answer_many

    def many(self: ScoringService, rows: Any, *given: Any, **named: Any) -> Any:
        names.extend(row.request_id for row in rows)
        return answer_many(self, rows, *given, **named)

    monkeypatch.setattr(ScoringService, "answer_many", many)
    return names


def test_a_line_that_another_process_is_at_is_told_so_and_takes_no_other_along(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    monkeypatch.setattr(Claims.__init__, "__kwdefaults__", {"wait_seconds": 0.2})
    plain = Claims._take

    def elsewhere(claims: Claims, place: int) -> bool:
        return place != busy and plain(claims, place)

    busy = _place((PROJECT, "line-3"))
    lines = [by_features(i, key=f"C{i}", request_id=f"line-{i}", reasons=0) for i in range(8)]
    with site.client() as client:
        with monkeypatch.context() as held:
            held.setattr(Claims, "_take", elsewhere)
            *answers, summary = send(client, b"".join(map(line, lines)))
        assert summary["summary"] == {"rows": 8, "scored": 7, "refused": 1}
        assert (answers[3]["error"]["code"], answers[3]["request_id"]) == ("under_way", "line-3")
        assert send(client, line(lines[3]))[0]["answer"]["request_id"] == "line-3"


def test_what_was_begun_for_a_caller_who_went_away_is_brought_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    begun, go_on = threading.Event(), threading.Event()

    class Held(ReadyAnswers):
        def __init__(self, *given: Any) -> None:
            begun.set()
            assert go_on.wait(60)
            super().__init__(*given)

    content = by_features(1, key="C1", request_id="left", reasons=0)
    with site.client() as client:
        monkeypatch.setattr(batch_module, "ReadyAnswers", Held)
        with client.stream("POST", "/v1/score/batch", content=line(content), headers=LINES) as gone:
            assert gone.status_code == 200 and begun.wait(60)
        time.sleep(0.2)  # the service learns that the caller has gone; if it does not yet, all the better
        go_on.set()
        again = wait_until(lambda: send(client, line(content))[0]["answer"], 60)
        assert again["request_id"] == "left"
        wait_until(lambda: list(read_scores(site.database, PROJECT).request_ids) == ["left"])
    assert [one.request_id for one in read_local(site.settings.home / "scorer" / "log", max_records=9)] == ["left"]


LINES = {"Content-Type": "application/x-ndjson"}


def test_nothing_stays_under_way_where_an_index_cannot_be_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy(1)
    long_way = noted(monkeypatch)

    def fail(*_: Any) -> None:
        raise OSError("the index is away")

    lines = b"".join(line(by_features(i, key=f"C{i}", request_id=f"away-{i}", reasons=0)) for i in range(5))
    with site.client() as client:
        with monkeypatch.context() as away:
            away.setattr(Repeats, "find", fail)
            *answers, _ = send(client, lines)
        assert [one["answer"]["request_id"] for one in answers] == long_way == [f"away-{i}" for i in range(5)]
        assert send(client, lines)[:-1] == answers


@pytest.mark.parametrize("damage", [overwrite, remove])
def test_an_index_damaged_under_a_running_service_costs_no_answer_and_none_is_given_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    site.deploy(1)
    monkeypatch.setattr(service_module, "_REMEMBERED_ANSWERS", 1)  # so that the log is asked, as by another process
    lines = b"".join(line(by_features(i, key=f"D{i}", request_id=f"damaged-{i}", reasons=0)) for i in range(20))
    alone, another = (by_features(3, key=name, request_id=name) for name in ("damaged-alone", "damaged-another"))
    with site.client() as client:
        before = send(client, lines)[:-1], client.post("/v1/score", json=alone).content
        client.post("/v1/score", json=another)
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 22)
        time.sleep(1.1)  # an answer that was given anew would be as of another second
        damage(site.settings.home / "scorer" / "log")
        assert (send(client, lines)[:-1], client.post("/v1/score", json=alone).content) == before
        more = b"".join(line(by_features(i, key=f"E{i}", request_id=f"after-{i}", reasons=0)) for i in range(20))
        after = send(client, more)[:-1]
        assert [one["answer"]["key"] for one in after] == [f"E{i}" for i in range(20)]
        assert send(client, more)[:-1] == after
    with site.client() as client:
        assert (send(client, lines)[:-1], client.post("/v1/score", json=alone).content) == before
        assert send(client, more)[:-1] == after
    assert sorted(read_scores(site.database, PROJECT).request_ids) == sorted(
        [*(f"{name}-{i}" for name in ("damaged", "after") for i in range(20)), "damaged-alone", "damaged-another"]
    )


def test_an_erased_line_is_given_anew_when_it_is_asked_for_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalErasure.__init__, "__kwdefaults__", {"settle_seconds": 0.0})
    site.deploy(1)
    lines = [by_features(i, key=f"P{i}", request_id=f"erased-{i}", reasons=0) for i in range(6)]
    with site.client() as client:
        *first, _ = send(client, b"".join(map(line, lines)))
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 6)
        erase(site.database, PROJECT, ["P2"], by="zhao", reason="asked for it")
        wait_until(lambda: not erasures(site.database)[0].pending)
        # Forgotten, the name is free for another content; all others are as they were.
        lines[2]["features"] = lines[3]["features"]
        wait_until(lambda: "answer" in send(client, line(lines[2]))[0])
        again = send(client, b"".join(map(line, lines)))[:-1]
    assert [one for i, one in enumerate(again) if i != 2] == [one for i, one in enumerate(first) if i != 2]
    assert again[2]["answer"]["probability"] == first[3]["answer"]["probability"]
    folder = site.settings.home / "scorer" / "log"
    assert Counter(one.request_id for one in read_local(folder, max_records=99)) == {f"erased-{i}": 1 for i in range(6)}
