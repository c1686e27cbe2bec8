"""Tables out of a database: which there are, all rows or only the new ones, and where the password is kept."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from core.errors import ConfigurationError, InputError
from core.i18n import msg
from warehouse.sql_source import DatabaseSource, TableQuery, WatermarkValue
from workbench.flows import importing, model_in_use, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.flows.steps import Step, read_step

__all__ = [
    "FILE_KINDS",
    "KINDS",
    "TableView",
    "address",
    "forget_password",
    "keep_password",
    "read",
    "remember",
    "source",
    "tables",
]

_WATERMARKS_FILE = "watermarks.json"
_MOST_TABLES = 500
_KINDS: Mapping[str, Any] = {"datetime": datetime.fromisoformat, "date": date.fromisoformat}


KINDS: Mapping[str, str] = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL, MariaDB",
    "sqlite": "SQLite",
    "duckdb": "DuckDB",
}
"""The databases that can be read, by the beginning of their address."""

FILE_KINDS = frozenset({"sqlite", "duckdb"})


@dataclass(frozen=True)
class TableView:
    """A table of a database, before it is imported.

    `n_rows` is None where counting is dear; `growing` are the columns that may grow with every new row.
    """

    name: str
    n_rows: int | None
    primary_key: tuple[str, ...]
    growing: tuple[str, ...] = ()


def address(kind: str, database: str, *, host: str = "", port: int | None = None, user: str = "") -> str:
    """Return the address of a database, without a password.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    database : str
        Its name, or the path of its file.
    host, port, user
        Of a server; left out for a file.

    Examples
    --------
    >>> address("postgresql", "guarantees", host="db.internal", port=5432, user="reader")
    'postgresql://reader@db.internal:5432/guarantees'
    >>> address("sqlite", "/srv/loans.db")
    'sqlite:////srv/loans.db'
    """
    from sqlalchemy.engine import URL

    if kind in FILE_KINDS:
        return URL.create(kind, database=database).render_as_string()
    return URL.create(kind, username=user or None, host=host, port=port, database=database).render_as_string()


def source(ctx: Context, project: str) -> DatabaseSource | None:
    """Return the database the project imports from, or None."""
    return projects.spec(ctx, project).database


def tables(ctx: Context, database: DatabaseSource) -> list[TableView]:
    """Return what there is to import; needs ``data.import``.

    Raises
    ------
    UnavailableError, ConfigurationError, NotFoundError
        The database cannot be reached, refuses, or is not there; no error holds a password.
    """
    from warehouse.sql_reading import open_database

    ctx.require("data.import")
    found = []
    with open_database(database) as reader:
        names = reader.tables()[:_MOST_TABLES]
        for number, name in enumerate(names):
            ctx.say(number / max(len(names), 1), msg("counting the rows of {table}", table=name))
            schema = f"{database.db_schema}." if database.db_schema else ""
            query = TableQuery(name=name, table=f"{schema}{name}")
            keys = reader.keys(query)
            found.append(TableView(name, reader.count(query, keys.left_out), keys.primary_key, keys.growing))
    return found


def remember(ctx: Context, project: str, database: DatabaseSource) -> None:
    """Keep which tables of which database the project imports, in its specification; needs ``project.manage``."""
    spec = projects.spec(ctx, project)
    projects.write_spec(ctx, project, spec.model_copy(update={"database": database}))


def read(ctx: Context, project: str, *, only_new: bool = False) -> ImportResult:
    """Import from the project's database; needs ``data.import``.

    Parameters
    ----------
    only_new : bool, default=False
        Read of each table that is imported bit by bit only the rows after those of the last import (and as many
        before them as its `reread` says), and put them to the rows that are there: a row with a known key takes the
        place of the old one. Other tables are read whole.

    Raises
    ------
    ConfigurationError
        The project names no database, or a table has other columns than before.
    """
    from warehouse.merging import merge
    from warehouse.sql_importing import import_database

    ctx.require("data.import")
    started = time.monotonic()
    database = _required(ctx, project)
    marks = _watermarks(ctx, project) if only_new else {}
    stored = importing.tables(ctx, project, in_files=True) if marks else None
    given = model_in_use.given_model(ctx, project)
    number = given.number if stored is None else importing.version_of_stored(ctx, project)
    part, joining = ctx.part(0.0, 0.6), ctx.part(0.6, 0.7)
    imported = import_database(
        database.with_watermarks(marks), given.model if stored is None else stored.data_model,
        is_saved=stored is None and number is not None, progress=part.progress,
    )  # fmt: skip
    table_set, findings = imported.table_set, (*given.findings, *imported.findings)
    if stored is not None:
        again = _read_again(database, marks)
        table_set, told = merge(stored, imported.table_set, marks, again, progress=joining.progress)
        findings = (*findings, *told)
    return importing.keep(
        ctx.part(0.7, 1.0), project, table_set, findings, database.label, started,
        extra={_WATERMARKS_FILE: _as_json(_furthest(marks, imported.watermarks))}, model_version=number,
    )  # fmt: skip


def _read_again(database: DatabaseSource, marks: Mapping[str, WatermarkValue]) -> dict[str, tuple[str, WatermarkValue]]:
    """Return the growing column, and the value it was read from, of each table that is read again some way back."""
    return {
        table.name: (table.incremental_by, table.back_from(marks[table.name]))
        for table in database.tables
        if table.name in marks and table.incremental_by is not None and table.reread
    }


def _furthest(before: Mapping[str, WatermarkValue], now: Mapping[str, WatermarkValue]) -> dict[str, WatermarkValue]:
    """Return how far each table has been read: what was read again may end before what was read once."""
    reached: dict[str, Any] = {**before, **now}
    return {name: max(mark, before[name]) if name in before else mark for name, mark in reached.items()}


def keep_password(ctx: Context, project: str, password: str) -> Path:
    """Keep the password of the project's database in a file that only this server's user reads, and return its path.

    It goes nowhere else: not into the specification, the database, a log or an error. Needs ``project.manage``.
    """
    ctx.require("project.manage")
    projects.get(ctx, project)
    if not password:
        raise InputError(msg("the password is empty"))
    path = _password_path(ctx, project)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(password)
    temporary.replace(path)
    ctx.audit("database.password.keep", f"project:{project}", {})
    return path


def forget_password(ctx: Context, project: str) -> None:
    """Remove the password that `keep_password` kept; needs ``project.manage``."""
    ctx.require("project.manage")
    _password_path(ctx, project).unlink(missing_ok=True)
    ctx.audit("database.password.forget", f"project:{project}", {})


def _password_path(ctx: Context, project: str) -> Path:
    return ctx.settings.home / "secrets" / f"{projects.get(ctx, project).name}.database"


def _required(ctx: Context, project: str) -> DatabaseSource:
    database = source(ctx, project)
    if database is None:
        raise ConfigurationError(
            msg("project {project} names no database to import from", project=project),
            fix=msg("Connect one on the Data page, or under `database` in the project file."),
        )
    return database


def _watermarks(ctx: Context, project: str) -> dict[str, WatermarkValue]:
    """Return up to where the last import of each table that is imported bit by bit reached."""
    record = read_step(ctx, project, Step.DATA)
    path = None if record is None else record.path / _WATERMARKS_FILE
    if path is None or not path.exists():
        return {}
    kept = json.loads(path.read_text("utf-8"))
    wanted = {table.name for table in _required(ctx, project).tables if table.incremental_by is not None}
    return {name: _value(**kept[name]) for name in kept.keys() & wanted}


def _value(kind: str, value: Any) -> WatermarkValue:
    read_it = _KINDS.get(kind)
    known: WatermarkValue = value if read_it is None else read_it(value)
    return known


def _as_json(marks: "Mapping[str, WatermarkValue]") -> str:
    def as_text(value: WatermarkValue) -> dict[str, Any]:
        if isinstance(value, datetime):
            return {"kind": "datetime", "value": value.isoformat()}
        return {"kind": "date", "value": value.isoformat()} if isinstance(value, date) else {"kind": "", "value": value}

    return json.dumps({name: as_text(value) for name, value in marks.items()})
