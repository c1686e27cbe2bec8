"""The verbs of the command line."""

import typer

from workbench.cli import app

__all__ = ["verbs"]


def verbs() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
