"""What every command shares: its options, the context it runs in, and how it answers."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from core.errors import InputError, NotFoundError
from core.i18n import LANGUAGES, Language, Message, MessageLike, msg, render
from core.progress import Progress
from core.settings import Settings
from workbench.commands.display import console_progress
from workbench.flows import projects
from workbench.flows.context import Context, local_actor, open_context

__all__ = [
    "AsOption",
    "JsonOption",
    "LanguageOption",
    "ProjectOption",
    "Session",
    "answer",
    "checked_language",
    "chosen_project",
    "say",
    "session",
]


def say(message: Message) -> str:
    """Return a help text in the language of ``WORKBENCH_LANGUAGE``."""
    return message.text(os.environ.get("WORKBENCH_LANGUAGE", "en"))


JsonOption = Annotated[bool, typer.Option("--json", help=say(msg("Answer with one JSON object on standard output.")))]
AsOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        help=say(
            msg(
                "Act as this user of the workbench. Left out: the owner of this machine's workbench, who may take "
                "every step but approve a model of their own."
            )
        ),
    ),
]
LanguageOption = Annotated[
    str | None, typer.Option("--language", metavar="en|zh", help=say(msg("Language of the answer.")))
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        envvar="WORKBENCH_PROJECT",
        help=say(msg("Project; may be left out where there is only one.")),
    ),
]


@dataclass(frozen=True)
class Session:
    """One run of a command."""

    ctx: Context
    as_json: bool

    def answer(self, value: dict[str, Any], show: Callable[[], None]) -> None:
        """Print the answer: `value` as JSON, or what `show` prints for a person."""
        answer(value, show, as_json=self.as_json)

    def text(self, message: MessageLike) -> str:
        """Return a text in the session's language."""
        return str(render(message, self.ctx.language))


@contextmanager
def session(
    *,
    as_json: bool = False,
    as_name: str | None = None,
    language: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Session]:
    """Open the context of a command, with progress on standard error unless another is given."""
    settings = Settings.load()
    chosen = checked_language(language) or settings.language
    drawn = console_progress(chosen) if progress is None else nullcontext(progress)
    with drawn as shown:
        ctx = open_context(settings, progress=shown, language=chosen, actor=local_actor(chosen))
        try:
            yield Session(ctx if as_name is None else _acting_as(ctx, as_name, language), as_json)
        finally:
            ctx.database.dispose()


def _acting_as(ctx: Context, name: str, language: str | None) -> Context:
    actor = ctx.identity.actor(name)
    spoken = checked_language(language) or checked_language(actor.language) or ctx.language
    return replace(ctx, actor=actor, language=spoken)


def checked_language(language: str | None) -> Language | None:
    """Return a language the workbench speaks.

    Raises
    ------
    InputError
        If it is another.
    """
    for known in LANGUAGES:
        if language == known:
            return known
    if language is None:
        return None
    raise InputError(
        msg("language {language} is not known: use {known}", language=repr(language), known=", ".join(LANGUAGES)),
        where="--language",
    )


def chosen_project(ctx: Context, name: str | None) -> str:
    """Return the named project, or the only one.

    Raises
    ------
    NotFoundError
        If there is none, or several and none was named.
    """
    if name is not None:
        return projects.get(ctx, name).name
    known = projects.list_projects(ctx)
    if len(known) == 1:
        return known[0].name
    if not known:
        raise NotFoundError(
            msg("there is no project yet"), fix=msg("Make one with: workbench import FOLDER --project NAME")
        )
    raise NotFoundError(
        msg("there are {n} projects: {names}", n=len(known), names=", ".join(project.name for project in known)),
        fix=msg("Name one with --project."),
    )


def answer(value: dict[str, Any], show: Callable[[], None], *, as_json: bool) -> None:
    """Print `value` as one line of JSON, or what `show` prints for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    else:
        show()
