"""By id and by a new row alone: the same score as with the rows given, from one dated snapshot, or a refusal."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from core.identity import SYSTEM, Identity
from features import online_postgresql
from features.engine import EngineData, compute
from features.online_file import FilePlace, FileSnapshot
from features.online_places import snapshot_place
from features.online_publishing import publish_snapshot
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores
from serving.limits import Limits
from serving.lookups import Lookups
from tests.model_registry.tiny_world import example_keys, payload, ready_values, tiny_world
from tests.serving.conftest import OPERATOR, PROJECT, Site, make_site, wait_until
from warehouse.table_set import Table, TableSet

AS_OF = "2023-08-25T12:00:00"


def by_id(client: httpx.Client, key: Any, **changes: Any) -> httpx.Response:
    return client.post("/v1/score", json={"project": PROJECT, "id": key, "as_of": AS_OF, **changes})


def by_rows(client: httpx.Client, key: str, **changes: Any) -> httpx.Response:
    body = {"project": PROJECT, "tables": payload(key), "key": key, "as_of": AS_OF, **changes}
    return client.post("/v1/score", json=body)


def root_row(key: str) -> dict[str, Any]:
    return payload(key)["application"][0]


def without(answer: httpx.Response, *names: str) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if name not in ("request_id", *names)}


def other_payments() -> TableSet:
    """The tiny world with every payment ten times as late."""
    tables = dict(tiny_world().table_set.tables)
    frame = tables["payment"].frame.assign(overdue_days=lambda rows: rows["overdue_days"] * 10)
    return TableSet({**tables, "payment": Table(tables["payment"].spec, frame)}, tiny_world().table_set.data_model)


def test_an_id_a_new_row_and_all_rows_get_one_answer(client: httpx.Client) -> None:
    as_of = str(tiny_world().table_set.as_of.to_datetime64().astype("datetime64[s]"))
    for key in example_keys(25):
        given = without(by_rows(client, key, language="zh"), "snapshots")
        looked_up = by_id(client, key, language="zh")
        assert without(looked_up, "snapshots") == given
        assert looked_up.json()["snapshots"] == {"online": as_of}
        row = client.post(
            "/v1/score", json={"project": PROJECT, "row": root_row(key), "as_of": AS_OF, "language": "zh"}
        )
        assert without(row, "snapshots") == given


def test_every_case_by_id_has_the_features_of_the_offline_matrix(site: Site) -> None:
    site.publish()
    site.deploy(1)
    world = tiny_world()
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    snapshot = FileSnapshot(site.settings.artifacts / "online" / f"{PROJECT}.db")
    keys, cutoffs = world.labels.keys, world.labels.cutoffs
    tables, found = snapshot.rows_of_each(scorer.plan, list(keys))
    assert len(found) == len(set(keys)) == 900
    values = compute(scorer.plan, EngineData.from_rows(scorer.plan, tables), keys, cutoffs)
    np.testing.assert_array_equal(values, world.matrix.values)


def test_a_new_application_takes_its_history_from_the_snapshot(client: httpx.Client) -> None:
    old = root_row(example_keys(1)[0])
    new = {**old, "app_id": "NEW-1", "amount": 77_777.0, "applied_at": AS_OF}
    rows = {**payload(old["app_id"]), "application": [new]}
    given = client.post("/v1/score", json={"project": PROJECT, "tables": rows})
    answer = client.post("/v1/score", json={"project": PROJECT, "row": new})
    assert without(answer, "snapshots") == without(given, "snapshots")
    assert (answer.json()["key"], answer.json()["as_of"]) == ("NEW-1", AS_OF)


@pytest.mark.parametrize("asked", [{"id": "A99999"}, {"id": 5}, {"row": "nobody's"}])
def test_an_unknown_id_has_no_history_and_is_not_repeated(client: httpx.Client, asked: dict[str, Any]) -> None:
    if "row" in asked:
        asked = {"row": {**root_row(example_keys(1)[0]), "ent_id": "E-NOBODY"}}
    answer = client.post("/v1/score", json={"project": PROJECT, **asked})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_history")
    assert "NOBODY" not in answer.text
    assert "A99999" not in answer.text


def test_a_row_without_a_parent_is_scored_as_it_is_from_all_rows(client: httpx.Client) -> None:
    row = {**root_row(example_keys(1)[0]), "ent_id": None}
    given = client.post(
        "/v1/score",
        json={"project": PROJECT, "tables": {"application": [row], "enterprise": [], "payment": []}, "as_of": AS_OF},
    )
    answer = client.post("/v1/score", json={"project": PROJECT, "row": row, "as_of": AS_OF})
    assert without(answer, "snapshots") == without(given, "snapshots")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"id": "A00000", "row": {}}, "both_given"),
        ({"id": "A00000", "tables": {}}, "both_given"),
        ({"id": "A00000", "key": "A00000"}, "both_given"),
        ({"id": ""}, "bad_key"),
        ({"id": "x" * 300}, "bad_key"),
        ({"id": True}, "wrong_type"),
        ({"id": "A00000", "as_of": "yesterday"}, "wrong_type"),
        ({"row": {"app_id": "N"} | {"amount": "much"}}, "wrong_type"),
        ({"row": {"app_id": "N", "colour": 1}}, "unknown_column"),
        ({"row": {"amount": 1}}, "bad_key"),
        ({}, "missing_field"),
    ],
)
def test_what_is_not_as_it_must_be_is_refused(client: httpx.Client, asked: dict[str, Any], code: str) -> None:
    answer = client.post("/v1/score", json={"project": PROJECT, **asked})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_columns_of_the_row_that_are_missing_are_said(client: httpx.Client) -> None:
    row = {name: value for name, value in root_row(example_keys(1)[0]).items() if name != "amount"}
    answer = client.post("/v1/score", json={"project": PROJECT, "row": row, "as_of": AS_OF})
    assert [warned["code"] for warned in answer.json()["warnings"]] == ["missing_column"]


def test_without_a_time_an_id_is_scored_as_of_now_and_the_old_snapshot_is_said(client: httpx.Client) -> None:
    answer = by_id(client, example_keys(1)[0], as_of=None, language="zh").json()
    assert abs(np.datetime64(answer["as_of"]) - np.datetime64("now")) < np.timedelta64(1, "D")
    # Years after the last payment: farther from it than any training row was.
    assert [warned["code"] for warned in answer["warnings"]] == ["stale_data", "out_of_range"]
    assert "在线快照" in answer["warnings"][0]["text"]


def test_a_bound_of_its_own_and_refusal_by_policy(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    site = make_site(tmp_path / "home", bundles, stale_snapshot="refuse", snapshot_max_age_days=10)
    site.deploy(1)
    site.publish()
    as_of = tiny_world().table_set.as_of.to_datetime64()
    with site.client() as client:
        key = example_keys(1)[0]
        inside, beyond = (str((as_of + np.timedelta64(days, "D")).astype("datetime64[s]")) for days in (10, 11))
        assert by_id(client, key, as_of=inside).json()["warnings"] == []
        refused = by_id(client, key, as_of=beyond)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stale_snapshot")
        assert by_rows(client, key, as_of=beyond).status_code == 200
    site.database.dispose()


def test_a_key_needs_the_scope_for_it(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    _, secret = Identity(site.database).create_key("portal", ["model.score"], by=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}
    key = example_keys(1)[0]
    wait_until(lambda: client.get("/v1/models", headers=headers).status_code == 200)
    assert (
        client.post("/v1/score", json={"project": PROJECT, "tables": payload(key)}, headers=headers).status_code == 200
    )
    for form in ({"id": key}, {"row": root_row(key)}):
        refused = client.post("/v1/score", json={"project": PROJECT, **form}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        lines = json.dumps({"project": PROJECT, **form}).encode()
        kind = {"Content-Type": "application/x-ndjson"}
        answered = client.post("/v1/score/batch", content=lines, headers=headers | kind).text.splitlines()
        assert json.loads(answered[0])["error"]["code"] == "permission_denied"


def test_a_batch_of_ids_is_answered_line_by_line(client: httpx.Client) -> None:
    keys = example_keys(40)
    lines: list[dict[str, Any]] = [{"project": PROJECT, "id": key, "as_of": AS_OF, "reasons": 2} for key in keys]
    lines[3]["id"] = "A99999"
    lines[5]["as_of"] = "never"
    lines[7] = {"project": PROJECT, "row": root_row(keys[7]), "as_of": AS_OF, "reasons": 2}
    lines[9]["id"] = "\n"
    lines[11] = {**lines[10], "as_of": "2022-06-30"}
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    response = client.post("/v1/score/batch", content=body, headers={"Content-Type": "application/x-ndjson"})
    *answers, last = [json.loads(line) for line in response.text.splitlines()]
    assert last["summary"] == {"rows": 40, "scored": 37, "refused": 3}
    codes = {answer["row"]: answer["error"]["code"] for answer in answers if "error" in answer}
    assert codes == {4: "no_history", 6: "wrong_type", 10: "bad_key"}
    for number in (0, 7, 10, 11, 39):
        alone = client.post("/v1/score", json=lines[number])
        assert {k: v for k, v in answers[number]["answer"].items() if k != "request_id"} == without(alone)


def test_the_same_request_gets_the_answer_it_got_whatever_was_published_meanwhile(site: Site) -> None:
    site.deploy(1)
    site.publish(as_of=np.datetime64("2024-01-30"))
    key = example_keys(1)[0]
    with site.client() as client:
        first = by_id(client, key, request_id="r1")
        site.publish(other_payments(), as_of=np.datetime64("2024-01-31"))
        assert by_id(client, key, request_id="r1").content == first.content
        second = by_id(client, key, request_id="r2").json()
        assert (first.json()["snapshots"], second["snapshots"]) == (
            {"online": "2024-01-30T00:00:00"},
            {"online": "2024-01-31T00:00:00"},
        )
        wait_until(lambda: len(latest_scores(site.database, PROJECT)) == 2)
        assert [record.snapshots for record in latest_scores(site.database, PROJECT)] == [
            second["snapshots"],
            first.json()["snapshots"],
        ]
    with site.client() as client:
        assert by_id(client, key, request_id="r1").content == first.content


@pytest.mark.parametrize("store", ["file", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_snapshots_swapped_under_load_lose_and_mix_no_answer(
    request: pytest.FixtureRequest, tmp_path: Path, bundles: tuple[Path, Path], store: str
) -> None:
    chosen = {} if store == "file" else {"snapshot_store": request.getfixturevalue("postgresql_url")}
    site = make_site(tmp_path / "home", bundles, **chosen)
    site.deploy(1)
    versions = [
        (np.datetime64("2024-01-30"), tiny_world().table_set),
        (np.datetime64("2024-01-31"), other_payments()),
    ]
    keys = example_keys(6)
    expected: dict[str, dict[str, float]] = {}
    seen: list[tuple[str, str, float]] = []
    problems: list[str] = []
    done = threading.Event()
    site.publish(versions[0][1], as_of=versions[0][0])
    with site.client() as client:
        for as_of, tables in versions:
            site.publish(tables, as_of=as_of)
            for key in keys:
                answer = by_id(client, key).json()
                expected.setdefault(answer["snapshots"]["online"], {})[key] = answer["probability"]
        assert len(expected) == 2
        assert any(expected[min(expected)][key] != expected[max(expected)][key] for key in keys)

        def load() -> None:
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
                while not done.is_set():
                    for key in keys:
                        answer = by_id(own, key, reasons=0)
                        if answer.status_code != 200:
                            problems.append(answer.text)
                            return
                        content = answer.json()
                        seen.append((content["snapshots"]["online"], key, content["probability"]))

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        swap = 0
        while (swap < 4 or len(seen) < 60) and swap < 200:
            as_of, tables = versions[swap % 2]
            site.publish(tables, as_of=as_of)
            swap += 1
        done.set()
        for thread in threads:
            thread.join()
    site.database.dispose()
    assert not problems
    assert len(seen) > 50
    assert {as_of for as_of, _, _ in seen} == set(expected)
    assert all(expected[as_of][key] == probability for as_of, key, probability in seen)


def test_a_snapshot_that_is_missing_broken_or_of_another_model_is_refused_and_all_else_served(site: Site) -> None:
    site.deploy(1)
    key = example_keys(1)[0]
    path = site.settings.artifacts / "online" / f"{PROJECT}.db"
    with site.client() as client:

        def refused() -> None:
            for answer in (
                by_id(client, key),
                client.post("/v1/score", json={"project": PROJECT, "row": root_row(key)}),
            ):
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_snapshot")
                assert answer.headers["retry-after"] == "1"
            body = json.dumps({"project": PROJECT, "id": key}).encode()
            lines = client.post("/v1/score/batch", content=body, headers={"Content-Type": "application/x-ndjson"}).text
            assert json.loads(lines.splitlines()[0])["error"]["code"] == "no_snapshot"
            assert by_rows(client, key).status_code == 200
            features = client.post("/v1/score", json={"project": PROJECT, "features": ready_values(1), "key": "C"})
            assert features.status_code == 200

        refused()
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no snapshot" * 1_000)
        refused()
        plan = tiny_world().matrix.plan
        narrow = plan.select([alias for alias in plan.aliases if "payment" not in alias])
        publish_snapshot(tiny_world().table_set, FilePlace(path), [narrow])
        refused()
        wait_until(lambda: client.get("/readyz").json()["snapshots"][PROJECT] is not None)
        assert client.get("/v1/models").json()[0]["snapshot"] is None
        site.publish()
        assert by_id(client, key).status_code == 200
        wait_until(lambda: client.get("/v1/models").json()[0]["snapshot"] is not None)
        assert b"scorer_snapshot_published_seconds" in client.get("/metrics").content


@pytest.mark.postgresql
def test_a_snapshot_database_that_goes_away_and_comes_back(
    tmp_path: Path, bundles: tuple[Path, Path], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(tmp_path / "home", bundles, snapshot_store=postgresql_url)
    site.deploy(1)
    site.publish()
    key = example_keys(1)[0]
    with site.client() as client:
        assert by_id(client, key).status_code == 200

        def away(self: object) -> None:
            raise psycopg.OperationalError("gone")

        monkeypatch.setattr(online_postgresql._Connections, "_open", away)
        with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'workbench%'"
            )
        assert by_id(client, key).json()["error"]["code"] == "no_snapshot"
        assert by_rows(client, key).status_code == 200
        monkeypatch.undo()
        wait_until(lambda: by_id(client, key).status_code == 200)
    site.database.dispose()


def test_a_snapshot_that_answers_slowly_takes_no_place_of_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy(1)
    site.publish()
    key = example_keys(1)[0]
    gather, goes_on = Lookups.gather, threading.Event()

    def slowly(self: Lookups, *given: Any) -> Any:
        assert goes_on.wait(60)
        return gather(self, *given)

    monkeypatch.setattr(Lookups, "gather", slowly)
    found: list[int] = []
    with site.client(limits=Limits(max_at_once=8, max_lookups=4)) as client:

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
                found.append(by_id(own, key).status_code)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        # Those that do not fit are refused while the others still wait.
        wait_until(lambda: len(found) >= 8)
        assert by_rows(client, key).status_code == 200
        goes_on.set()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200] * 4 + [503] * 8


def test_a_challenger_scores_what_was_asked_by_id(site: Site) -> None:
    site.deploy(1)
    site.registry.deploy(PROJECT, 2, "challenger", by=OPERATOR, reason="test")
    site.publish()
    key = example_keys(1)[0]
    with site.client() as client:
        answer = by_id(client, key, request_id="r1").json()
        wait_until(lambda: latest_scores(site.database, PROJECT, slot="challenger"))
    (shadowed,) = latest_scores(site.database, PROJECT, slot="challenger")
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 2)))
    assert shadowed.probability == scorer.score_rows(payload(key), key, AS_OF).probability
    assert (shadowed.request_id, shadowed.snapshots) == ("r1", answer["snapshots"])


def test_where_snapshots_are_follows_the_settings(site: Site) -> None:
    def place(**chosen: str) -> Any:
        return snapshot_place(site.settings.model_copy(update=chosen), "p")

    assert place().path == site.settings.artifacts / "online" / "p.db"
    assert place(database_url="postgresql://u@h/d").url == "postgresql+psycopg://u@h/d"
    assert place(database_url="postgresql://u@h/d", snapshot_store="file").is_file
    assert place(snapshot_store="postgresql://u@h/other").url == "postgresql://u@h/other"
