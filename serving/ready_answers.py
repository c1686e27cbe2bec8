"""Answers to several rows of ready features at once: the texts that are sent, and the record that is kept of them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import orjson

from model_registry.feature_row import FeatureRow
from model_registry.scorer import as_moment, present
from monitoring.score_log import ScoreBlock, ScoreRecord
from serving.answers import expiry_warning, reason_content, warning_contents
from serving.asked import Asked, new_request_id
from serving.deployed import Slot
from serving.scoring import key_of

__all__ = ["ReadyAnswers"]

_FEWEST_IN_A_BLOCK: Final = 4


class ReadyAnswers:
    """What one model says to requests of one number of reasons and one language.

    The same as `serving.scoring.score` and `serving.answers.record_of` say to each alone, without an object for each.

    Parameters
    ----------
    rows : sequence of Asked
        At least one, all with ready features.
    asked_at : datetime
        Aware moment at which they are answered.
    source : str
        As in `ScoreRecord`.

    Raises
    ------
    InputError
        If the values, the key or the moment of one are not what they must be.
    """

    def __init__(self, rows: Sequence[Asked], asked_at: datetime, source: str) -> None:
        first = rows[0]
        self._rows, self._asked_at, self._source = rows, asked_at, source
        self._model, self._language = first.model, first.language
        scorer = first.model.scorer
        self._values = scorer.ready.rows([row.request.features or {} for row in rows])
        self._keys = [key_of(row.request, row.request_id) for row in rows]
        now = present()
        moments = [now if row.request.as_of is None else as_moment(row.request.as_of) for row in rows]
        self._cutoffs = np.array(moments, dtype="datetime64[us]")
        said = scorer.answer_columns(self._values, first.request.reasons, first.language)
        self._probability, self._score, self._grade = said.probability, said.score, said.grade
        expired = expiry_warning(first.model, asked_at, first.language)
        self._reasons = [[reason_content(reason) for reason in reasons] for reasons in said.reasons]
        self._warnings = [warning_contents(warned, first.language) + expired for warned in said.warnings]

    @property
    def slot(self) -> Slot:
        """Whose answers they are."""
        return self._model.slot

    @cached_property
    def contents(self) -> list[bytes]:
        """The answers as they are sent, JSON, as `serving.answers.answer_of` has them."""
        slot, dumps = self._model.slot, orjson.dumps
        bundle_hash = self._model.scorer.bundle_hash
        columns = (self._keys, self._times, self._probability, self._score, self._grade, self._reasons, self._warnings)
        return [
            dumps(
                {
                    "request_id": row.request_id,
                    "project": slot.project,
                    "version": slot.number,
                    "bundle_hash": bundle_hash,
                    "key": key,
                    "as_of": time.isoformat(),
                    "probability": probability,
                    "score": score,
                    "grade": grade,
                    "reasons": reasons,
                    "warnings": warnings,
                    "snapshots": {},
                }
            )
            for row, key, time, probability, score, grade, reasons, warnings in zip(self._rows, *columns, strict=True)
        ]

    def kept(self) -> list[tuple[ScoreRecord | ScoreBlock, bool]]:
        """Return what is written in the log, each with whether it is named."""
        named = [i for i, row in enumerate(self._rows) if row.is_named]
        unnamed = [i for i, row in enumerate(self._rows) if not row.is_named]
        return [*self._kept_of(named, is_named=True), *self._kept_of(unnamed, is_named=False)]

    def record(self, i: int) -> ScoreRecord:
        """Return what is kept of one answer."""
        row = self._rows[i]
        return ScoreRecord(
            request_id=row.request_id,
            key=self._keys[i],
            cutoff=self._times[i],
            probability=self._probability[i],
            score=self._score[i],
            grade=self._grade[i],
            reasons=self._reasons[i],
            warnings=self._warnings[i],
            features=FeatureRow(self._model.scorer.plan.aliases, self._values[i]),
            payload_hash=row.payload_hash,
            **self._shared,
        )

    def _kept_of(self, chosen: list[int], *, is_named: bool) -> list[tuple[ScoreRecord | ScoreBlock, bool]]:
        if len(chosen) < _FEWEST_IN_A_BLOCK:
            return [(self.record(i), is_named) for i in chosen]
        return [(self._block(chosen, is_named=is_named), is_named)]

    def _block(self, chosen: list[int], *, is_named: bool) -> ScoreBlock:
        has_said = any(self._reasons[i] or self._warnings[i] for i in chosen)
        return ScoreBlock(
            block_id=new_request_id(),
            aliases=self._model.scorer.plan.aliases,
            request_ids=[self._rows[i].request_id for i in chosen],
            probabilities=np.array(self._probability)[chosen],
            scores=np.array(self._score)[chosen],
            grades=[self._grade[i] for i in chosen],
            cutoffs=self._cutoffs[chosen],
            values=self._values[chosen],
            keys=[self._keys[i] for i in chosen],
            payload_hashes=[self._rows[i].payload_hash for i in chosen] if is_named else None,
            said=[(self._reasons[i], self._warnings[i]) for i in chosen] if has_said else None,
            is_named=is_named,
            **self._shared,
        )

    @cached_property
    def _times(self) -> list[datetime]:
        times: list[datetime] = self._cutoffs.tolist()
        return times

    @cached_property
    def _shared(self) -> dict[str, Any]:
        """What all records have in common."""
        slot = self._model.slot
        return {
            "project": slot.project,
            "slot": slot.slot,
            "version": slot.number,
            "bundle_hash": self._model.scorer.bundle_hash,
            "asked_at": self._asked_at,
            "source": self._source,
            "language": self._language,
        }
