"""The options that name a database."""

from typing import Annotated

import typer
from pydantic import ValidationError

from core.errors import InputError
from core.i18n import msg
from warehouse.sql_source import DatabaseSource
from workbench.commands.session import say

__all__ = ["DatabaseOption", "PasswordOption", "database_source"]

DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="URL", help=say(msg("A database; no password in its address.")))
]
PasswordOption = Annotated[
    str | None, typer.Option("--password-env", metavar="NAME", help=say(msg("Variable that holds its password.")))
]


def database_source(url: str, password_env: str | None) -> DatabaseSource:
    """Return the database of an address.

    Raises
    ------
    InputError
        It is no address of a database, or holds a password.
    """
    try:
        return DatabaseSource(url=url, password_env=password_env)
    except ValidationError as error:
        reasons = "; ".join(str(detail["msg"]) for detail in error.errors())
        raise InputError(msg("this database cannot be: {reasons}", reasons=reasons), where="--database") from None
