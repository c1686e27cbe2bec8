"""Reading an enterprise: the rows of the published view, masked and noted, and a refusal for everything else."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from core.audit import AuditTrail
from core.errors import UnavailableError
from core.identity import SYSTEM, Identity
from features.entity_view_publishing import make_view, publish_view
from features.online_places import enterprise_place, enterprise_projects
from serving.access_log import AccessLog
from serving.client import AsyncScoringClient, Enterprise, ScoringClient, ScoringError
from serving.enterprise_form import EnterpriseForm
from serving.limits import Limits
from tests.model_registry.tiny_world import tiny_world
from tests.serving.conftest import PROJECT, Site, make_site, wait_until

AS_OF = "2022-03-01T12:00:00"


def publish(site: Site, project: str = PROJECT, as_of: str = "2023-09-01") -> None:
    world = tiny_world().table_set
    view = make_view(
        world.data_model, "enterprise", hidden={"application": ["is_bad"]},
        personal={"application": ["officer", "amount"]},
    )  # fmt: skip
    publish_view(world, enterprise_place(site.settings, project), view, as_of=np.datetime64(as_of, "ns"))


def key_for(site: Site, *scopes: str, **options: Any) -> str:
    return Identity(site.database).create_key("portal", scopes, by=SYSTEM, **options)[1]


@pytest.fixture(scope="module")
def reading(
    tmp_path_factory: pytest.TempPathFactory, bundles: tuple[Path, Path]
) -> Iterator[tuple[Site, httpx.Client]]:  # fmt: skip
    """A running service with a view and no model: reading needs none."""
    site = make_site(tmp_path_factory.mktemp("reading") / "home", bundles)
    publish(site)
    with site.client(key_for(site, "enterprise.read")) as client:
        yield site, client
    site.database.dispose()


@pytest.fixture
def client(reading: tuple[Site, httpx.Client]) -> httpx.Client:
    return reading[1]


def busiest() -> str:
    frame = tiny_world().table_set.frame("payment")
    return str(frame["ent_id"].value_counts().index[0])


def get(client: httpx.Client, key: str | None = None, **query: Any) -> httpx.Response:
    return client.get(f"/v1/enterprises/{busiest() if key is None else key}", params={"as_of": AS_OF, **query})


def test_the_answer_holds_the_rows_that_were_known(client: httpx.Client) -> None:
    answer = get(client, limit=1000)
    assert answer.status_code == 200, answer.text
    content = EnterpriseForm.model_validate(answer.json())
    assert (content.project, content.id, content.as_of) == (PROJECT, busiest(), AS_OF)
    payments = tiny_world().table_set.frame("payment")
    known = payments[(payments["ent_id"] == busiest()) & (payments["paid_on"] < AS_OF)]
    assert 0 < content.tables["payment"].n_rows == len(known) < (payments["ent_id"] == busiest()).sum()
    assert sorted(row["pay_id"] for row in content.tables["payment"].rows) == sorted(known["pay_id"])
    assert "is_bad" not in answer.text
    assert content.enterprise["ent_id"] == busiest()


def test_personal_values_are_masked_unless_the_key_may_see_them(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    content = get(client).json()
    assert content["masked"] == {"application": ["amount", "officer"]}
    assert {row["amount"] for row in content["tables"]["application"]["rows"]} == {None}
    assert all("*" in row["officer"] for row in content["tables"]["application"]["rows"] if row["officer"])
    may_see = {"Authorization": f"Bearer {key_for(site, 'enterprise.read', 'data.personal')}"}
    wait_until(lambda: client.get("/v1/enterprises", headers=may_see).status_code == 200)
    shown = client.get(f"/v1/enterprises/{busiest()}", params={"as_of": AS_OF}, headers=may_see).json()
    assert shown["masked"] == {}
    assert not any("*" in (row["officer"] or "") for row in shown["tables"]["application"]["rows"])
    assert all(row["amount"] for row in shown["tables"]["application"]["rows"])


def test_pages_of_a_table_join_to_the_whole(client: httpx.Client) -> None:
    whole = get(client, limit=1000, tables="payment").json()["tables"]["payment"]
    rows: list[Any] = []
    page = get(client, limit=3).json()["tables"]["payment"]
    while True:
        rows += page["rows"]
        assert page["n_rows"] == whole["n_rows"]
        if page["next"] is None:
            break
        page = get(client, limit=7, tables="payment", after=page["next"]).json()["tables"]["payment"]
    assert rows == whole["rows"]
    assert whole["next"] is None


def test_a_cursor_is_good_for_its_own_question_only(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    cursor = get(client, limit=3, tables="payment").json()["tables"]["payment"]["next"]
    for changed in ({"tables": "application"}, {"as_of": "2023-08-26"}, {"key": "E00001"}):
        answer = get(client, **{"tables": "payment", "after": cursor, **changed})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "snapshot_changed")
    publish(site, as_of="2023-09-02")
    answer = get(client, tables="payment", after=cursor)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "snapshot_changed")
    publish(site)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"as_of": "yesterday"}, 422, "wrong_type"),
        ({"as_of": "2023-02-30"}, 422, "wrong_type"),
        ({"as_of": "2023-08-25T12:00:00Z"}, 422, "wrong_type"),
        ({"as_of": ""}, 422, "wrong_type"),
        ({"as_of": ["2023-08-25", "2023-08-26"]}, 422, "duplicate_key"),
        ({"limit": "0"}, 422, "wrong_type"),
        ({"limit": "1001"}, 422, "wrong_type"),
        ({"limit": "1e3"}, 422, "wrong_type"),
        ({"limit": "٣"}, 422, "wrong_type"),
        ({"tables": "payment,"}, 422, "wrong_type"),
        ({"tables": "payment,payment"}, 422, "wrong_type"),
        ({"tables": "HIDDEN"}, 422, "unknown_table"),
        ({"after": "3.0123456789abcdef"}, 422, "bad_cursor"),
        ({"after": "HIDDEN", "tables": "payment"}, 422, "bad_cursor"),
        ({"HIDDEN": "1"}, 422, "unknown_field"),
        ({"project": "HIDDEN"}, 404, "no_view"),
        ({"project": "../HIDDEN"}, 404, "no_view"),
    ],
)
def test_what_is_not_as_it_must_be_is_refused_and_not_repeated(
    client: httpx.Client, query: dict[str, Any], status: int, code: str
) -> None:
    answer = get(client, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "HIDDEN" not in answer.text
    assert "yesterday" not in answer.text


@pytest.mark.parametrize("key", ["E-NOBODY", "%00", "x" * 300, "E00001%20%E2%80%AE", "..%2f..", "%ff"])
def test_an_unknown_or_impossible_id_is_refused_and_not_repeated(client: httpx.Client, key: str) -> None:
    answer = get(client, key)
    assert answer.status_code in {404, 422}
    assert "NOBODY" not in answer.text
    assert "xxx" not in answer.text


def test_keys_and_scopes_are_those_of_the_scorer(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    for headers, status in (({"Authorization": ""}, 401), ({"Authorization": "Bearer wrong"}, 401)):
        assert client.get("/v1/enterprises/E00001", headers=headers).status_code == status
    answer = client.get("/v1/enterprises/E00001", headers={"Authorization": f"Bearer {site.key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert client.post("/v1/enterprises/E00001").status_code == 405
    wait_until(lambda: any(one.action == "score.refused" for one in AuditTrail(site.database).records()))
    refused = next(one for one in AuditTrail(site.database).records() if one.action == "score.refused")
    assert refused.subject in {"/v1/enterprises/{id}", "/v1/enterprises"}


def test_each_reading_is_in_the_audit_trail_once(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    trail = AuditTrail(site.database)
    moment = "2022-12-31T00:00:01"
    for _ in range(3):
        assert get(client, as_of=moment, tables="payment").status_code == 200

    def found() -> list[Any]:
        subject = f"enterprise:{PROJECT}/{busiest()}"
        return [one for one in trail.records(subject=subject, limit=500) if one.details["as_of"] == moment]

    wait_until(lambda: len(found()) >= 3)
    assert len(found()) == 3
    assert {(one.actor, one.action) for one in found()} == {("portal", "enterprise.read")}
    assert found()[0].details["tables"] == ["payment"]
    assert found()[0].details["personal"] is False
    assert trail.verify() == []


def test_what_the_view_holds_is_told(client: httpx.Client) -> None:
    content = client.get("/v1/enterprises").json()
    assert (content["project"], content["enterprise_table"], content["key"]) == (PROJECT, "enterprise", "ent_id")
    payment = content["tables"]["payment"]
    assert payment["n_rows"] == 6_000
    assert payment["columns"]["overdue_days"] == {
        "label": {}, "type": "integer", "unit": None, "is_personal": False, "known_at": None,
    }  # fmt: skip
    assert "is_bad" not in content["tables"]["application"]["columns"]
    assert client.get("/v1/enterprises?colour=1").status_code == 422


def test_old_data_is_said_or_refused(reading: tuple[Site, httpx.Client], bundles: Any, tmp_path: Path) -> None:
    assert [one["code"] for one in reading[1].get(f"/v1/enterprises/{busiest()}").json()["warnings"]] == ["stale_data"]
    strict = make_site(tmp_path / "home", bundles, stale_snapshot="refuse")
    publish(strict)
    with strict.client(key_for(strict, "enterprise.read")) as client:
        answer = client.get(f"/v1/enterprises/{busiest()}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stale_snapshot")
    strict.database.dispose()


def test_a_rate_holds_for_reading_too(site: Site) -> None:
    publish(site)
    limits = Limits(requests_per_second=0.5, burst=2)
    with site.client(key_for(site, "enterprise.read"), limits) as client:
        assert [get(client).status_code for _ in range(3)] == [200, 200, 429]


def test_without_a_view_and_with_several(site: Site) -> None:
    with site.client(key_for(site, "enterprise.read")) as client:
        assert get(client).json()["error"]["code"] == "no_view"
        publish(site)
        assert get(client).status_code == 200
        publish(site, "other")
        assert get(client).json()["error"]["code"] == "missing_field"
        assert get(client, project="other").json()["project"] == "other"
        assert enterprise_place(site.settings, "other").withdraw()
        assert not enterprise_place(site.settings, "other").withdraw()
        assert get(client, project="other").status_code == 404
        path = site.settings.artifacts / "online" / f"{PROJECT}.enterprises.db"
        path.write_bytes(b"broken")
        assert get(client).json()["error"]["code"] == "no_snapshot"


def test_what_cannot_be_noted_is_not_shown(site: Site) -> None:
    publish(site)
    folder = site.settings.home / "scorer" / "reads"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    with site.client(key_for(site, "enterprise.read")) as client:
        answer = get(client)
    assert answer.status_code == 503
    assert "payment" not in answer.text


def test_records_of_reading_survive_a_killed_process_and_come_once(site: Site, tmp_path: Path) -> None:
    trail = AuditTrail(site.database)
    folder = tmp_path / "reads"
    killed, other = AccessLog(folder, trail), AccessLog(folder, trail)
    killed.append("portal", "enterprise.read", "enterprise:p/E1", {"n": 1})
    (file,) = folder.iterdir()
    assert other.ship() == 0  # held by the one that writes
    killed._file.close()  # as the system does when a process dies
    with file.open("ab") as half:
        half.write(b'["portal", "enterpr')
    content = file.read_bytes()
    assert other.ship() == 1
    file.write_bytes(content)  # the process that shipped it died before it could remove the file
    assert other.ship() == 1
    assert list(folder.iterdir()) == []
    assert len(trail.records(subject="enterprise:p/E1")) == 1


def test_records_wait_for_the_database(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = AuditTrail(site.database)
    log = AccessLog(tmp_path / "reads", trail)
    log.append("portal", "enterprise.read", "enterprise:p/E2", {})
    with monkeypatch.context() as away:
        away.setattr(trail, "records", lambda **_: (_ for _ in ()).throw(UnavailableError("away")))
        assert log.ship() == 0
    log.append("portal", "enterprise.read", "enterprise:p/E2", {})
    assert log.ship() == 2
    assert len(trail.records(subject="enterprise:p/E2")) == 2


def test_threads_read_while_the_view_is_replaced(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    expected = get(client, limit=1000).json()["tables"]
    seen: list[Any] = []
    threads = [
        threading.Thread(target=lambda: seen.extend(get(client, limit=1000) for _ in range(8))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(3):
        publish(site)
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in seen} == {200}
    assert all(answer.json()["tables"] == expected for answer in seen)


def test_the_client_reads_pages_and_refusals(reading: tuple[Site, httpx.Client]) -> None:
    site, client = reading
    key = key_for(site, "enterprise.read")
    address = str(client.base_url)
    wait_until(lambda: client.get("/v1/enterprises", headers={"Authorization": f"Bearer {key}"}).status_code == 200)
    with ScoringClient(address, key) as typed:
        found = typed.enterprise(busiest(), as_of=AS_OF, tables=["payment"], limit=4)
        assert isinstance(found, Enterprise)
        rows = list(typed.enterprise_rows(busiest(), "payment", as_of=AS_OF, rows_at_once=4))
        assert len(rows) == found.tables["payment"].n_rows
        with pytest.raises(ScoringError) as refused:
            typed.enterprise("nobody/at all", as_of=AS_OF)
        assert refused.value.status == 404

    async def read() -> list[dict[str, Any]]:
        async with AsyncScoringClient(address, key) as other:
            assert (await other.enterprise(busiest(), as_of=AS_OF)).id == busiest()
            return [row async for row in other.enterprise_rows(busiest(), "payment", as_of=AS_OF, rows_at_once=5)]

    assert asyncio.run(read()) == rows


def test_the_description_tells_the_routes(client: httpx.Client) -> None:
    content = client.get("/openapi.json").json()
    operation = content["paths"]["/v1/enterprises/{id}"]["get"]
    assert [one["name"] for one in operation["parameters"]] == ["id", "as_of", "project", "tables", "limit", "after"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].rpartition("/")[2] in content["components"]["schemas"]
    assert "/v1/enterprises/{id}" in client.get("/docs").text


@pytest.mark.postgresql
def test_in_postgresql_it_is_the_same(
    postgresql_url: str, bundles: tuple[Path, Path], tmp_path: Path, client: httpx.Client
) -> None:  # fmt: skip
    site = make_site(tmp_path / "home", bundles, snapshot_store=postgresql_url)
    assert enterprise_projects(site.settings) == []
    publish(site)
    assert enterprise_projects(site.settings) == [PROJECT]
    with site.client(key_for(site, "enterprise.read")) as other:
        mine, theirs = get(client, limit=500).json(), get(other, limit=500).json()
        for answer in (mine, theirs):
            for name in ("published_at",):
                del answer[name]
            for table in answer["tables"].values():
                assert table.pop("next") is None
        assert theirs == mine
        assert enterprise_place(site.settings, PROJECT).withdraw()
        assert get(other).status_code == 404
    site.database.dispose()
