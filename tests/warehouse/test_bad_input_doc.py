"""`docs/bad-input.md` has every fault once, and names tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "bad-input.md").read_text("utf-8")
ROWS = [re.split(r"(?<!\\)\|", line)[1:-1] for line in TEXT.splitlines() if line.startswith("| ")]
TESTS = re.compile(r"`(tests/[\w/]+\.py)`: ((?:`\w+`(?:, )?)+)")


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_fault_from_1_to_38_has_one_row_with_an_answer():
    numbered = [cells for cells in ROWS if cells[0].strip().isdigit()]
    assert [int(cells[0]) for cells in numbered] == list(range(1, 39))
    assert all(len(cells) == 4 and all(cell.strip() for cell in cells) for cells in numbered)


def test_a_row_without_a_test_says_that_the_thing_is_not_there_yet():
    for cells in ROWS:
        named = TESTS.search(cells[-1]) or cells[-1].strip() in {"the same", "tests", "test"}
        assert named or "not read yet" in cells[-2], cells


@pytest.mark.parametrize(("path", "names"), sorted(set(TESTS.findall(TEXT))))
def test_the_tests_named_are_there(path, names):
    assert set(re.findall(r"\w+", names)) <= functions(path)
