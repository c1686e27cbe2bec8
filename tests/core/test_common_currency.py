"""Errors, findings, fingerprints and progress: what every package hands about."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from core import errors
from core.errors import CancelledError, InputError, WorkbenchError
from core.findings import Finding, NotApplicable, Severity, by_kind, worst_severity
from core.fingerprints import canonical_json, fingerprint_array, fingerprint_file, fingerprint_json
from core.i18n import msg
from core.progress import CallbackProgress, SilentProgress

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abé中", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé中", max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_every_error_has_its_own_code_and_an_http_status():
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert len({kind.default_code for kind in kinds}) == len(kinds)
    assert all(issubclass(kind, WorkbenchError) and 400 <= kind.http_status < 600 for kind in kinds)


def test_an_error_says_where_what_and_what_to_do():
    error = InputError(msg("{n} rows are too few", n=3), where="loans.csv", fix=msg("give at least {low}", low=10))
    assert str(error) == "loans.csv: 3 rows are too few. give at least 10."
    assert error.to_json() == {
        "code": "invalid_input",
        "message": "3 rows are too few",
        "where": "loans.csv",
        "fix": "give at least 10",
    }
    assert InputError("x", code="own_code").code == "own_code"


def test_a_finding_comes_back_from_json_as_it_was():
    finding = Finding("few_bads", Severity.WATCH, msg("{n} bads", n=27), where="label", fix="wait")
    assert Finding.from_json(finding.to_json()) == finding
    assert finding.text() == "label: 27 bads"
    assert NotApplicable(msg("all rows share one cutoff")).text() == "all rows share one cutoff"


def test_the_gravest_severity_wins():
    found = [Finding(severity.value, severity, "") for severity in (Severity.INFO, Severity.BAD, Severity.WATCH)]
    assert worst_severity(found) is Severity.BAD
    assert worst_severity([]) is None


@given(_json)
def test_canonical_json_depends_on_content_only(value):
    shuffled = dict(reversed(value.items())) if isinstance(value, dict) else value
    assert canonical_json(shuffled) == canonical_json(value)
    assert fingerprint_json(value) == hashlib.sha256(canonical_json(value)).hexdigest()


@given(arrays(np.float64, array_shapes(max_dims=2, max_side=4), elements=st.floats(width=32)))
def test_an_arrays_fingerprint_minds_values_shape_and_type_but_not_memory_order(array):
    same = np.asfortranarray(array)
    assert fingerprint_array(same) == fingerprint_array(array)
    changed = array.copy()
    changed.flat[0] = 1.0 if changed.flat[0] != 1.0 else 2.0
    others = [changed, array.reshape(*array.shape, 1), array.astype(np.float32)]
    assert fingerprint_array(array) not in {fingerprint_array(other) for other in others}


def test_arrays_of_text_have_fingerprints_too():
    first, second = (np.array(texts, dtype=object) for texts in (["a", "bc"], ["ab", "c"]))
    assert fingerprint_array(first) == fingerprint_array(first.copy()) != fingerprint_array(second)
    missing, word = (np.array([value], dtype=object) for value in (None, "None"))
    assert fingerprint_array(missing) != fingerprint_array(word)
    assert fingerprint_array(np.array(["\udcb5"], dtype=object)) != fingerprint_array(np.array(["?"], dtype=object))


def test_an_empty_array_has_a_fingerprint():
    assert fingerprint_array(np.empty((0, 3))) != fingerprint_array(np.empty((0, 4)))


def test_a_files_fingerprint_is_its_sha256(tmp_path):
    content = bytes(range(256)) * 10_000  # more than two blocks
    path = tmp_path / "file"
    path.write_bytes(content)
    assert fingerprint_file(path) == hashlib.sha256(content).hexdigest()


def test_parts_of_progress_fill_their_share():
    heard = []
    progress = CallbackProgress(lambda fraction, message: heard.append((fraction, str(message))))
    inner = progress.part(0.5, 1.0).part(0.0, 0.5)
    for fraction in (-1.0, 0.0, 0.5, 1.0, 2.0):
        inner.report(fraction, msg("working"))
    assert heard == [(0.5, "working"), (0.5, "working"), (0.625, "working"), (0.75, "working"), (0.75, "working")]


def test_cancelling_and_finishing_early_reach_the_innermost_part():
    def cancel(fraction, message):
        raise CancelledError("cancelled")

    inner = CallbackProgress(cancel, lambda: True).part(0, 1).part(0, 1)
    assert inner.finish_requested
    with pytest.raises(CancelledError):
        inner.report(0.1, msg("working"))
    assert not SilentProgress().part(0, 1).finish_requested


def test_findings_are_told_by_kind_the_gravest_first_and_no_one_is_lost():
    many = [Finding("small", Severity.INFO, msg("Sign in"), where=f"t{i}") for i in range(5)]
    few = [Finding("odd", Severity.INFO, msg("Sign in"), where=f"u{i}") for i in range(4)]
    grave = Finding("small", Severity.BAD, msg("Sign in"))
    told = by_kind([*many, *few, grave])
    assert told == [([grave], []), (many[:2], many[2:]), (few, [])]
    assert by_kind([]) == []


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("loans.csv, row 17, column amount", "loans.csv，第 17 行，amount 列"),
        ("loans.csv, line 3", "loans.csv，第 3 行"),
        ("loan, column a, b", "loan，a, b 列"),
        ("loan", "loan"),
        ("tables.loan", "tables.loan"),
    ],
)
def test_a_place_is_said_in_the_language_of_the_sentence(where: str, said: str) -> None:
    finding = Finding("some_code", Severity.WATCH, msg("Sign in"), where=where)
    assert finding.text("zh") == f"{said}: {msg('Sign in').text('zh')}"
    assert finding.text("en") == f"{where}: Sign in"
    assert InputError(msg("Sign in"), where=where).text("zh").startswith(said)
