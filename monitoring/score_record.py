"""One answer as it is kept: what was asked, what was answered, by which version, with which feature values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import orjson

from model_registry.feature_row import FeatureRow

__all__ = ["RECORD_FIELDS", "ScoreRecord", "as_plain", "read_record"]


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """What was asked, what was answered, by which version, with which feature values.

    Parameters
    ----------
    request_id : str
        Names the request; with project and slot it names the record.
    project, slot : str
        Which deployment answered.
    version : int
        Model version.
    bundle_hash : str
        SHA-256 of its bundle.
    asked_at : datetime
        Aware moment of the request.
    key : str
        Key of the scored row.
    cutoff : datetime
        Naive time in the data's own clock; only what was known strictly before it counted.
    probability, score : float
        Probability of default, and points.
    grade : str
        Grade of the master scale.
    reasons, warnings : list of dict
        As in the answer.
    features : mapping of str to float or None
        Feature values by alias; NaN and None both mean null.
    source : str, default="api"
        Where it was asked from: ``"api"``, ``"batch"``, ``"page"``.
    language : str, default="en"
        Language of the texts in `reasons` and `warnings`.
    payload_hash : str, default=""
        SHA-256 of what was sent, to tell a repeated request from another one under the same id.
    snapshots : mapping of str to str
        The dated data beside the request that the answer drew on: moment up to which each reaches, by its name
        (``"online"``), naive, in the data's own clock.
    """

    request_id: str
    project: str
    slot: str
    version: int
    bundle_hash: str
    asked_at: datetime
    key: str
    cutoff: datetime
    probability: float
    score: float
    grade: str
    reasons: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    features: Mapping[str, float | None]
    source: str = "api"
    language: str = "en"
    payload_hash: str = ""
    snapshots: Mapping[str, str] = field(default_factory=dict)

    def to_line(self) -> bytes:
        """Return the record as one line of JSON, NaN as null."""
        return orjson.dumps(self, as_plain, orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def from_line(cls, line: bytes) -> "ScoreRecord":
        """Read what `to_line` wrote.

        Raises
        ------
        ValueError
            If the line is not a whole record.
        """
        try:
            values = orjson.loads(line)
            values["asked_at"] = datetime.fromisoformat(values["asked_at"])
            values["cutoff"] = datetime.fromisoformat(values["cutoff"])
            if values["asked_at"].tzinfo is None or values["cutoff"].tzinfo is not None:
                raise ValueError("a time of a score record has a wrong clock")
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError("not a score record") from error


RECORD_FIELDS = tuple(column.name for column in fields(ScoreRecord))
"""Names of a record's parts, which are those of the table's columns."""


def as_plain(value: object) -> dict[str, float]:
    """Return feature values as what orjson writes; for its ``default``."""
    if isinstance(value, FeatureRow):
        return value.to_dict()
    raise TypeError


def read_record(line: bytes) -> ScoreRecord | None:
    """Return the record in a line of the local log, or None where it holds none."""
    try:
        return ScoreRecord.from_line(line)
    except ValueError:
        return None
