"""Scores outside the service: one enterprise's payload as of a date, one answer, or many to a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.flows.context import Context
from workbench.flows.results import FindingField

if TYPE_CHECKING:
    from model_registry.scorer import ScoreAnswer

__all__ = ["BatchResult", "Payload", "batch", "example_keys", "payload", "score"]


@dataclass(frozen=True)
class Payload:
    """The raw rows of one root row's tables as they were known at `cutoff`, in the service's own JSON form."""

    project: str
    key: str
    cutoff: datetime
    tables: dict[str, list[dict[str, Any]]]

    def request(self, language: str = "en", request_id: str | None = None) -> dict[str, Any]:
        """Return the body for ``POST /v1/score``."""
        raise NotImplementedError


@dataclass(frozen=True)
class BatchResult:
    """A file of scores: `path` holds one row per key with probability, score, grade, reasons and version."""

    project: str
    version: int
    path: Path
    n_rows: int
    n_failed: int
    mean_probability: float | None
    grade_counts: dict[str, int]
    seconds: float
    findings: tuple[FindingField, ...]


def example_keys(ctx: Context, project: str, n: int = 20) -> list[str]:
    """Return keys of root rows to try a score on, the latest cutoffs first."""
    raise NotImplementedError


def payload(ctx: Context, project: str, key: str, *, as_of: datetime | None = None) -> Payload:
    """Assemble the rows of every table that the deployed plan reads for one key, as known at `as_of`; needs ``model.score``.

    Parameters
    ----------
    key : str
        Key of the root row.
    as_of : datetime, optional
        The row's own cutoff where left out.

    Raises
    ------
    NotFoundError
        If the root table has no such row.
    """
    raise NotImplementedError


def score(
    ctx: Context,
    project: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    key: str | None = None,
    as_of: datetime | None = None,
    version: int | None = None,
    log: bool = False,
) -> "ScoreAnswer":
    """Score one payload with the champion (or `version`) in this process; needs ``model.score``.

    With `log` the answer goes to the score log as the service's answers do.
    """
    raise NotImplementedError


def batch(
    ctx: Context,
    project: str,
    output: Path,
    *,
    rows: Literal["unlabelled", "all", "latest"] | Sequence[str] = "unlabelled",
    version: int | None = None,
    as_of: datetime | None = None,
    file_format: Literal["parquet", "csv"] | None = None,
    log: bool = False,
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
    file_format : {"parquet", "csv"}, optional
        By the file's ending where left out.
    """
    raise NotImplementedError
