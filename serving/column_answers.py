"""Answers to ready features that come as columns: a column per part of the answer, and a record per row to keep."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from core.i18n import msg
from model_registry.feature_columns import KEY_COLUMN, row_errors, row_keys
from model_registry.scorer import present
from monitoring.score_log import ScoreBlock
from serving.answers import reason_content
from serving.asked import new_request_id
from serving.deployed import DeployedModel
from serving.problems import UnsupportedBodyError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ColumnAnswers", "Sink", "require_pyarrow"]


_TEXTS_OF_A_REASON: Final = ("code", "statement", "feature", "name", "text", "direction")
_Reasons: TypeAlias = list[list[dict[str, Any]]]


class ColumnAnswers:
    """The answers of one model to one batch, whose rows are numbered from 1. Safe for several threads.

    Parameters
    ----------
    model : DeployedModel
        Answers every row.
    is_kept : bool
        Whether each scored row becomes a record of the score log.
    n_reasons : int, default=0
        Reasons at most for each row.
    language : {"en", "zh"}, default="en"
        Of their texts.
    """

    def __init__(self, model: DeployedModel, *, is_kept: bool, n_reasons: int = 0, language: str = "en") -> None:
        self.model = model
        self.n_reasons = n_reasons
        self._is_kept = is_kept
        self._language = language
        self._request_id = new_request_id()

    @property
    def schema(self) -> "pa.Schema":
        """Columns of the answer; its metadata name model and batch."""
        import pyarrow as pa

        slot = self.model.slot
        reason = pa.struct({**dict.fromkeys(_TEXTS_OF_A_REASON, pa.string()), "contribution": pa.float64()})
        return pa.schema(
            {
                KEY_COLUMN: pa.string(),
                "probability": pa.float64(),
                "score": pa.float64(),
                "grade": pa.string(),
                "error": pa.string(),
                **({"reasons": pa.list_(reason)} if self.n_reasons else {}),
            },
            metadata={
                "project": slot.project,
                "version": str(slot.number),
                "bundle_hash": slot.bundle_hash,
                "batch_id": self._request_id,
                "kept": str(self._is_kept).lower(),
            },
        )

    def answer(
        self, values: np.ndarray, given_keys: "Sequence[pa.Array] | None", first: int
    ) -> "tuple[pa.RecordBatch, ScoreBlock | None]":
        """Return the answers to some rows and what is to be kept of them.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_features)
            In the order of the plan.
        given_keys : sequence of Array, optional
            Names of the rows, in one piece or several; a row without one is named by batch and number.
        first : int
            Number of the first row.
        """
        names = [f"{self._request_id}:{first + i}" for i in range(len(values))]
        keys = names if given_keys is None else row_keys(given_keys, names)
        errors = row_errors(values, self.model.scorer.plan.aliases, keys)
        good = np.array([i for i, error in enumerate(errors) if error is None], dtype=np.int64)
        scored = self.model.scorer.score_matrix(values[good])
        reasons = self._reasons(values[good])
        block = self._block(scored, values[good], good, names, keys) if self._is_kept and len(good) else None
        if block is not None and reasons:
            block = replace(block, said=[(one, []) for one in reasons], language=self._language)
        return self._batch(scored, good, keys, errors, reasons), block

    def _reasons(self, values: np.ndarray) -> _Reasons:
        """Return the reasons of each row; nothing where none were asked for."""
        if not self.n_reasons:
            return []
        reasons = self.model.scorer.reasons(values, self.n_reasons, self._language)
        return [[reason_content(reason) for reason in row] for row in reasons]

    def _block(
        self,
        scored: tuple[np.ndarray, np.ndarray, np.ndarray],
        values: np.ndarray,
        good: np.ndarray,
        names: list[str],
        keys: list[str],
    ) -> ScoreBlock:
        """Return what is kept of the answers: what was said, and the values it was said of."""
        slot = self.model.slot
        request_ids = names if len(good) == len(names) else [names[i] for i in good]
        probability, points, grade = scored
        return ScoreBlock(
            block_id=new_request_id(),
            project=slot.project,
            slot=slot.slot,
            version=slot.number,
            bundle_hash=slot.bundle_hash,
            asked_at=datetime.now(UTC),
            aliases=self.model.scorer.plan.aliases,
            request_ids=request_ids,
            probabilities=probability,
            scores=points,
            grades=grade.tolist(),
            cutoffs=np.full(len(good), present(), dtype="datetime64[us]"),
            values=values,
            keys=None if keys is names else [keys[i] for i in good],
        )

    def _batch(
        self,
        scored: tuple[np.ndarray, np.ndarray, np.ndarray],
        good: np.ndarray,
        keys: Sequence[str],
        errors: Sequence[str | None],
        reasons: _Reasons,
    ) -> "pa.RecordBatch":
        import pyarrow as pa

        probability, points = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
        grade = np.full(len(keys), None, dtype=object)
        probability[good], points[good], grade[good] = scored
        columns = [
            pa.array(keys, pa.string()),
            pa.array(probability, from_pandas=True),
            pa.array(points, from_pandas=True),
            pa.array(grade, pa.string()),
            pa.array(errors, pa.string()),
        ]
        if self.n_reasons:
            given: list[list[dict[str, Any]] | None] = [None] * len(keys)
            for i, row in zip(good.tolist(), reasons, strict=True):
                given[i] = row
            columns.append(pa.array(given, self.schema.field("reasons").type))
        return pa.record_batch(columns, schema=self.schema)


class Sink:
    """What pyarrow writes into; taken out again after each batch."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._n_bytes = 0

    def write(self, content: bytes) -> int:
        """Add to the end."""
        self._parts.append(bytes(content))
        self._n_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        """Return how much was written in all."""
        return self._n_bytes

    def flush(self) -> None:
        """Do nothing: all is in memory."""

    def close(self) -> None:
        """Say that nothing more will come; what there is can still be taken."""
        self.closed = True

    def taken(self) -> bytes:
        """Return what was written since it was last asked for."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def require_pyarrow() -> None:
    """Refuse a body of columns where pyarrow is not installed.

    Raises
    ------
    UnsupportedBodyError
        It is not.
    """
    try:
        import pyarrow  # noqa: F401, ICN001 - asked for only to know whether it is there
    except ImportError:
        raise UnsupportedBodyError(
            msg("Arrow and Parquet are not read here, because pyarrow is not installed"),
            fix=msg("Send lines of JSON instead."),
        ) from None
