"""Where the product keeps its things and where it listens, read from ``WORKBENCH_*`` environment variables."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import msg

__all__ = ["Settings"]

_SECRETS_FOLDER = "WORKBENCH_SECRETS_FOLDER"
_POSTGRESQL_SCHEMES = ("postgres://", "postgresql://")


class Settings(BaseSettings):
    """What an installation may choose; everything has a default that works on one machine.

    Each field is the environment variable of the same name in capitals after ``WORKBENCH_``. An empty variable counts
    as not set. What is secret may stand in files instead, ``workbench_database_url`` for example, in the folder that
    ``WORKBENCH_SECRETS_FOLDER`` names; a variable goes before a file.

    Parameters
    ----------
    home : Path, default=".workbench"
        Folder of the database, the artifacts and the local logs, made absolute when read.
    database_url : str, optional
        SQLAlchemy address of the one database. Left out: a SQLite file in `home`.
    artifact_root : Path, optional
        Folder of bundles and tables. Left out: ``artifacts`` in `home`.
    language : {"en", "zh"}, default="en"
        Language of whoever has chosen none.
    snapshot_store : str, optional
        Where online snapshots are published: ``file`` for files under the artifact root, or the address of a PostgreSQL
        database. Left out: the one database where that is PostgreSQL, else files.
    snapshot_max_age_days : float, default=3
        How far the data of an online snapshot may lie before the moment a score is asked for.
    stale_snapshot : {"flag", "refuse"}, default="flag"
        Whether a score from older data carries a warning or is refused.
    dask_scheduler : str, optional
        Address of a Dask scheduler, ``tcp://scheduler:8786``, whose workers make the fits of a training. Left out: the
        cores of this machine do.
    scorer_host, scorer_port : str, int
        Where the scoring service listens.
    scorer_workers : int, default=1
        Processes of the scoring service.
    score_log_months : int, optional
        How many whole months the score log keeps in the database, beside the one that has begun. Left out: all.
    ui_host, ui_port : str, int
        Where the workbench listens.
    time_zone : str, default="Asia/Shanghai"
        IANA name of the zone in which scheduled work is due.
    alert_url : str, optional
        ``http://`` or ``https://`` address that is told, by a POST of JSON, when scheduled work has failed for good.
    secret_key : str, optional
        Signs what the browser keeps. Left out: made once and kept in `home`, readable by its owner only.
    """

    model_config = SettingsConfigDict(env_prefix="WORKBENCH_", env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Path(".workbench")
    database_url: str | None = Field(default=None, repr=False)
    artifact_root: Path | None = None
    language: Literal["en", "zh"] = "en"
    snapshot_store: str | None = Field(default=None, repr=False)
    snapshot_max_age_days: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    stale_snapshot: Literal["flag", "refuse"] = "flag"
    dask_scheduler: str | None = None
    scorer_host: str = "127.0.0.1"
    scorer_port: int = Field(default=8502, ge=1, le=65535)
    scorer_workers: int = Field(default=1, ge=1, le=64)
    score_log_months: int | None = Field(default=None, ge=1, le=1200)
    ui_host: str = "127.0.0.1"
    ui_port: int = Field(default=8501, ge=1, le=65535)
    time_zone: str = "Asia/Shanghai"
    alert_url: SecretStr | None = None
    secret_key: SecretStr | None = None

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment.

        Raises
        ------
        ConfigurationError
            Where a variable is not what it must be; the finding names the variable, never its value.
        """
        folder = os.environ.get(_SECRETS_FOLDER) or None
        if folder is not None and not Path(folder).is_dir():
            raise ConfigurationError(msg("there is no such folder"), where=_SECRETS_FOLDER)
        try:
            return cls(_secrets_dir=folder)
        except ValidationError as error:
            findings = [_finding(str(detail["loc"][0]), str(detail["msg"])) for detail in error.errors()]
            raise ConfigurationError(findings[0].message, where=findings[0].where, findings=findings) from None

    @field_validator("home", "artifact_root", mode="after")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("time_zone", mode="after")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected the IANA name of a time zone, such as Asia/Shanghai") from None
        return name

    @field_validator("alert_url", mode="after")
    @classmethod
    def _web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("expected an address that begins with http:// or https://")
        return url

    @property
    def database_url_resolved(self) -> str:
        """SQLAlchemy address of the database, with its driver named."""
        if self.database_url is None:
            return f"sqlite:///{(self.home / 'workbench.db').as_posix()}"
        for scheme in _POSTGRESQL_SCHEMES:
            if self.database_url.startswith(scheme):
                return "postgresql+psycopg://" + self.database_url.removeprefix(scheme)
        return self.database_url

    @property
    def artifacts(self) -> Path:
        """Folder of bundles and tables."""
        return self.artifact_root or self.home / "artifacts"

    def secret(self) -> str:
        """Return the signing key, made and kept on first use where none is set."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        path = self.home / "secret_key"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            _write_once(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="ascii")


def _write_once(path: Path, content: str) -> None:
    """Make the file with its content at once, for its owner only; leave one that another process made first."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(content)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _finding(field: str, reason: str) -> Finding:
    return Finding(
        "setting_invalid",
        Severity.BAD,
        msg("the environment variable is not usable: {reason}", reason=reason),
        where=f"WORKBENCH_{field.upper()}",
    )
