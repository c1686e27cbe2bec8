"""What a database answers when it does not give rows, in our words: down, wrong password, not allowed, not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from core.errors import ConfigurationError, InputError, NotFoundError, UnavailableError, WorkbenchError
from core.i18n import msg

__all__ = ["database_errors", "duckdb_error"]

_LOGIN_STATES: Final = frozenset({"28000", "28P01"})
_PERMISSION_STATES: Final = frozenset({"42501"})
_MISSING_STATES: Final = frozenset({"42P01", "3D000", "3F000"})
_DOWN_CLASSES: Final = ("08", "57", "53", "58")
_LOGIN_CODES: Final = frozenset({1045, 1698, 1251})
_PERMISSION_CODES: Final = frozenset({1044, 1142, 1143, 1227, 1370})
_MISSING_CODES: Final = frozenset({1049, 1146})
_DOWN_CODES: Final = frozenset({1040, 1053, 1152, 1205, 1927, 2002, 2003, 2005, 2006, 2013, 2055})
_MISSING_WORDS: Final = ("no such table", "does not exist", "unable to open database file")
_DOWN_WORDS: Final = ("database is locked", "could not set lock")
_DAMAGED_WORDS: Final = ("not a valid duckdb", "file is not a database", "malformed")
_MAX_SHOWN: Final = 300


@contextmanager
def database_errors(label: str, secret: str | None, *, table: str = "", is_connected: bool = True) -> Iterator[None]:
    """Turn what a driver raises inside into one of our errors, the password cut out wherever it should stand.

    Parameters
    ----------
    label : str
        How the database is named.
    secret : str or None
        The password.
    table : str, default=""
        The table that is read.
    is_connected : bool, default=True
        Whether the database had let us in before.

    Raises
    ------
    UnavailableError
        It cannot be reached, went away or is busy.
    ConfigurationError
        It refuses the login (``database_login``), or the user may not read (``database_permission``).
    NotFoundError
        There is no such database, table or file.
    InputError
        The query or the file is not one that it understands.
    """
    where = f"{label}, {table}" if table else label
    try:
        yield
    except NoSuchModuleError as error:
        raise ConfigurationError(
            msg("there is no driver for this kind of database here"), where=where, code="no_driver"
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            msg("there is no driver for this kind of database here"), where=where, code="no_driver"
        ) from error
    except NoSuchTableError as error:
        raise _missing(where, "") from error
    except DBAPIError as error:
        raise _translated(error.orig or error, where, secret, is_connected=is_connected) from None
    except SQLAlchemyError as error:
        raise _translated(error, where, secret, is_connected=is_connected) from None


def duckdb_error(error: Exception, where: str) -> WorkbenchError:
    """Return our error for one that DuckDB raised."""
    return _translated(error, where, None, is_connected=True)


def _translated(error: BaseException, where: str, secret: str | None, *, is_connected: bool) -> WorkbenchError:
    problem = _problem(error, secret)
    kind = _kind(error, problem, is_connected=is_connected)
    if kind == "login":
        return ConfigurationError(
            msg("the database refuses the login: {problem}", problem=problem),
            where=where,
            fix=msg("Check the user in the address, and the password in its variable or file."),
            code="database_login",
        )
    if kind == "permission":
        return ConfigurationError(
            msg("the user of the database may not read this: {problem}", problem=problem),
            where=where,
            fix=msg("Ask the owner of the database for the right to SELECT; nothing was imported."),
            code="database_permission",
        )
    if kind == "missing":
        return _missing(where, problem)
    if kind == "down":
        return UnavailableError(
            msg("the database cannot be reached or went away: {problem}", problem=problem),
            where=where,
            fix=msg("Nothing was imported. Try again when the database is there."),
            code="database_down",
        )
    if kind == "damaged":
        return InputError(
            msg("the file is no database or is damaged: {problem}", problem=problem), where=where, code="damaged"
        )
    return InputError(
        msg("the database does not understand this: {problem}", problem=problem),
        where=where,
        fix=msg("Correct the query or the names of tables and columns."),
        code="bad_query",
    )


def _missing(where: str, problem: str) -> WorkbenchError:
    message = msg("there is no such database or table: {problem}", problem=problem or where)
    return NotFoundError(message, where=where, code="no_table")


def _problem(error: BaseException, secret: str | None) -> str:
    """Return the driver's own words, without statement, values and password."""
    args: tuple[Any, ...] = getattr(error, "args", ())
    text = str(args[1]) if len(args) > 1 and isinstance(args[0], int) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = (lines[0] if lines else type(error).__name__)[:_MAX_SHOWN]
    return shown.replace(secret, "***") if secret else shown


def _kind(error: BaseException, problem: str, *, is_connected: bool) -> str:
    """Return what the error is about: login, permission, missing, down, damaged or query."""
    state = getattr(error, "sqlstate", None)
    args: tuple[Any, ...] = getattr(error, "args", ())
    number = args[0] if args and isinstance(args[0], int) else None
    is_wordy = state is None and number is None  # SQLite and DuckDB tell by words only
    kinds: tuple[tuple[str, bool], ...] = (
        ("login", state in _LOGIN_STATES or number in _LOGIN_CODES),
        ("permission", state in _PERMISSION_STATES or number in _PERMISSION_CODES),
        ("missing", state in _MISSING_STATES or number in _MISSING_CODES),
        ("down", (state or "").startswith(_DOWN_CLASSES) or number in _DOWN_CODES),
        ("login", not is_connected and _used_password(error)),
        ("down", is_wordy and any(word in problem.lower() for word in _DOWN_WORDS)),
        ("damaged", is_wordy and any(word in problem.lower() for word in _DAMAGED_WORDS)),
        ("missing", is_wordy and any(word in problem.lower() for word in _MISSING_WORDS)),
        ("down", not is_connected or (is_wordy and _is_operational(error))),
    )
    return next((kind for kind, holds in kinds if holds), "query")


def _used_password(error: BaseException) -> bool:
    """Whether PostgreSQL asked for a password, and refused: what it says then depends on its language."""
    connection = getattr(error, "pgconn", None)
    return connection is not None and bool(connection.used_password or connection.needs_password)


def _is_operational(error: BaseException) -> bool:
    """Whether PostgreSQL's driver lost the connection: it has no state to tell then."""
    return type(error).__name__ == "OperationalError" and type(error).__module__.startswith("psycopg")
