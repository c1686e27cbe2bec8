"""The parser takes exactly what JSON is, and means the same by it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from serving import strict_json
from serving.strict_json import MAX_DEPTH, parse, parse_lines

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_what_is_json_is_read_as_what_it_says(value: object, is_ascii: bool, indent: int | None) -> None:
    assert parse(json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()) == value


PIECES = st.lists(
    st.sampled_from(
        ['{"a": 1}', '{"a" :1, "b":[{"a":2}]}', '{"a":1,"a":2}', '{"a"\n:{"x":1},"a":3}', '":"', '"\\":"', '"{[:"',
         "1e999", "12345678901234567", "1234567890123456789012", "-9223372036854775809", "0.00012345678901234567",
         "-0.00012345678901234567", "[12345678901234567890,1]", '{"a" : -12345678901234567890}',
         "-0", "-0.0", "1e19", "12345678901234567890e2", '"\\ud800"', "NaN", "[[[]]]", "1.7976931348623159e308",
         '"2024-05-31T12:00:00"']
    ),
    max_size=4,
)  # fmt: skip


def read(body: bytes, reader: object) -> str:
    try:
        return repr(reader(body))  # type: ignore[operator]  # repr tells 1 from 1.0 from True, and -0.0 from 0.0
    except InputError as error:
        return error.code


@settings(max_examples=200, deadline=None)
@given(VALUES, PIECES, st.sampled_from([None, 2]), st.sampled_from([" : ", "\t:", ":", " :\r\n"]))
def test_the_quick_reader_says_what_the_strict_one_says(
    value: object, pieces: list[str], indent: int | None, colon: str
) -> None:
    text = json.dumps({"table": [value], "text:": ['":']}, indent=indent, separators=(",", colon))
    body = f'{{"head"{colon}[{",".join(pieces)}],"rest":{text}}}'.encode()
    assert read(body, parse) == read(body, strict_json._parse_strictly)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES.map(",".join) | VALUES.map(json.dumps), max_size=5))
def test_lines_read_together_say_what_each_says_alone(lines: list[str]) -> None:
    bodies = [line.encode() for line in lines]
    read_together = parse_lines(bodies)
    if read_together is not None:
        assert repr(read_together) == repr([strict_json._parse_strictly(body) for body in bodies])


def test_lines_without_anything_odd_are_read_together() -> None:
    lines = [json.dumps({"features": {"a": i / 7, "b": None, "城": "市"}, "request_id": f"r{i}"}) for i in range(9)]
    assert parse_lines([line.encode() for line in lines]) == [json.loads(line) for line in lines]
    for odd in (
        '{"a":1,"a":2}',
        "[1",
        '{"a":NaN}',
        "[" * 40 + "]" * 40,
        "12345678901234567890123",
        "-12345678901234567890",
    ):
        assert parse_lines([lines[0].encode(), odd.encode()]) is None


def test_rows_are_read_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "_parse_strictly", lambda _: pytest.fail("read by the slow reader"))
    monkeypatch.setattr(strict_json, "_LONG_INTEGER", None)  # small numbers have as many digits as long integers
    rows = [{"id": f"e{i}", "at": "2024-05-31T12:00:00", "amount": i / 3e4, "text": "a: b {c}"} for i in range(50)]
    for indent in (None, 2):
        assert parse(json.dumps({"tables": {"t": rows}}, indent=indent).encode()) == {"tables": {"t": rows}}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_bytes_come_are_json_or_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except InputError as error:
        assert error.code
    else:
        assert json.loads(body) == value


@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 999, 1_000_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_nesting_is_bounded(depth: int, pair: str) -> None:
    opening, closing = pair[:-1], pair[-1]
    body = (opening * depth + ("1" if pair != "[]" else "") + closing * depth).encode()
    if depth <= MAX_DEPTH:
        parse(body)
    else:
        with pytest.raises(InputError) as caught:
            parse(body)
        assert caught.value.code == "too_deep"


def test_brackets_in_texts_do_not_nest() -> None:
    text = '[[[[{{{{\\"' * 50
    assert parse(json.dumps({"a": text}).encode()) == {"a": text}


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'{"a":{"b":1,"c":2,"b":3}}', b'[{"":1,"":2}]', b'{"\\u0061":1,"a":2}']
)
def test_a_key_twice_is_refused_at_every_level(body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse(body)
    assert caught.value.code == "duplicate_key"


def test_a_whole_surrogate_pair_is_text_and_half_of_one_is_not() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
    with pytest.raises(InputError):
        parse(b'["\\ude00"]')


def test_an_unclosed_quote_takes_no_long_time() -> None:
    with pytest.raises(InputError):
        parse(b'{"a": ["' + b"\\" * 2_000_001 + b"[" * 1_000_000)
