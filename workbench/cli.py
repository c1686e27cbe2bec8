"""The command line: the same verbs as the buttons, over the same flows.

Exit code 0, or 1 with one clear line on standard error, or 2 for wrong usage. Every verb that answers takes ``--json``.
Whoever may read the workbench's files on this machine acts as its owner (``local:<login>``), who may take every step
but approve a model of their own; ``--as NAME`` acts as a user of the workbench instead.
"""

import json
import os
import sys
from collections.abc import Sequence

import typer

from core.errors import WorkbenchError
from core.i18n import msg
from workbench.commands import (
    building,
    catalogue,
    control,
    enterprises,
    explaining,
    judging,
    label,
    model,
    people,
    quality,
    reasons,
    release,
    running,
    sample_world,
    schedule,
    score_logs,
    scorecard,
    scoring,
    snapshots,
    standard,
    traffic,
    weighing,
)
from workbench.commands.session import say

__all__ = ["app", "main"]

app = typer.Typer(
    name="workbench",
    help=say(msg("Credit-risk models for guarantee institutions, from tables to a watched deployment.")),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (
    running,
    sample_world,
    building,
    catalogue,
    standard,
    model,
    label,
    judging,
    explaining,
    weighing,
    quality,
    scoring,
    reasons,
    scorecard,
    release,
    snapshots,
    traffic,
    enterprises,
    score_logs,
    schedule,
    control,
    people,
):
    group.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(given))


def _run(arguments: list[str]) -> int:
    try:
        app(arguments, prog_name="workbench")
    except WorkbenchError as error:
        return _fail(error, arguments)
    except KeyboardInterrupt:
        sys.stderr.write(msg("stopped").text(_language(arguments)) + "\n")
        return 1
    except BrokenPipeError:
        # Whoever read the answer has gone; nothing is left to say, and to nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _fail(error: WorkbenchError, arguments: list[str]) -> int:
    language = _language(arguments)
    if "--json" in arguments:
        sys.stdout.write(json.dumps({"error": error.to_json(language)}, ensure_ascii=False) + "\n")
    sys.stderr.write(msg("error: {text}", text=error.text(language)).text(language).replace("\n", " ") + "\n")
    return 1


def _language(arguments: list[str]) -> str:
    if "--language" in arguments[:-1]:
        return arguments[arguments.index("--language") + 1]
    return os.environ.get("WORKBENCH_LANGUAGE", "en")


if __name__ == "__main__":
    main()
