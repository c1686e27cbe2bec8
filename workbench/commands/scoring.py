"""Scores: of one payload or stored row to the screen, of any number of rows to a file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import count
from warehouse.sql_source import TableQuery
from workbench.commands import answers
from workbench.commands.databases import DatabaseOption, PasswordOption, database_source
from workbench.commands.display import print_lines
from workbench.commands.judging import VersionOption
from workbench.commands.session import (
    AsOption,
    JsonOption,
    LanguageOption,
    ProjectOption,
    Session,
    chosen_project,
    say,
    session,
)
from workbench.flows import scoring
from workbench.flows.results import to_json

__all__ = ["add_to"]

_HELP = msg(
    "Score one payload, one stored row, or many rows to a file. Many: stored rows (--rows), a table of ready features "
    "(--features), or raw tables (--data), the last two of any size."
)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("score", help=say(_HELP))(score)


@dataclass(frozen=True)
class _Many:
    """What a file of scores is made from."""

    rows: str | None
    features: str | None
    data: Path | None
    database: str | None
    password_env: str | None
    key_column: str | None
    memory_mb: float | None
    n_reasons: int | None

    def check(self) -> None:
        """Raise `InputError` where two sources are named."""
        named = [("--rows", self.rows), ("--features", self.features), ("--data", self.data)]
        given = [name for name, value in named if value is not None]
        if len(given) > 1 or (self.database is not None and given not in ([], ["--features"])):
            raise InputError(msg("give one of --rows, --features, --data and --database"))

    def run(
        self, run: Session, project: str, output: Path, *, version: int | None, as_of: datetime | None
    ) -> scoring.BatchResult:
        """Score what is named."""
        from workbench.flows import bulk_scoring  # reads tables, which a scoring host has nothing for

        self.check()
        if self.features is not None:
            return self._features(run, project, self.features, output, version)
        if self.data is not None or self.database is not None or (self.memory_mb is not None and self.rows == "all"):
            source = self.data if self.database is None else database_source(self.database, self.password_env)
            return bulk_scoring.score_tables(
                run.ctx, project, source, output, version=version, as_of=as_of,
                memory_mb=self.memory_mb or bulk_scoring.DEFAULT_MEMORY_MB, n_reasons=self.n_reasons or 0,
            )  # fmt: skip
        return scoring.batch(
            run.ctx, project, output, rows=self.rows or "unlabelled", version=version, as_of=as_of,
            n_reasons=self.n_reasons,
        )  # fmt: skip

    def _features(
        self, run: Session, project: str, name: str, output: Path, version: int | None
    ) -> scoring.BatchResult:
        from workbench.flows import bulk_scoring

        source = (
            Path(name)
            if self.database is None
            else (database_source(self.database, self.password_env), TableQuery(name="features", table=name))
        )
        return bulk_scoring.score_features(
            run.ctx, project, source, output, version=version, key_column=self.key_column,
            n_reasons=self.n_reasons or 0,
        )  # fmt: skip


def score(
    project: ProjectOption = None,
    key: Annotated[str | None, typer.Option("--key", help=say(msg("Score this stored row.")))] = None,
    payload: Annotated[
        Path | None, typer.Option("--payload", help=say(msg("Score a JSON file as POST /v1/score takes it.")))
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=say(msg("Score many rows to this .csv or .parquet file.")))
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", help=say(msg("Of the stored tables: unlabelled (default), latest or all.")))
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="FILE|TABLE",
            help=say(msg("A Parquet or CSV file, or a table of --database, with a column for each feature's alias.")),
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help=say(msg("A folder of raw tables, each a Parquet or CSV file."))),
    ] = None,
    database: DatabaseOption = None,
    password_env: PasswordOption = None,
    key_column: Annotated[
        str | None, typer.Option("--key-column", help=say(msg("With --features: the column that names the rows.")))
    ] = None,
    memory_mb: Annotated[
        float | None,
        typer.Option(
            "--memory-mb",
            min=64,
            help=say(msg("Memory to compute features of raw tables in (1024); with --rows all, of the stored ones.")),
        ),
    ] = None,
    n_reasons: Annotated[
        int | None, typer.Option("--reasons", min=0, max=4, help=say(msg("Reasons for each row of a file.")))
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help=say(msg("Moment; each row's own cutoff.")))] = None,
    version: VersionOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score one payload, one stored row, or many rows to a file."""
    if sum(option is not None for option in (key, payload, output)) != 1:
        raise InputError(msg("give one of --key, --payload and --output"))
    moment = _moment(as_of)
    many = _Many(rows, features, data, database, password_env, key_column, memory_mb, n_reasons)
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if output is not None:
            _answer_many(run, many.run(run, name, output, version=version, as_of=moment))
        elif payload is not None:
            answers.answer_score(run, scoring.score_file(run.ctx, name, payload, as_of=moment, version=version))
        else:
            answers.answer_score(run, scoring.score_stored(run.ctx, name, key or "", as_of=moment, version=version))


def _answer_many(run: Session, result: scoring.BatchResult) -> None:
    lines = [
        run.text(
            msg("{n} rows scored by version {version}: {path}", n=count(result.n_rows - result.n_refused),
                version=result.version, path=str(result.path))
        )
    ]  # fmt: skip
    if result.n_refused:
        lines.append(
            run.text(msg("{n} rows could not be scored; the column error says why", n=count(result.n_refused)))
        )
    run.answer(to_json(result), lambda: print_lines(lines))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(msg("{text} is no date", text=repr(text)), where="--as-of") from error
