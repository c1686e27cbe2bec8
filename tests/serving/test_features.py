"""A system that computes the features itself gets the score of the same row sent as tables, or a clear refusal."""

from typing import Any

import httpx
import numpy as np
import pytest

from model_registry.scorer import Scorer
from monitoring.score_log import read_scores
from tests.model_registry.tiny_world import example_keys, payload, ready_values, tiny_world
from tests.serving.conftest import PROJECT, Site, wait_until

CITY = next(alias for alias in tiny_world().matrix.plan.category_aliases if "city" in alias)


def ask(client: httpx.Client, features: Any, **changes: Any) -> httpx.Response:
    return client.post("/v1/score", json={"project": PROJECT, "features": features, **changes})


def test_ready_values_score_as_the_rows_they_come_from(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    keys = [str(key) for key in tiny_world().labels.keys]
    for key in example_keys(10):
        row = keys.index(key)
        answer = ask(client, ready_values(row), key=key).json()
        by_rows = client.post("/v1/score", json={"project": PROJECT, "tables": payload(key)}).json()
        assert answer["probability"] == scorer.score_matrix(tiny_world().matrix.values[[row]])[0][0]
        assert {name: answer[name] for name in ("key", "probability", "score", "grade", "version", "reasons")} == {
            name: by_rows[name] for name in ("key", "probability", "score", "grade", "version", "reasons")
        }


def test_what_was_scored_is_logged(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    answer = ask(client, ready_values(5), key="C-5", request_id="ready-5", as_of="2023-01-02").json()
    assert (answer["key"], answer["as_of"]) == ("C-5", "2023-01-02T00:00:00")
    wait_until(lambda: "ready-5" in read_scores(site.database, PROJECT).request_ids)
    read = read_scores(site.database, PROJECT, aliases=tiny_world().matrix.plan.aliases)
    np.testing.assert_array_equal(read.values[read.request_ids == "ready-5"][0], tiny_world().matrix.values[5])


def test_without_a_key_the_case_is_named_by_the_request(client: httpx.Client) -> None:
    assert ask(client, ready_values(1), request_id="the-case").json()["key"] == "the-case"


def test_an_unseen_category_is_scored_and_said_so(client: httpx.Client) -> None:
    answer = ask(client, {**ready_values(0), CITY: "拉萨"}).json()
    assert "unseen_category" in [warned["code"] for warned in answer["warnings"]]


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"amount": "12"}, "wrong_type", "features.amount"),
        ({"amount": True}, "wrong_type", "features.amount"),
        ({"amount": 10**400}, "wrong_type", "features.amount"),
        ({CITY: 2}, "wrong_type", f"features.{CITY}"),
        ({"stranger": 1}, "unknown_feature", "features.stranger"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(
    client: httpx.Client, changes: dict[str, Any], code: str, where: str
) -> None:
    refused = ask(client, {**ready_values(0), **changes})
    assert refused.status_code == 422
    assert (refused.json()["error"]["code"], refused.json()["error"]["where"]) == (code, where)


def test_a_forgotten_feature_is_refused_and_never_scored_as_null(client: httpx.Client) -> None:
    features = ready_values(0)
    del features["amount"]
    refused = ask(client, features)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "missing_feature")


def test_tables_or_features_but_not_both(client: httpx.Client) -> None:
    both = client.post("/v1/score", json={"project": PROJECT, "tables": {}, "features": {}})
    neither = client.post("/v1/score", json={"project": PROJECT})
    assert (both.status_code, both.json()["error"]["code"]) == (422, "both_given")
    assert (neither.status_code, neither.json()["error"]["code"]) == (422, "missing_field")


@pytest.mark.parametrize("key", ["", "x" * 300, "a\nb"])
def test_a_key_that_cannot_be_shown_is_refused(client: httpx.Client, key: str) -> None:
    refused = ask(client, ready_values(0), key=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_key")


def test_the_features_a_model_reads_are_listed(client: httpx.Client) -> None:
    (model,) = client.get("/v1/models").json()
    assert list(model["features"]) == list(tiny_world().matrix.plan.aliases)
    assert (model["features"]["amount"], model["features"][CITY]) == ("number", "text")
