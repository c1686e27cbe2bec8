"""Where the real data sets are: the folder that ``WORKBENCH_TEST_DATA`` names."""

import os
from pathlib import Path

import pytest

__all__ = ["SPECS", "data_folder", "workbench_json"]

SPECS = Path(__file__).parent / "specs"


def data_folder(name: str) -> Path:
    """Return the folder of a data set; skip the test where there is none."""
    root = os.environ.get("WORKBENCH_TEST_DATA")
    if not root:
        pytest.skip("WORKBENCH_TEST_DATA is not set: no folder of real data sets")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"the data set {name} is not in WORKBENCH_TEST_DATA")
    return folder


def workbench_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    """Run a command of the workbench with ``--json`` and return its answer."""
    import json

    from workbench.cli import main

    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured.err
    return json.loads(captured.out.splitlines()[-1])
