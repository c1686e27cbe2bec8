"""Scores outside the service: one enterprise's payload as of a date, one answer, or many to a file."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import InputError, NotFoundError
from core.i18n import msg
from workbench.flows import importing, projects, training
from workbench.flows.context import Context
from workbench.flows.score_files import ScoreFile, file_format, score_frame, writing_scores

if TYPE_CHECKING:
    from automl.label import LabelSpec
    from features.reference import ReferenceSnapshot
    from model_registry.bundle import Bundle
    from model_registry.scorer import ScoreAnswer, Scorer
    from warehouse.table_set import TableSet

__all__ = [
    "BatchResult",
    "Payload",
    "batch",
    "cutoff_of",
    "example_keys",
    "finish",
    "payload",
    "score",
    "score_file",
    "score_stored",
    "served",
]

_MAX_ROWS_WITH_REASONS = 5_000


@dataclass(frozen=True)
class Payload:
    """The raw rows of one root row's tables as they were known at `cutoff`, in the service's own JSON form."""

    project: str
    key: str
    cutoff: datetime
    tables: dict[str, list[dict[str, Any]]]

    def request(self, language: str = "en", request_id: str | None = None) -> dict[str, Any]:
        """Return the body for ``POST /v1/score``."""
        body: dict[str, Any] = {
            "project": self.project,
            "key": self.key,
            "as_of": self.cutoff.isoformat(),
            "tables": self.tables,
            "language": language,
        }
        return body if request_id is None else body | {"request_id": request_id}


@dataclass(frozen=True)
class BatchResult:
    """A file of scores: `path` holds one row per key with probability, score, grade, reasons and version.

    `n_refused` of the rows could not be scored, and say why.
    """

    project: str
    version: int
    path: Path
    n_rows: int
    mean_probability: float | None
    grade_counts: dict[str, int]
    seconds: float
    n_refused: int = 0


def example_keys(ctx: Context, project: str, n: int = 20) -> list[str]:
    """Return keys of root rows to try a score on, the latest cutoffs first."""
    from workbench.flows import features

    ctx.require("view")
    labels = features.labels(ctx, project)
    latest = np.argsort(labels.cutoffs, kind="stable")[::-1][:n]
    return [str(key) for key in labels.keys[latest]]


def payload(
    ctx: Context, project: str, key: str, *, as_of: datetime | None = None, version: int | None = None
) -> Payload:
    """Assemble the rows of every table that the served plan reads for one key, as of a moment; needs ``model.score``.

    Parameters
    ----------
    key : str
        Key of the root row.
    as_of : datetime, optional
        Naive, in the data's own clock; the row's own cutoff where left out.
    version : int, optional
        Whose plan says which rows; the champion's, else the latest version's, where left out.

    Raises
    ------
    NotFoundError
        If the root table has no such row.
    """
    from workbench.flows.payloads import gather_rows

    ctx.require("model.score")
    _, bundle = served(ctx, project, version)
    table_set = importing.tables(ctx, project)
    cutoff = as_of if as_of is not None else cutoff_of(table_set, bundle.label, key)
    return Payload(project, key, cutoff, gather_rows(table_set, bundle.plan, key, cutoff))


def score(
    ctx: Context,
    project: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    key: str | None = None,
    as_of: datetime | None = None,
    version: int | None = None,
) -> "ScoreAnswer":
    """Score one payload with the champion (or `version`) in this process; needs ``model.score``.

    Nothing is logged: the service logs what business systems ask. A case of long ago is compared with its peers of
    then, made of the stored tables; the service knows those of the latest months only.
    """
    from model_registry.scorer import Scorer

    ctx.require("model.score")
    number, bundle = served(ctx, project, version)
    scorer = Scorer(bundle, version=number)
    if as_of is not None and scorer.lacks_reference_of(np.datetime64(as_of)):
        scorer = scorer.with_reference(_reference_of(ctx, project, scorer, np.datetime64(as_of)))
    return scorer.score_rows(tables, key=key, cutoff=as_of, language=ctx.language)


def _reference_of(ctx: Context, project: str, scorer: "Scorer", moment: np.datetime64) -> "ReferenceSnapshot":
    """Return the peers of the month of `moment`, as they were known the day before the month began."""
    from features.reference_publishing import make_snapshot

    day_before = moment.astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
    made = make_snapshot(importing.tables(ctx, project), scorer.plan, as_of=day_before, n_months=1)
    if made is None:
        raise ValueError("the plan has no reference features")
    return made


def score_stored(
    ctx: Context, project: str, key: str, *, as_of: datetime | None = None, version: int | None = None
) -> "ScoreAnswer":
    """Score one stored row with what was known at its own cutoff, or at `as_of`; needs ``model.score``."""
    gathered = payload(ctx, project, key, as_of=as_of, version=version)
    return score(ctx, project, gathered.tables, key=gathered.key, as_of=gathered.cutoff, version=version)


def score_file(
    ctx: Context, project: str, path: Path, *, as_of: datetime | None = None, version: int | None = None
) -> "ScoreAnswer":
    """Score a JSON file that holds a body of ``POST /v1/score``; needs ``model.score``.

    Raises
    ------
    InputError
        If the file is not such a body.
    """
    try:
        body = json.loads(path.read_bytes())
        tables, key, moment = body["tables"], body.get("key"), body.get("as_of")
        as_of = as_of or (datetime.fromisoformat(moment) if moment else None)
    except FileNotFoundError as error:
        raise NotFoundError(msg("there is no such file"), where=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            msg("this is not the body of a score request: {reason}", reason=type(error).__name__),
            where=path.name,
            fix=msg("Expected {example}.", example='{"tables": {"table": [{"column": "value"}]}}'),
        ) from error
    return score(ctx, project, tables, key=key, as_of=as_of, version=version)


def batch(
    ctx: Context,
    project: str,
    output: Path,
    *,
    rows: Literal["unlabelled", "all", "latest"] | Sequence[str] = "unlabelled",
    version: int | None = None,
    as_of: datetime | None = None,
    form: Literal["parquet", "csv"] | None = None,
    n_reasons: int | None = None,
) -> BatchResult:
    """Score many root rows of the stored tables to one file; needs ``model.score``.

    Parameters
    ----------
    output : Path
        The file to write; written beside and renamed, so never half there.
    rows : {"unlabelled", "all", "latest"} or sequence of str, default="unlabelled"
        Rows without a known label, all rows, the rows of the last month of cutoffs, or keys.
    version : int, optional
        The champion where left out; the latest version where nothing is deployed.
    as_of : datetime, optional
        One cutoff for all rows (naive, the data's own clock); each row's own where left out.
    form : {"parquet", "csv"}, optional
        By the file's ending where left out.
    n_reasons : int, optional
        Reasons per row; 4 up to 5,000 rows and none above where left out, because reasons cost more than scores.
    """
    from features.matrix import build_matrix
    from model_registry.scorer import Scorer

    ctx.require("model.score")
    started = time.monotonic()
    number, bundle = served(ctx, project, version)
    file_format(output, form)
    ctx.say(0.0, msg("reading the tables"))
    table_set = importing.tables(ctx, project)
    keys, cutoffs = chosen_rows(table_set, bundle.label, rows, as_of)
    matrix = build_matrix(table_set, bundle.plan, keys, cutoffs, progress=ctx.part(0.1, 0.6).progress)
    ctx.say(0.6, msg("scoring {n} rows", n=len(keys)))
    scorer = Scorer(bundle, version=number)
    if n_reasons is None:
        n_reasons = 4 if len(keys) <= _MAX_ROWS_WITH_REASONS else 0
    leading = {bundle.plan.key_column: keys, "cutoff": cutoffs}
    with writing_scores(output, form) as file:
        file.write(score_frame(scorer, matrix.values, leading, n_reasons=n_reasons, language=ctx.language))
    return finish(ctx, project, number, output, file, started)


def finish(ctx: Context, project: str, version: int, output: Path, file: ScoreFile, started: float) -> BatchResult:
    """Note in the audit trail that many rows were scored, and return what came of it."""
    result = BatchResult(
        project=project,
        version=version,
        path=output,
        n_rows=file.n_rows,
        mean_probability=file.mean_probability,
        grade_counts=dict(sorted(file.grade_counts.items())),
        seconds=time.monotonic() - started,
        n_refused=file.n_refused,
    )
    details = {"version": version, "n_rows": result.n_rows, "n_refused": result.n_refused, "file": output.name}
    ctx.audit("score.batch", f"project:{project}", details)
    ctx.say(1.0, msg("{n} rows scored", n=result.n_rows - result.n_refused))
    return result


def cutoff_of(table_set: "TableSet", label: "LabelSpec", key: str) -> datetime:
    """Return the cutoff of one root row.

    Raises
    ------
    NotFoundError
        If the root table has no such row.
    """
    keys, cutoffs = chosen_rows(table_set, label, [key], None)
    moment: datetime = cutoffs[np.flatnonzero(keys.astype(str) == key)[0]].astype("datetime64[us]").item()
    return moment


def served(ctx: Context, project: str, version: int | None) -> "tuple[int, Bundle]":
    """Return the asked version's bundle, else the champion's, else the latest version's."""
    projects.get(ctx, project)
    if version is None:
        champion = ctx.registry.deployment(project)
        number = champion.number if champion else None
        version = number if number is not None else training.latest_version(ctx, project)
    return version, ctx.registry.bundle(project, version)


def chosen_rows(
    table_set: "TableSet", label: "LabelSpec", rows: str | Sequence[str], as_of: datetime | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return keys and cutoffs of the rows to score."""
    from automl.labelling import build

    labels = build(table_set, label, None)
    cutoffs = labels.cutoffs if as_of is None else np.full(len(labels), np.datetime64(as_of, "ns"))
    if rows == "unlabelled":
        chosen = np.isnan(labels.y)
    elif rows == "all":
        chosen = np.ones(len(labels), dtype=bool)
    elif rows == "latest":
        months = labels.cutoffs.astype("datetime64[M]")
        chosen = months == months.max()
    elif isinstance(rows, str):
        raise InputError(msg("rows are unlabelled, all, latest, or a list of keys; not {rows}", rows=repr(rows)))
    else:
        chosen = np.isin(labels.keys.astype(str), list(rows))
        _require_all(labels.keys[chosen], rows, label)
    keep = chosen & ~np.isnat(cutoffs)
    return labels.keys[keep], cutoffs[keep]


def _require_all(found: np.ndarray, wanted: Sequence[str], label: "LabelSpec") -> None:
    missing = sorted(set(wanted) - set(found.astype(str)))
    if missing:
        raise NotFoundError(
            msg(
                "{table} has no row whose {column} is {key}",
                table=label.root_table,
                column=label.key_column,
                key=repr(missing[0]),
            )
        )
