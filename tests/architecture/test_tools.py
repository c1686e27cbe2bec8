"""The tools that read the code have nothing to say: ruff, mypy, import-linter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_BINARIES = Path(sys.executable).parent
_MOST_LINES = 60


def _complaints(root: Path, *command: str) -> str:
    """Run a tool in the checkout; return nothing where it is content, else what it says, cut to be read."""
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "160", "PYTHONWARNINGS": ""}
    done = subprocess.run(
        [_BINARIES / command[0], *command[1:]],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if ": note:" not in line]
    left_out = (
        [f"… {len(lines) - _MOST_LINES} more lines: run `{' '.join(command)}`"] if len(lines) > _MOST_LINES else []
    )
    return "\n".join(["", *lines[:_MOST_LINES], *left_out])


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--output-format=concise", "."),
        ("ruff", "format", "--check", "."),
        ("lint-imports", "--no-cache"),
        ("mypy", "--no-error-summary", "--hide-error-context"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_tool_has_nothing_to_say(root, command):
    said = _complaints(root, *command)
    if said:
        pytest.fail(said, pytrace=False)
