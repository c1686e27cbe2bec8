"""Whatever is sent, the answer is a score or a refusal that the description names, and never a fault of ours."""

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model_registry.tiny_world import example_keys, payload, ready_values
from tests.serving.conftest import PROJECT

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2024-05-31", "9999-12-31", "", "\u0000", "A00001", 10**40, 1e308, -0.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_KNOWN = {200, 404, 409, 413, 415, 422}
_SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document."""
    inner: Any = ()
    if isinstance(content, dict):
        inner = content.items()
    elif isinstance(content, list):
        inner = enumerate(content[:2])
    return [path] + [found for name, value in inner for found in places(value, (*path, name))]


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def check(response: httpx.Response, description: dict[str, Any]) -> None:
    assert response.status_code in _KNOWN, response.text
    assert str(response.status_code) in description["paths"]["/v1/score"]["post"]["responses"]
    content = response.json()
    if response.status_code == 200:
        assert 0 < content["probability"] < 1
    else:
        problem = description["components"]["schemas"]["Problem"]
        assert set(problem["required"]) <= set(content)
        assert set(problem["properties"]["error"]["required"]) <= set(content["error"])


@_SETTINGS
@given(data=st.data())
def test_a_request_with_one_value_replaced_is_scored_or_refused(client: httpx.Client, data: st.DataObject) -> None:
    description = client.get("/openapi.json").json()
    forms = [
        {"project": PROJECT, "tables": payload(example_keys(1)[0]), "reasons": 1, "language": "zh"},
        {"project": PROJECT, "features": ready_values(1), "key": "C", "as_of": "2024-01-01"},
        {"project": PROJECT, "id": example_keys(1)[0], "as_of": "2024-01-01", "reasons": 1},
        {"project": PROJECT, "row": payload(example_keys(1)[0])["application"][0], "reasons": 1, "language": "zh"},
    ]
    form = data.draw(st.sampled_from(forms))
    asked = replaced(form, data.draw(st.sampled_from(places(form))), data.draw(_JSON))
    body = json.dumps(asked, ensure_ascii=True).encode()
    check(client.post("/v1/score", content=body, headers={"Content-Type": "application/json"}), description)


@_SETTINGS
@given(data=st.data())
def test_what_follows_the_described_fields_is_scored_or_refused(client: httpx.Client, data: st.DataObject) -> None:
    description = client.get("/openapi.json").json()
    operation = description["paths"]["/v1/score"]["post"]
    fields = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    asked = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(fields, _JSON)))
    check(client.post("/v1/score", json=asked), description)


@_SETTINGS
@given(lines=st.lists(st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode()), max_size=8))
def test_any_bytes_as_a_batch_are_answered_line_by_line(client: httpx.Client, lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    response = client.post("/v1/score/batch", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert response.status_code == 200
    *answers, last = [json.loads(line) for line in response.text.splitlines()]
    n_rows = sum(bool(line.strip()) for line in body.split(b"\n"))
    assert last["summary"] == {"rows": n_rows, "scored": 0, "refused": n_rows}
    assert [answer["row"] for answer in answers] == list(range(1, n_rows + 1))
