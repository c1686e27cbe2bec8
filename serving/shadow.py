"""The challenger in the shadow: it scores what the champion has answered, after the answer, and is only logged."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from core.errors import NotFoundError, UnavailableError, WorkbenchError
from monitoring.score_log import ScoreRecord
from serving.answers import record_of
from serving.deployed import DeployedModels
from serving.lookups import Lookups
from serving.metrics import ServiceMetrics
from serving.request_form import ScoreRequest
from serving.scoring import score

__all__ = ["CHALLENGER", "Shadow"]

_LOG = logging.getLogger(__name__)
CHALLENGER = "challenger"
_MAX_WAITING = 1_000
_PAUSE_SECONDS = 0.002
_MAX_PAUSES = 25


class Shadow:
    """One thread that scores with the challengers while no answer is being made.

    What comes faster than it can score is dropped and counted: a shadow is a sample, never a load. Whatever goes wrong
    in it stays in it.

    Parameters
    ----------
    models : DeployedModels
        The challengers.
    append : callable
        Hands a record to the score log.
    is_busy : callable
        Whether answers are being made just now.
    metrics : ServiceMetrics
        Where scored, refused and dropped requests are counted.
    lookups : Lookups
        Gathers the rows of what was asked for by id, anew: the challenger may read others.
    """

    def __init__(
        self,
        models: DeployedModels,
        append: Callable[[ScoreRecord], "Future[None]"],
        is_busy: Callable[[], bool],
        metrics: ServiceMetrics,
        lookups: Lookups,
    ) -> None:
        self._models = models
        self._append = append
        self._is_busy = is_busy
        self._metrics = metrics
        self._lookups = lookups
        self._waiting: queue.Queue[tuple[ScoreRequest, ScoreRecord]] = queue.Queue(_MAX_WAITING)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to score."""
        self._thread = threading.Thread(target=self._score_until_stopped, name="shadow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the request under way and leave the rest; call it before the log is closed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def follows(self, project: str) -> bool:
        """Whether the project has a challenger, to whom answers are worth to be offered."""
        return self._models.holds(project)

    def offer(self, request: ScoreRequest, answered: ScoreRecord) -> None:
        """Let the project's challenger, if it has one, score what was answered; returns at once."""
        if not self.follows(request.project):
            return
        try:
            self._waiting.put_nowait((request, answered))
        except queue.Full:
            self._metrics.shadow.labels(request.project, "dropped").inc()

    def _score_until_stopped(self) -> None:
        while not self._stop.is_set():
            try:
                request, answered = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            for _ in range(_MAX_PAUSES):
                if not self._is_busy():
                    break
                time.sleep(_PAUSE_SECONDS)
            self._metrics.shadow.labels(request.project, self._score(request, answered)).inc()

    def _score(self, request: ScoreRequest, answered: ScoreRecord) -> str:
        """Score one request as of the moment it was answered for; return what became of it."""
        try:
            model = self._models.get(request.project)
            # No reasons, which nobody reads and which cost most; and the champion's own moment.
            same = request.model_copy(update={"reasons": 0, "as_of": answered.cutoff.isoformat()})
            gathered = self._lookups.gather(model, same) if same.is_looked_up else None
            answer = score(model, same, answered.request_id, answered.language, gathered)
            record = record_of(
                model,
                answer,
                request_id=answered.request_id,
                payload_hash=answered.payload_hash,
                language=answered.language,
                asked_at=answered.asked_at,
                source=answered.source,
            )
            self._append(record).result()
        except (NotFoundError, UnavailableError):
            return "dropped"
        except WorkbenchError as error:
            _LOG.info("the challenger of %s does not take a request: %s", request.project, error.code)
            return "refused"
        except Exception:  # noqa: BLE001 - the champion's answers must not depend on anything a challenger does
            _LOG.exception("the challenger of %s failed", request.project)
            return "failed"
        return "scored"
