"""What stands behind the routes: the models, the callers, the log, and the thread that keeps them up to date."""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import orjson
from fastapi.concurrency import run_in_threadpool

from core.audit import AuditTrail
from core.database import Database
from core.errors import UnavailableError, WorkbenchError
from core.identity import Identity
from core.settings import Settings
from model_registry.registry import Registry
from model_registry.scorer import ScoreAnswer
from model_registry.versions import ANSWERING, CHAMPION, LIVE_CHALLENGER
from monitoring.score_log import ScoreBlock, ScoreRecord, blocks_of
from serving.access_log import AccessLog
from serving.answers import answer_of, record_of
from serving.asked import Asked, content_hash, new_request_id
from serving.callers import Callers
from serving.deployed import DeployedModel, DeployedModels, Slot
from serving.enterprise_desk import EnterpriseDesk
from serving.host_log import HostLog
from serving.limits import Gate, Limits, RateLimit
from serving.log_upkeep import LogUpkeep
from serving.lookups import Gathered, Lookups
from serving.metrics import ServiceMetrics
from serving.outcome_desk import OutcomeDesk
from serving.references import References
from serving.refusals import Refusals
from serving.repeats import Repeats
from serving.request_form import ScoreRequest
from serving.scoring import score
from serving.shadow import CHALLENGER, Shadow
from serving.split import Split
from serving.traffic import Traffic

__all__ = ["Given", "Scored", "ScoringService"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_REMEMBERED_ANSWERS = 5_000
_LOOKUP_THREADS = 8
_LONGEST_UNSHIPPED_SECONDS = 10.0


class Given(NamedTuple):
    """An answer as the bytes to send, and the slot that made it; None where it was made for the same request before."""

    content: bytes
    slot: Slot | None = None


Scored = tuple[DeployedModel, ScoreAnswer]
"""What a model said, and which it was."""


class ScoringService:
    """Everything that outlives a request.

    Parameters
    ----------
    settings : Settings
        Where database, bundles and the local folder ``scorer`` are.
    limits : Limits, optional
        What one process takes on.
    poll_seconds : float, default=1
        How often deployments and keys are looked up and the log is shipped.
    """

    def __init__(
        self, settings: Settings, *, limits: Limits | None = None, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        limits = limits or Limits()
        folder = settings.home / "scorer"
        self.settings = settings
        self.metrics = ServiceMetrics()
        self._poll_seconds = poll_seconds
        self._log_folder = folder / "log"
        self._database = Database(settings.database_url_resolved)
        self.models = DeployedModels(Registry(self._database, settings.artifacts, mlflow=False), folder / "bundles")
        registry = Registry(self._database, settings.artifacts, mlflow=False)
        self._challengers = DeployedModels(registry, folder / "challengers", slot=CHALLENGER)
        # A registry's rows, read by each by itself: what one of them cannot load holds up no other.
        self._rivals = DeployedModels(registry, folder / "rivals", slot=LIVE_CHALLENGER)
        self.split = Split(self._rivals)
        self.callers = Callers(Identity(self._database), folder / "keys.json")
        self.outcomes = OutcomeDesk(self._database, self.models)
        self.refusals = Refusals(AuditTrail(self._database))
        self.traffic = Traffic(self._database)
        self.rate = RateLimit(limits.requests_per_second, limits.burst)
        self.gate = Gate(limits.max_at_once)
        self.batches = Gate(limits.max_batches)
        self.lookups = Lookups(settings)
        self._access_log = AccessLog(folder / "reads", AuditTrail(self._database))
        self.enterprises = EnterpriseDesk(settings, self._access_log)
        self._references = References(settings)
        # A snapshot that answers slowly takes neither the places nor the threads of those who ask without it.
        self._looking_up = Gate(limits.max_lookups)
        self._lookup_threads = ThreadPoolExecutor(_LOOKUP_THREADS, "lookup")
        self._shadow = Shadow(
            self._challengers,
            lambda record: self._log.append(record),  # noqa: PLW0108 - the log is opened later
            lambda: self.gate.is_busy,
            self.metrics,
            self.lookups,
        )
        self._host_log: HostLog | None = None
        self.repeats = Repeats(lambda: self._log, max_answers=_REMEMBERED_ANSWERS)
        self._upkeep = LogUpkeep(
            lambda: self._log,
            self._database,
            self.metrics,
            months=settings.score_log_months,
            forget=self.repeats.forget,
        )
        self._shipped_at = time.monotonic()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Index what the local log holds, look models and keys up once, and go on looking in a thread."""
        self._host_log = HostLog(self._log_folder)
        self.metrics.workers.set(1)
        self.look()
        # A long way to the database for the log must not keep a withdrawn key or an old model at work.
        for name, act in (("scorer-look", self.look), ("scorer-ship", self._write_down)):
            thread = threading.Thread(target=self._until_stopped, args=(act,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._shadow.start()

    def stop(self) -> None:
        """Stop looking, close the log, and bring what is left in it to the database where that answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._shadow.stop()
        self._lookup_threads.shutdown()
        self.lookups.close()
        self.enterprises.close()
        self._log.close()
        self._upkeep.run_last()
        self._access_log.ship()
        self.refusals.write(is_last=True)
        self.traffic.write(is_last=True)
        self._database.dispose()

    @property
    def is_well(self) -> bool:
        """Whether answers can come to an end: the log's writer lives."""
        return self._host_log is not None and self._host_log.is_writing

    def look(self) -> None:
        """Look deployments and keys up once."""
        self.callers.refresh()
        self.models.refresh()
        self._challengers.refresh()
        self._rivals.refresh()
        self.lookups.refresh([model.slot.project for model in self.models.all()])
        self._references.refresh([*self.models.all(), *self._rivals.all(), *self._challengers.all()])
        for model in self.models.all():
            project = model.slot.project
            self.metrics.version.labels(project).set(model.slot.number)
            if (about := self.lookups.about(project)) is not None:
                self.metrics.snapshot_published.labels(project).set(
                    about.published_at.astype("datetime64[s]").astype(int)
                )
        self.metrics.problems.set(len(self.problems()))
        self.metrics.registry_age.set(self.models.seconds_since_contact() or 0.0)

    def answering(self) -> list[DeployedModel]:
        """Return the models whose answers are used, by project, the champion first."""
        return sorted([*self.models.all(), *self._rivals.all()], key=lambda one: (one.slot.project, one.slot.slot))

    def deployments(self) -> list[dict[str, Any]]:
        """Return what this process holds in every slot of every project, as it is told to callers."""
        models = [*self.answering(), *self._challengers.all()]
        return [self._deployment(model.slot) for model in sorted(models, key=lambda one: one.slot.project)]

    def problems(self) -> dict[str, str]:
        """Return the error's code of each deployment that cannot be loaded, by project, and slot if no champion's."""
        beside = {LIVE_CHALLENGER: self._rivals.problems, CHALLENGER: self._challengers.problems}
        return self.models.problems | {
            f"{project}/{slot}": code for slot, found in beside.items() for project, code in found.items()
        }

    def _deployment(self, slot: Slot) -> dict[str, Any]:
        rival = self.split.rival(slot.project)
        theirs = rival.slot.share if rival is not None else 0.0
        share = {CHAMPION: 1.0 - theirs, LIVE_CHALLENGER: theirs}.get(slot.slot, 0.0)
        return {
            "project": slot.project,
            "slot": slot.slot,
            "version": slot.number,
            "bundle_hash": slot.bundle_hash,
            "deployed_at": slot.since,
            "approval_expires_at": slot.expires_at,
            "answers": slot.slot in ANSWERING,
            "share": round(share, 6),
        }

    def note(self, project: str, slot: Slot | None, status: int, seconds: float) -> None:
        """Count one request for a score in the metrics and in the traffic; `slot` is whose answer it got."""
        self.metrics.requests.labels(project, str(status)).inc()
        self.metrics.seconds.labels(project).observe(seconds)
        self.traffic.note(project, slot, status, seconds)

    def note_answered(self, project: str, slot: Slot, seconds: Sequence[float]) -> None:
        """Count several requests that one slot has answered."""
        self.metrics.requests.labels(project, "200").inc(len(seconds))
        observe = self.metrics.seconds.labels(project).observe
        for one in seconds:
            observe(one)
        self.traffic.note_answered(project, slot, seconds)

    @property
    def shadow(self) -> Shadow:
        """The challengers, to whom answers are shown."""
        return self._shadow

    async def answer(self, request: ScoreRequest, content: Any, *, language: str) -> Given:
        """Return the answer to a request, logged before it is returned.

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
        asked = Asked(
            model=self.models.get(request.project),
            request=request,
            request_id=request.request_id or new_request_id(),
            # Nobody can repeat a request that has no name.
            payload_hash=content_hash(content) if request.request_id is not None else "",
            language=request.language or language,
        )
        if request.request_id is None:
            return await self._score(asked)
        # The same request comes twice at once: the second waits for the first, whatever becomes of that.
        await self.repeats.wait_for([asked.name])
        given = self._given(asked)
        if given is None:
            async with self.repeats.claimed([asked.name], [asked.name]):
                given = self._given(asked)
                if given is None:
                    return await self._score(asked)
        if isinstance(given, WorkbenchError):
            raise given
        return Given(given)

    async def answer_many(
        self,
        rows: Sequence[Asked],
        score_rows: Callable[[Sequence[Asked]], Sequence[Scored | WorkbenchError]],
        *,
        is_kept: bool,
    ) -> list[bytes | WorkbenchError]:
        """Answer several requests at once; an error in one is returned in its place.

        Parameters
        ----------
        rows : sequence of Asked
            What was asked. A repetition, also within `rows`, gets the answer that was given first.
        score_rows : callable
            Scores requests, in a thread; returns an answer and whose it is, or an error, for each.
        is_kept : bool
            Whether the answers are logged, and repetitions recognised by it.
        """
        found: dict[int, bytes | WorkbenchError] = {}
        left = list(range(len(rows)))
        while left:
            await self.repeats.wait_for([rows[i].name for i in left])
            fresh: dict[tuple[str, str], int] = {}
            for i in left:
                if is_kept and (given := self._given(rows[i])) is not None:
                    found[i] = given
                elif rows[i].name not in fresh:
                    fresh[rows[i].name] = i
            named = [name for name, i in fresh.items() if is_kept and rows[i].is_named]
            async with self.repeats.claimed(list(fresh), named):
                found.update(await self._answer_fresh(rows, list(fresh.values()), score_rows, is_kept=is_kept))
            left = [i for i in left if i not in found]
        return [found[i] for i in range(len(rows))]

    async def _answer_fresh(
        self,
        rows: Sequence[Asked],
        chosen: Sequence[int],
        score_rows: Callable[[Sequence[Asked]], Sequence[Scored | WorkbenchError]],
        *,
        is_kept: bool,
    ) -> dict[int, bytes | WorkbenchError]:
        """Answer the `chosen` of `rows`, which this process does not remember; another may."""
        named = [i for i in chosen if is_kept and rows[i].is_named]
        found = {i: given for i in named if (given := self._given(rows[i])) is not None}
        new = [i for i in chosen if i not in found]
        answers = await self._score_many([rows[i] for i in new], score_rows, is_kept=is_kept)
        return found | dict(zip(new, answers, strict=True))

    async def _score_many(
        self,
        rows: Sequence[Asked],
        score_rows: Callable[[Sequence[Asked]], Sequence[Scored | WorkbenchError]],
        *,
        is_kept: bool,
    ) -> list[bytes | WorkbenchError]:
        asked_at = datetime.now(UTC)
        made = await run_in_threadpool(_records, rows, score_rows, asked_at)
        if not is_kept:
            return [one if isinstance(one, WorkbenchError) else orjson.dumps(answer_of(one)) for one in made]
        try:
            named = {asked.request_id for asked in rows if asked.is_named}
            await self.keep([one for one in made if isinstance(one, ScoreRecord)], named)
        except UnavailableError as error:
            return [one if isinstance(one, WorkbenchError) else error for one in made]
        return [
            one
            if isinstance(one, WorkbenchError)
            else self.repeats.put(one)
            if asked.is_named
            else orjson.dumps(answer_of(one))
            for one, asked in zip(made, rows, strict=True)
        ]

    async def keep(self, records: Sequence[ScoreRecord], named: Container[str] = ()) -> None:
        """Return when all records are on the disk; raise `UnavailableError` if any could not be written.

        `named` are the request ids that callers chose, under which the records are found again.
        """
        if len(records) == 1:
            await self._log.append_in_loop([(records[0], records[0].request_id in named)])
            self._count(records[0].project, records[0].slot, records[0].version)
            return
        for future in await run_in_threadpool(self._hand_over, records, named):
            await asyncio.wrap_future(future)
        for kept, n in Counter((one.project, one.slot, one.version) for one in records).items():
            self._count(*kept, n)

    def keep_together(
        self, contents: Sequence[tuple[ScoreRecord | ScoreBlock, bool]], slot: Slot, n: int
    ) -> "asyncio.Future[None]":
        """Return what is done when the `n` answers of a slot are on the disk, all or none; call it from the loop.

        `contents` are their records and blocks, each with whether it is named.
        """

        def count(kept: "asyncio.Future[None]") -> None:
            if kept.exception() is None:
                self._count(slot.project, slot.slot, slot.number, n)

        future = self._log.append_in_loop(contents)
        future.add_done_callback(count)
        return future

    async def keep_block(self, block: ScoreBlock) -> None:
        """Return when all answers of a block are on the disk; raise `UnavailableError` if they could not be written."""
        await asyncio.wrap_future(await run_in_threadpool(self._log.append_block, block))
        self._count(block.project, block.slot, block.version, len(block.request_ids))

    def _count(self, project: str, slot: str, version: int, n: int = 1) -> None:
        self.metrics.answers.labels(project, slot, str(version)).inc(n)
        self.traffic.note_answers(project, slot, version, n)

    def _hand_over(self, records: Sequence[ScoreRecord], named: Container[str]) -> list[Future[None]]:
        """Hand records to the log's writer, in blocks where they have enough in common."""
        return [
            self._log.append_block(one) if isinstance(one, ScoreBlock) else self._log.append(one, is_named=is_named)
            for one, is_named in _contents(records, named)
        ]

    def _given(self, asked: Asked) -> bytes | WorkbenchError | None:
        return self.repeats.given(asked.name, asked.payload_hash)

    async def _score(self, asked: Asked) -> Given:
        asked_at = datetime.now(UTC)
        gathered = await self._gather(asked) if asked.request.is_looked_up else None
        by_rival = await self._score_by_rival(asked, gathered)
        model, answer = by_rival or (asked.model, _score_one(asked, gathered))
        record = _record(asked, (model, answer), asked_at)
        await self.keep([record], (asked.request_id,) if asked.is_named else ())
        # Who did not name a request cannot ask for its answer again.
        content = self.repeats.put(record) if asked.is_named else orjson.dumps(answer_of(record))
        # After the answer: the response is written before the loop comes to this.
        asyncio.get_running_loop().call_soon(self._shadow.offer, asked.request, record)
        return Given(content, model.slot)

    async def _score_by_rival(self, asked: Asked, gathered: Gathered | None) -> Scored | None:
        """Return what the live challenger says where the request is its; None where the champion shall answer.

        Nothing that is wrong with a challenger costs an answer.
        """
        rival = self.split.rival(asked.request.project)
        if rival is None or not self.split.is_rivals(rival, asked.model, asked.request, gathered):
            return None
        theirs = replace(asked, model=rival)
        try:
            own = await self._gather(theirs) if gathered is not None else None
            return rival, _score_one(theirs, own)
        except WorkbenchError as error:
            _LOG.info("the live challenger of %s does not take a request: %s", asked.request.project, error.code)
        except Exception:  # noqa: BLE001 - whatever it meets, the champion answers
            _LOG.exception("the live challenger of %s failed", asked.request.project)
        self.metrics.split_returned.labels(asked.request.project).inc()
        return None

    async def look_up(self, work: Callable[[], T]) -> T:
        """Do `work` that waits for a snapshot in one of the few threads for that.

        Raises
        ------
        UnavailableError
            Too many wait already.
        """
        with self._looking_up.entered():
            return await asyncio.get_running_loop().run_in_executor(self._lookup_threads, work)

    async def _gather(self, asked: Asked) -> Gathered:
        return await self.look_up(lambda: self.lookups.gather(asked.model, asked.request))

    @property
    def _log(self) -> HostLog:
        if self._host_log is None:
            raise RuntimeError("the service is not started")
        return self._host_log

    def _until_stopped(self, act: Callable[[], None]) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                act()
            except Exception:  # noqa: BLE001 - this thread must outlive whatever one round meets; the next one tries again
                _LOG.exception("a round of %s failed", threading.current_thread().name)

    def _write_down(self) -> None:
        """Bring to the database what was written here; answers of a batch at work go first, but not for long."""
        now = time.monotonic()
        if not self.batches.is_busy or now - self._shipped_at >= _LONGEST_UNSHIPPED_SECONDS:
            self._upkeep.run()
            self._shipped_at = time.monotonic()
        self.refusals.write()
        self._access_log.ship()
        self.traffic.write()


def _contents(records: Sequence[ScoreRecord], named: Container[str]) -> list[tuple[ScoreRecord | ScoreBlock, bool]]:
    """Return what is written of records, in blocks where they have enough in common, each with whether it is named."""
    are_named = [record.request_id in named for record in records]
    blocks, rest = blocks_of(records, are_named, iter(new_request_id, None))
    return [*rest, *((block, block.is_named) for block in blocks)]


def _score_one(asked: Asked, gathered: Gathered | None) -> ScoreAnswer:
    return score(asked.model, asked.request, asked.request_id, asked.language, gathered)


def _record(asked: Asked, scored: Scored, asked_at: datetime, source: str = "api") -> ScoreRecord:
    return record_of(
        *scored,
        request_id=asked.request_id,
        payload_hash=asked.payload_hash,
        language=asked.language,
        asked_at=asked_at,
        source=source,
    )


def _records(
    rows: Sequence[Asked],
    score_rows: Callable[[Sequence[Asked]], Sequence[Scored | WorkbenchError]],
    asked_at: datetime,
) -> list[ScoreRecord | WorkbenchError]:
    return [
        made if isinstance(made, WorkbenchError) else _record(asked, made, asked_at, source="batch")
        for asked, made in zip(rows, score_rows(rows), strict=True)
    ]
