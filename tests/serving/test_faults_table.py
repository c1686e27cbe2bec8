"""The table of faults in the documentation names tests that exist, and its figures are those of its rows."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text("utf-8")
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
NAMED = re.compile(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)")


@cache
def names_in(name: str) -> frozenset[str]:
    path = ROOT / name if "/" in name else ROOT / "tests" / "serving" / name
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


def test_each_fault_names_its_tests_and_they_exist() -> None:
    for row in ROWS:
        fault, expected, tests = re.split(r"(?<!\\) \| ", row.strip("| "))
        assert fault and expected
        named = [(name, test) for name, some in NAMED.findall(tests) for test in re.findall(r"`(test_\w+)`", some)]
        assert named, f"no test is named for: {fault}"
        unknown = [f"{name}: {test}" for name, test in named if test not in names_in(name)]
        assert not unknown, unknown


def test_no_fault_stands_twice() -> None:
    faults = [row.split(" | ")[0] for row in ROWS]
    assert len(set(faults)) == len(faults)


def test_the_figures_are_those_of_the_rows() -> None:
    stated = re.search(r"\*\*(\d+) faults injected, (\d+) survived, 0 wrong scores returned\.\*\*", TABLE)
    assert stated is not None
    assert {int(stated[1]), int(stated[2])} == {len(ROWS)}
    assert len(ROWS) >= 60
