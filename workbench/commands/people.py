"""Users, API keys and projects."""

import getpass
import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from core.i18n import msg
from core.i18n.formats import when
from workbench.commands.display import print_lines, print_table
from workbench.commands.session import AsOption, JsonOption, LanguageOption, say, session
from workbench.flows import administration, projects

__all__ = ["add_to"]

RolesOption = Annotated[list[str], typer.Option("--role", help=say(msg("Role; may be given several times.")))]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    users = typer.Typer(help=say(msg("Users: list, add.")), no_args_is_help=True)
    users.command("list", help=say(msg("List the users.")))(list_users)
    users.command("add", help=say(msg("Make a user; the password is asked for, or made and shown once.")))(add_user)
    app.add_typer(users, name="users")
    keys = typer.Typer(help=say(msg("API keys of business systems: list, add, revoke.")), no_args_is_help=True)
    keys.command("list", help=say(msg("List the keys.")))(list_keys)
    keys.command("add", help=say(msg("Make a key; its secret is shown this once.")))(add_key)
    keys.command("revoke", help=say(msg("Make a key useless at once.")))(revoke_key)
    app.add_typer(keys, name="keys")
    app.command("projects", help=say(msg("List the projects.")))(list_projects)


def list_users(as_name: AsOption = None, language: LanguageOption = None, as_json: JsonOption = False) -> None:
    """List the users."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = administration.users(run.ctx)
        value = {
            "users": [{"name": user.name, "roles": sorted(user.roles), "active": user.is_active} for user in found]
        }
        headers = [run.text(text) for text in (msg("name"), msg("roles"), msg("made"))]
        rows = [(user.name, ", ".join(sorted(user.roles)), when(user.created_at, run.ctx.language)) for user in found]
        run.answer(value, lambda: print_table(run.text(msg("Users")), headers, rows))


def add_user(
    name: Annotated[str, typer.Argument(help=say(msg("Name to sign in with.")))],
    role: RolesOption,
    made: Annotated[bool, typer.Option("--generate", help=say(msg("Make a password and show it once.")))] = False,
    user_language: Annotated[str, typer.Option("--speaks", help=say(msg("Language of the user.")))] = "en",
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a user. The password comes from WORKBENCH_NEW_PASSWORD, is asked for, or is made."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        password = secrets.token_urlsafe(12) if made else os.environ.get("WORKBENCH_NEW_PASSWORD") or getpass.getpass()
        user = administration.create_user(run.ctx, name, password, role, language=user_language)
        value = {"name": user.name, "roles": sorted(user.roles)} | ({"password": password} if made else {})
        lines = [run.text(msg("user {name} made", name=user.name))]
        if made:
            lines.append(run.text(msg("password, shown this once: {password}", password=password)))
        run.answer(value, lambda: print_lines(lines))


def list_keys(as_name: AsOption = None, language: LanguageOption = None, as_json: JsonOption = False) -> None:
    """List the keys."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = administration.keys(run.ctx)
        value = {
            "keys": [
                {
                    "id": key.id,
                    "owner": key.owner,
                    "scopes": sorted(key.scopes),
                    "expires_at": key.expires_at.isoformat() if key.expires_at else None,
                    "revoked": key.revoked_at is not None,
                }
                for key in found
            ]
        }
        headers = [run.text(text) for text in (msg("key"), msg("owner"), msg("allows"), msg("ends"))]
        rows = [
            (
                key.id,
                key.owner,
                ", ".join(sorted(key.scopes)),
                run.text(msg("revoked")) if key.revoked_at else when(key.expires_at, run.ctx.language),
            )
            for key in found
        ]
        run.answer(value, lambda: print_table(run.text(msg("API keys")), headers, rows))


def add_key(
    owner: Annotated[str, typer.Argument(help=say(msg("Business system or user that answers for it.")))],
    scope: Annotated[list[str], typer.Option("--scope", help=say(msg("Permission; may be given several times.")))] = [  # noqa: B006 - typer copies it
        "model.score"
    ],
    days: Annotated[int | None, typer.Option("--days", min=1, help=say(msg("Ends after so many days.")))] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key; its secret is shown this once."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        ends = datetime.now(UTC) + timedelta(days=days) if days else None
        new = administration.create_key(run.ctx, owner, scope, expires_at=ends)
        value = {"id": new.key.id, "secret": new.secret, "owner": owner, "scopes": sorted(new.key.scopes)}
        line = msg("key {key} made; its secret, shown this once: {secret}", key=new.key.id, secret=new.secret)
        run.answer(value, lambda: print_lines([run.text(line)]))


def revoke_key(
    key: Annotated[str, typer.Argument(help=say(msg("The key's number, as listed.")))],
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key useless at once."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        administration.revoke_key(run.ctx, key)
        run.answer({"id": key, "revoked": True}, lambda: print_lines([run.text(msg("key {key} revoked", key=key))]))


def list_projects(as_name: AsOption = None, language: LanguageOption = None, as_json: JsonOption = False) -> None:
    """List the projects."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = projects.list_projects(run.ctx)
        value = {"projects": [{"name": item.name, "title": item.title, "by": item.created_by} for item in found]}
        headers = [run.text(text) for text in (msg("project"), msg("title"), msg("made"))]
        rows = [
            (item.name, item.text_title(run.ctx.language), when(item.created_at, run.ctx.language)) for item in found
        ]
        run.answer(value, lambda: print_table(run.text(msg("Projects")), headers, rows))
