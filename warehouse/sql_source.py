"""Which rows of which database to import: its address without the password, where the password is kept, the tables."""

import math
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import ConfigurationError
from core.i18n import msg
from warehouse.data_model import ColumnName, TableName

__all__ = ["DatabaseSource", "TableQuery", "WatermarkValue"]

WatermarkValue = int | datetime | date | float | str
_DRIVERS: Final = {
    "duckdb": "duckdb",
    "mariadb": "mysql+pymysql",
    "mysql": "mysql+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite",
}
_FILE_DIALECTS: Final = frozenset({"duckdb", "sqlite"})
_SECRET_WORDS: Final = ("pass", "pwd", "secret", "token")
_DAY_LENGTH: Final = len("2024-01-31")
_MAX_SECRET_BYTES: Final = 64 << 10


class _Spec(BaseModel):
    # what is wrong is told without the value: it may hold a password
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class TableQuery(_Spec):
    """One table to import: a table of the database, or what a query gives.

    Parameters
    ----------
    name : str
        Name the table gets here.
    table : str or None, default=None
        Name in the database, with its schema before a dot where it needs one; by default `name`.
    query : str or None, default=None
        One SELECT in the words of the database, in place of `table`.
    incremental_by : str or None, default=None
        Column that grows with every new row: a number, or the time of loading. A row that comes late with a smaller or
        equal value is seen only as far back as `reread` goes.
    reread : float, default=0
        How far back from the last value rows are read again each time, for those that came late: days of a time, steps
        of a number. 0 or more.
    since : int, float, str, date or datetime, optional
        Import only rows whose `incremental_by` is greater: the watermark of the import before.
    """

    name: TableName
    table: str | None = None
    query: str | None = None
    incremental_by: ColumnName | None = None
    reread: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    since: WatermarkValue | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.table is not None and self.query is not None:
            raise ValueError("a table is given by its name in the database or by a query, not by both")
        if self.since is not None and self.incremental_by is None:
            raise ValueError("since needs incremental_by: the column it is about")
        if self.reread and self.incremental_by is None:
            raise ValueError("reread needs incremental_by: the column it is about")
        return self

    def back_from(self, mark: WatermarkValue) -> WatermarkValue:
        """Return the value after which rows are read, where the last import reached `mark`.

        Examples
        --------
        >>> TableQuery(name="loans", incremental_by="entered", reread=3).back_from(date(2024, 3, 7)).isoformat()
        '2024-03-04'
        """
        if not self.reread:
            return mark
        if isinstance(mark, datetime):
            return mark - timedelta(days=self.reread)
        if isinstance(mark, date):
            return mark - timedelta(days=math.ceil(self.reread))
        if isinstance(mark, str):
            return self._back_from_text(mark)
        return mark - (math.ceil(self.reread) if isinstance(mark, int) else self.reread)

    def _back_from_text(self, mark: str) -> str:
        """Return the earlier time, written as `mark` is: SQLite keeps times as texts."""
        try:
            back = datetime.fromisoformat(mark) - timedelta(days=self.reread)
        except ValueError as error:
            raise ConfigurationError(
                msg("texts have no distance that rows could be read again by"),
                where=f"{self.name}, column {self.incremental_by}",
                fix=msg("Take a time or a number as the growing column, or leave reread out."),
            ) from error
        return back.date().isoformat() if len(mark) == _DAY_LENGTH else back.isoformat(sep=" " if " " in mark else "T")

    @property
    def where(self) -> tuple[str | None, str]:
        """Schema and name of the table in the database."""
        schema, _, name = (self.table or self.name).rpartition(".")
        return schema or None, name


def _without_password(text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("the address must look like postgresql://user@host:5432/database") from None
    if url.password is not None or any(word in key.lower() for key in url.query for word in _SECRET_WORDS):
        raise ValueError("the address must not hold the password: name password_env or password_file")
    return text


class DatabaseSource(_Spec):
    """A database to import from.

    Parameters
    ----------
    url : str
        SQLAlchemy address without a password: ``postgresql://user@host:5432/name``, ``mysql://…``, ``mariadb://…``,
        ``sqlite:///path``, ``duckdb:///path``.
    password_env : str or None, default=None
        Environment variable that holds the password.
    password_file : str or None, default=None
        File that holds the password and nothing else, such as a mounted secret.
    tables : list of TableQuery, default=[]
        What to import; by default every table of `db_schema`.
    db_schema : str or None, default=None
        Schema that is meant where a table names none; by default the database's own.

    Examples
    --------
    >>> source = DatabaseSource(url="postgresql://reader@db/guarantees", password_env="GUARANTEES_PASSWORD")
    >>> str(source.address)
    'postgresql+psycopg://reader@db/guarantees'
    """

    url: Annotated[str, AfterValidator(_without_password)]
    password_env: str | None = None
    password_file: str | None = None
    tables: list[TableQuery] = Field(default_factory=list)
    db_schema: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("the password is in password_env or in password_file, not in both")
        if len({table.name for table in self.tables}) < len(self.tables):
            raise ValueError("two tables have one name")
        return self

    @property
    def address(self) -> URL:
        """The address with its driver named, without the password."""
        url = make_url(self.url)
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))

    @property
    def is_file(self) -> bool:
        """Whether the database is one file on this machine."""
        return self.address.get_backend_name() in _FILE_DIALECTS

    @property
    def label(self) -> str:
        """How the database is named in texts: its kind, host and name, without user."""
        url = self.address
        kind = url.drivername.partition("+")[0]
        if self.is_file:
            return f"{kind} {Path(url.database or '').name}"
        return f"{kind} {url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"

    def password(self) -> str | None:
        """Return the password from where it is kept; None where none is named.

        Raises
        ------
        ConfigurationError
            The variable is not set, or the file cannot be read; names it, never its content.
        """
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if not value:
                raise ConfigurationError(
                    msg("the environment variable with the password is not set"),
                    where=self.password_env,
                    code="no_password",
                )
            return value
        if self.password_file is None:
            return None
        try:
            with Path(self.password_file).open("rb") as file:
                return file.read(_MAX_SECRET_BYTES).decode("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                msg("the file with the password cannot be read"), where=self.password_file, code="no_password"
            ) from error

    def table(self, name: str) -> TableQuery | None:
        """Return the table `name` of the chosen ones."""
        return next((table for table in self.tables if table.name == name), None)

    def with_watermarks(self, watermarks: "dict[str, Any]") -> "DatabaseSource":
        """Return the source that imports only what is new since `watermarks` (value by table name), less `reread`."""
        tables = [
            table.model_copy(update={"since": table.back_from(watermarks[table.name])})
            if table.name in watermarks
            else table
            for table in self.tables
        ]
        return self.model_copy(update={"tables": tables})
