"""What the scorers are asked now: requests, times to answer, who answers, and the last answers, masked."""

import http.client
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.errors import InputError
from core.i18n import Message, msg
from monitoring.latency import percentile
from monitoring.score_log import latest_scores
from monitoring.traffic import ANSWERS, PERIOD_SECONDS, TrafficPart, read_traffic
from warehouse.quality.masking import mask
from workbench.flows import projects
from workbench.flows.context import Context
from workbench.flows.results import MessageField

if TYPE_CHECKING:
    from model_registry.versions import Deployment
    from monitoring.score_log import ScoreRecord

__all__ = ["WINDOWS_MINUTES", "LastAnswer", "Latency", "Moment", "StatusRow", "TrafficState", "VersionTraffic", "state"]

WINDOWS_MINUTES: Final = (15, 60, 1_440)
_MOMENTS: Final = 90
_LAST: Final = 20
_HEALTH_TIMEOUT_S: Final = 0.5
_OK: Final = 200
_MASKED: Final = 10


@dataclass(frozen=True)
class Latency:
    """Milliseconds within which half, 95 and 99 of a hundred answers came, true to 5 percent; None where none came."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Moment:
    """A step of time: requests answered, refused and failed in it, and how long answers took."""

    at: datetime
    n_answered: int
    n_refused: int
    n_failed: int
    latency: Latency


@dataclass(frozen=True)
class StatusRow:
    """One status of HTTP: how often it was given, and what it means."""

    status: int
    n: int
    meaning: MessageField


@dataclass(frozen=True)
class VersionTraffic:
    """What a version answered from a slot.

    `share` is the part of the enterprises it shall answer, None where it is not deployed there now; `n_answers` counts
    answers made and kept, those of batches among them; `mean_probability` is that of the last single answers it gave.
    """

    slot: str
    version: int
    share: float | None
    n_answers: int
    answered_share: float
    latency: Latency
    mean_probability: float | None
    n_probabilities: int


@dataclass(frozen=True)
class LastAnswer:
    """One of the last answers; `key` and `request_id` are masked, because they may name a person."""

    at: datetime
    slot: str
    version: int
    key: str
    request_id: str
    probability: float
    score: float
    grade: str
    source: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class TrafficState:
    """Everything the Traffic page draws.

    `champion` is what answers, `rival` what answers `share` of the enterprises in its place; `scorer` is "ready",
    "no model", "stale" (it serves, but the database is away from it) or "no answer" of the scorer at `scorer_url`;
    `per_second` is over the last minute.
    """

    project: str
    minutes: int
    step_seconds: int
    champion: int | None
    rival: int | None
    share: float
    scorer: str
    scorer_url: str
    n_requests: int
    n_answered: int
    n_failed: int
    per_second: float
    latency: Latency
    moments: tuple[Moment, ...]
    statuses: tuple[StatusRow, ...]
    versions: tuple[VersionTraffic, ...]
    last: tuple[LastAnswer, ...]


def state(ctx: Context, project: str, *, minutes: int = WINDOWS_MINUTES[0]) -> TrafficState:
    """Return what was asked in the last `minutes`, at most three days back; needs ``view``.

    Everything comes from counts and records that the scorers bring to the database: the service is not asked but for
    whether it is ready.
    """
    if not 1 <= minutes <= 3 * 1_440:
        raise InputError(msg("Expected 1 to {n} minutes, not {minutes}", n=3 * 1_440, minutes=minutes), where="minutes")
    ctx.require("view")
    projects.get(ctx, project)
    now = datetime.now(UTC)
    step = _step_seconds(minutes)
    parts = read_traffic(ctx.database, project, _first(now, minutes, step), step_seconds=step)
    requests = [part for part in parts if part.status != ANSWERS]
    n = Counter[int]()
    for part in requests:
        n[part.status] += part.n
    records = _records(ctx, project)
    champion, rival = _deployed(ctx, project)
    return TrafficState(
        project=project,
        minutes=minutes,
        step_seconds=step,
        champion=champion.number if champion is not None else None,
        rival=rival.number if rival is not None else None,
        share=rival.share if rival is not None else 0.0,
        scorer=_scorer(ctx),
        scorer_url=f"http://{ctx.settings.scorer_host}:{ctx.settings.scorer_port}",
        n_requests=n.total(),
        n_answered=n[_OK],
        n_failed=sum(count for status, count in n.items() if status >= 500),
        per_second=_per_second(ctx, project, now),
        latency=_latency(requests),
        moments=_moments(requests, _first(now, minutes, step), now, step),
        statuses=tuple(StatusRow(status, count, _meaning(status)) for status, count in sorted(n.items())),
        versions=_versions(ctx, project, parts, records),
        last=tuple(_last(record) for record in records[:_LAST]),
    )


def _step_seconds(minutes: int) -> int:
    wanted = minutes * 60 / _MOMENTS
    return next((step for step in (5, 10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600) if step >= wanted), 3_600)


def _first(now: datetime, minutes: int, step: int) -> datetime:
    return datetime.fromtimestamp(int((now - timedelta(minutes=minutes)).timestamp()) // step * step, UTC)


def _per_second(ctx: Context, project: str, now: datetime) -> float:
    """Return the requests a second of the last whole minute; the moment that is being counted is left out."""
    end = int(now.timestamp()) // PERIOD_SECONDS * PERIOD_SECONDS - PERIOD_SECONDS
    start = datetime.fromtimestamp(end - 60, UTC)
    parts = read_traffic(ctx.database, project, start)
    return sum(part.n for part in parts if part.status != ANSWERS and part.at.timestamp() < end) / 60.0


def _moments(requests: Sequence[TrafficPart], start: datetime, now: datetime, step: int) -> tuple[Moment, ...]:
    by_moment: dict[datetime, list[TrafficPart]] = {}
    for part in requests:
        by_moment.setdefault(part.at, []).append(part)
    n_steps = int((now - start).total_seconds()) // step + 1
    moments = (start + timedelta(seconds=step * i) for i in range(n_steps))
    return tuple(_moment(at, by_moment.get(at, [])) for at in moments) if requests else ()


def _moment(at: datetime, parts: Sequence[TrafficPart]) -> Moment:
    answered = sum(part.n for part in parts if part.status == _OK)
    failed = sum(part.n for part in parts if part.status >= 500)
    return Moment(at, answered, sum(part.n for part in parts) - answered - failed, failed, _latency(parts))


def _latency(parts: Iterable[TrafficPart]) -> Latency:
    together = Counter[int]()
    for part in parts:
        together.update(part.seconds)
    found = [percentile(together, ratio) for ratio in (0.5, 0.95, 0.99)]
    return Latency(*(None if seconds is None else 1000.0 * seconds for seconds in found))


def _versions(
    ctx: Context, project: str, parts: Sequence[TrafficPart], records: "Sequence[ScoreRecord]"
) -> tuple[VersionTraffic, ...]:
    shares = _shares(ctx, project)
    answers = Counter[tuple[str, int]]()
    for part in parts:
        if part.status == ANSWERS:
            answers[part.slot, part.version] += part.n
    found = []
    for slot, version in sorted({*shares, *answers}):
        own = [part for part in parts if (part.slot, part.version) == (slot, version)]
        probabilities = [one.probability for one in records if (one.slot, one.version) == (slot, version)]
        found.append(
            VersionTraffic(
                slot=slot,
                version=version,
                share=shares.get((slot, version)),
                n_answers=answers[slot, version],
                answered_share=answers[slot, version] / (answers.total() or 1),
                latency=_latency(own),
                mean_probability=sum(probabilities) / len(probabilities) if probabilities else None,
                n_probabilities=len(probabilities),
            )
        )
    return tuple(found)


def _deployed(ctx: Context, project: str) -> "tuple[Deployment | None, Deployment | None]":
    """Return what is the champion and what the live challenger."""
    from model_registry.versions import CHAMPION, LIVE_CHALLENGER

    held = {entry.slot: entry for entry in ctx.registry.deployments(project)}
    return held.get(CHAMPION), held.get(LIVE_CHALLENGER)


def _shares(ctx: Context, project: str) -> dict[tuple[str, int], float]:
    champion, rival = _deployed(ctx, project)
    theirs = rival.share if rival is not None else 0.0
    found = [(champion, 1.0 - theirs), (rival, theirs)]
    return {(entry.slot, entry.number or 0): share for entry, share in found if entry is not None}


def _records(ctx: Context, project: str) -> "list[ScoreRecord]":
    from model_registry.versions import ANSWERING

    found = [
        record
        for slot in sorted(ANSWERING)
        for record in latest_scores(ctx.database, project, slot=slot, limit=10 * _LAST)
    ]
    return sorted(found, key=lambda record: record.asked_at, reverse=True)


def _last(record: "ScoreRecord") -> LastAnswer:
    return LastAnswer(
        at=record.asked_at,
        slot=record.slot,
        version=record.version,
        key=_masked(record.key),
        request_id=_masked(record.request_id),
        probability=record.probability,
        score=record.score,
        grade=record.grade,
        source=record.source,
        warnings=tuple(str(warned["code"]) for warned in record.warnings),
    )


def _masked(text: str) -> str:
    """Return a name that tells nobody, short enough for a column."""
    hidden = mask(text)
    return hidden if len(hidden) <= _MASKED else f"{hidden[:2]}****{hidden[-2:]}"


def _scorer(ctx: Context) -> str:
    """Return how the scorer of the settings feels; from another host it may be out of reach and answer all the same."""
    connection = http.client.HTTPConnection(
        ctx.settings.scorer_host, ctx.settings.scorer_port, timeout=_HEALTH_TIMEOUT_S
    )
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        told = json.loads(response.read())
        if response.status != http.client.OK:
            return "no model"
        return "stale" if told["registry"] == "stale" else "ready"
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return "no answer"
    finally:
        connection.close()


_MEANINGS: Final = {
    200: msg("answered"),
    400: msg("the caller went away, or sent what cannot be read"),
    401: msg("no usable key"),
    403: msg("the key may not do this"),
    404: msg("nothing deployed, or no such case"),
    408: msg("the body came too slowly"),
    409: msg("a request id used for something else"),
    413: msg("too large"),
    415: msg("not plain JSON"),
    422: msg("not what the model takes"),
    429: msg("the key sends too fast"),
    500: msg("a fault inside"),
    503: msg("no model, log or snapshot just now, or too much at once"),
}


def _meaning(status: int) -> Message:
    return _MEANINGS.get(status, msg("other"))
