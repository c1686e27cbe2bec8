"""From a score to the record that is kept, and from the record to the answer: what is logged is what was said."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from automl.reasons import Reason
from core.errors import ConflictError
from core.i18n import msg, render
from model_registry.payload import Warned
from model_registry.scorer import ScoreAnswer
from monitoring.score_log import ScoreRecord
from serving.deployed import DeployedModel

__all__ = [
    "GivenAnswers",
    "answer_of",
    "expiry_warning",
    "reason_content",
    "record_of",
    "reused",
    "warning_contents",
]


def record_of(
    model: DeployedModel,
    answer: ScoreAnswer,
    *,
    request_id: str,
    payload_hash: str,
    language: str,
    asked_at: datetime,
    source: str = "api",
) -> ScoreRecord:
    """Return what is kept of `answer`, its texts in `language`."""
    expired = expiry_warning(model, asked_at, language)
    return ScoreRecord(
        request_id=request_id,
        project=model.slot.project,
        slot=model.slot.slot,
        version=model.slot.number,
        bundle_hash=answer.bundle_hash,
        asked_at=asked_at.astimezone(UTC),
        key=answer.key,
        cutoff=answer.cutoff,
        probability=answer.probability,
        score=answer.score,
        grade=answer.grade,
        reasons=[reason_content(reason) for reason in answer.reasons],
        warnings=warning_contents(answer.warnings, language) + expired,
        features=answer.features,
        source=source,
        language=language,
        payload_hash=payload_hash,
        snapshots=answer.snapshots,
    )


def reason_content(reason: Reason) -> dict[str, Any]:
    """Return a reason as it is kept and told."""
    return {
        "code": reason.code,
        "statement": reason.statement,
        "feature": reason.alias,
        "name": reason.name,
        "text": reason.text,
        "direction": reason.direction,
        "contribution": reason.contribution,
    }


def warning_contents(warnings: Iterable[Warned], language: str) -> list[dict[str, str]]:
    """Return warnings as they are kept and told, in `language`."""
    return [{"code": warned.code, "text": str(render(warned.text, language))} for warned in warnings]


def expiry_warning(model: DeployedModel, asked_at: datetime, language: str) -> list[dict[str, str]]:
    """Return what is said of a version whose approval has expired; nothing of others."""
    if not model.slot.is_expired(asked_at):
        return []
    return [{"code": "approval_expired", "text": msg("the approval of this version has expired").text(language)}]


def answer_of(record: ScoreRecord) -> dict[str, Any]:
    """Return what the caller gets, from the record alone."""
    return {
        "request_id": record.request_id,
        "project": record.project,
        "version": record.version,
        "bundle_hash": record.bundle_hash,
        "key": record.key,
        "as_of": record.cutoff.isoformat(),
        "probability": record.probability,
        "score": record.score,
        "grade": record.grade,
        "reasons": record.reasons,
        "warnings": record.warnings,
        "snapshots": record.snapshots,
    }


def reused() -> ConflictError:
    """Return what is said to a request under whose id another one was answered."""
    return ConflictError(
        msg("Another request was answered under this request_id"),
        where="request_id",
        fix=msg("Use a new request_id for each request; repeat one only with the same content."),
        code="request_id_reused",
    )


class GivenAnswers:
    """The last answers by request id, so that a request that is repeated gets the same answer and one record.

    Used from the event loop only.

    Parameters
    ----------
    max_answers : int
        How many are kept.
    """

    def __init__(self, *, max_answers: int) -> None:
        self._max_answers = max_answers
        self._answers: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    def __contains__(self, name: tuple[str, str]) -> bool:
        return name in self._answers

    def get(self, project: str, request_id: str, payload_hash: str) -> bytes | None:
        """Return the answer given to this request before, or None.

        Raises
        ------
        ConflictError
            If another request was answered under this id.
        """
        known = self._answers.get((project, request_id))
        if known is None:
            return None
        if known[0] != payload_hash:
            raise reused()
        return known[1]

    def forget(self) -> None:
        """Forget all, from any thread: some of it was erased, and the log still knows the rest."""
        self._answers = OrderedDict()

    def put(self, record: ScoreRecord) -> bytes:
        """Keep and return the answer of `record`, as the bytes that are sent."""
        content = orjson.dumps(answer_of(record))
        self.keep((record.project, record.request_id), record.payload_hash, content)
        return content

    def keep(self, name: tuple[str, str], payload_hash: str, content: bytes) -> None:
        """Keep the answer to a request, by project and request id."""
        # A copy of just its length: what orjson returns keeps a buffer of several kilobytes behind it.
        self._answers[name] = (payload_hash, bytes(memoryview(content)))
        while len(self._answers) > self._max_answers:
            self._answers.popitem(last=False)
