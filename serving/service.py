"""What stands behind the routes: the models, the callers, the log, and the thread that keeps them up to date."""

import asyncio
import hashlib
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from core.database import Database
from core.errors import UnavailableError
from core.identity import Identity
from core.settings import Settings
from model_registry.payload import case_key
from model_registry.registry import Registry
from model_registry.scorer import ScoreAnswer
from monitoring.score_log import LocalScoreLog, ScoreRecord, read_local, remove_shipped, ship
from serving.answers import GivenAnswers, record_of
from serving.callers import Callers
from serving.deployed import DeployedModel, DeployedModels
from serving.metrics import ServiceMetrics
from serving.request_form import ScoreRequest

__all__ = ["ScoringService"]

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_REMEMBERED_ANSWERS = 20_000
_KEEP_SHIPPED_SECONDS = 7 * 86_400.0
_CLEAN_EVERY_SECONDS = 3_600.0


class ScoringService:
    """Everything that outlives a request.

    Parameters
    ----------
    settings : Settings
        Where database, bundles and the local folder ``scorer`` are.
    poll_seconds : float, default=1
        How often deployments and keys are looked up and the log is shipped.
    """

    def __init__(self, settings: Settings, *, poll_seconds: float = _POLL_SECONDS) -> None:
        folder = settings.home / "scorer"
        self.settings = settings
        self.metrics = ServiceMetrics()
        self._poll_seconds = poll_seconds
        self._log_folder = folder / "log"
        self._database = Database(settings.database_url_resolved)
        self.models = DeployedModels(Registry(self._database, settings.artifacts, mlflow=False), folder / "bundles")
        self.callers = Callers(Identity(self._database), folder / "keys.json")
        self._log: LocalScoreLog | None = None
        self._answers = GivenAnswers((), max_answers=_REMEMBERED_ANSWERS)
        self._under_way: dict[tuple[str, str], asyncio.Future[bytes]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read what the local log holds, look models and keys up once, and go on looking in a thread."""
        self._log = LocalScoreLog(self._log_folder)
        records = read_local(self._log_folder, max_records=_REMEMBERED_ANSWERS)
        self._answers = GivenAnswers(records, max_answers=_REMEMBERED_ANSWERS)
        self.look()
        self._thread = threading.Thread(target=self._look_until_stopped, name="scorer-look", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking, close the log, and bring what is left in it to the database where that answers."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._log is not None:
            self._log.close()
        self._ship()
        self._database.dispose()

    def look(self) -> None:
        """Look deployments and keys up once."""
        self.callers.refresh()
        self.models.refresh()
        for model in self.models.all():
            self.metrics.version.labels(model.slot.project).set(model.slot.number)
        self.metrics.problems.set(len(self.models.problems))
        self.metrics.registry_age.set(self.models.seconds_since_contact() or 0.0)

    async def answer(self, request: ScoreRequest, content: Any, *, language: str) -> bytes:
        """Return the answer to a request as the bytes to send, logged before it is returned.

        Parameters
        ----------
        request : ScoreRequest
            What was asked.
        content : object
            The parsed JSON it came from, to recognise a repetition.
        language : {"en", "zh"}
            Language of the texts where the request names none.

        Raises
        ------
        ConflictError
            If another request was answered under the same id.
        WorkbenchError
            If there is no model, the rows are not what it takes, or the log cannot be written.
        """
        payload_hash = _hash(content)
        model = self.models.get(request.project)
        if request.request_id is None:
            return await self._score(model, request, uuid.uuid4().hex, payload_hash, language)
        name = (request.project, request.request_id)
        while (running := self._under_way.get(name)) is not None:
            # The same request comes twice at once: the second waits for the first, whatever becomes of that.
            await asyncio.wait([running])
        if (given := self._answers.get(*name, payload_hash)) is not None:
            return given
        self._under_way[name] = future = asyncio.get_running_loop().create_future()
        try:
            return await self._score(model, request, request.request_id, payload_hash, language)
        finally:
            del self._under_way[name]
            future.set_result(b"")

    async def _score(
        self, model: DeployedModel, request: ScoreRequest, request_id: str, payload_hash: str, language: str
    ) -> bytes:
        asked_at = datetime.now(UTC)
        language = request.language or language
        answer = score(model, request, request_id, language)
        record = record_of(
            model, answer, request_id=request_id, payload_hash=payload_hash, language=language, asked_at=asked_at
        )
        await self._keep(record)
        return self._answers.put(record)

    async def _keep(self, record: ScoreRecord) -> None:
        if self._log is None:
            raise RuntimeError("the service is not started")
        await asyncio.wrap_future(self._log.append_soon(record))

    def _look_until_stopped(self) -> None:
        cleaned = time.monotonic()
        while not self._stop.wait(self._poll_seconds):
            try:
                self.look()
                self._ship()
                if time.monotonic() - cleaned > _CLEAN_EVERY_SECONDS:
                    remove_shipped(self._log_folder, older_than_seconds=_KEEP_SHIPPED_SECONDS)
                    cleaned = time.monotonic()
            except Exception:  # noqa: BLE001 - this thread must outlive whatever one round meets; the next one tries again
                _LOG.exception("a round of looking failed")

    def _ship(self) -> None:
        try:
            self.metrics.shipped.inc(ship(self._log_folder, self._database))
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("the score log waits for the database: %s", type(error).__name__)


def score(model: DeployedModel, request: ScoreRequest, request_id: str, language: str) -> ScoreAnswer:
    """Return what `model` says to a request; ready features without a key are named by the request."""
    if request.features is None:
        tables = request.tables or {}
        return model.scorer.score_rows(tables, request.key, request.as_of, request.reasons, language)
    key = request_id if request.key is None else case_key(request.key)
    return model.scorer.score_features(request.features, key, request.as_of, request.reasons, language)


def _hash(content: Any) -> str:
    """Return the SHA-256 of a request's content, whatever the order of its keys."""
    try:
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Integers beyond 64 bits are numbers of JSON too.
        canonical = repr(content).encode()
    return hashlib.sha256(canonical).hexdigest()
