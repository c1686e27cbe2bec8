"""What several tests of the ground floor share."""

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

RunPython = Callable[..., list[str]]


@pytest.fixture
def run_python() -> RunPython:
    """Run code in `n` processes at once, each given its number after the first argument; return what they print."""

    def run(code: str, *arguments: object, n: int = 1) -> list[str]:
        first, *rest = map(str, arguments)
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), first]
        processes = [
            subprocess.Popen([*command, str(number), *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for number in range(n)
        ]
        outputs = [process.communicate(timeout=120) for process in processes]
        assert [process.returncode for process in processes] == [0] * n, "\n".join(error for _, error in outputs)
        return [output for output, _ in outputs]

    return run
