"""What the models say to rows of a batch, whichever form each has: those of one form are scored together."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.errors import WorkbenchError
from core.i18n import msg
from model_registry.scorer import ScoreAnswer
from serving.asked import Asked
from serving.deployed import DeployedModel
from serving.lookups import Gathered, Lookups
from serving.scoring import key_of, score
from serving.service import Scored, ScoringService
from serving.split import Split

__all__ = ["RowScores"]

_LOG = logging.getLogger(__name__)


class RowScores:
    """Scores the rows of one batch. All rows of a project are answered by what served when its first one came.

    Where the project's traffic was split then, each enterprise is answered by the same version as it would be alone.

    Parameters
    ----------
    service : ScoringService
        Whose models and snapshots are used.
    """

    def __init__(self, service: ScoringService) -> None:
        self._service = service
        self._models: dict[str, DeployedModel] = {}
        self._rivals: dict[str, DeployedModel | None] = {}

    def champion(self, project: str) -> DeployedModel:
        """Return the champion of a project, the same throughout the batch.

        Raises
        ------
        NotFoundError
            If it has none.
        """
        model = self._models.get(project)
        if model is None:
            model = self._models[project] = self._service.models.get(project)
            self._rivals[project] = self._service.split.rival(project)
        return model

    def score(self, rows: Sequence[Asked]) -> list[Scored | WorkbenchError]:
        """Score rows in a thread, each by the version whose it is; what a live challenger cannot, the champion does."""
        chosen = self._on_sides(rows)
        made = self._score_all(chosen)
        again = [i for i, one in enumerate(made) if chosen[i] is not rows[i] and isinstance(one, WorkbenchError)]
        for i, answer in zip(again, self._score_all([rows[i] for i in again]), strict=True):
            made[i], chosen[i] = answer, rows[i]
            self._service.metrics.split_returned.labels(rows[i].request.project).inc()
        return [
            answer if isinstance(answer, WorkbenchError) else (asked.model, answer)
            for asked, answer in zip(chosen, made, strict=True)
        ]

    def _on_sides(self, rows: Sequence[Asked]) -> list[Asked]:
        """Return the rows, those that are a live challenger's with its model."""
        by_id = [i for i, asked in enumerate(rows) if asked.request.id is not None and self._rival(asked) is not None]
        gathered = dict(zip(by_id, self._gather([rows[i] for i in by_id]), strict=True))
        return [self.on_side(asked, gathered.get(i)) for i, asked in enumerate(rows)]

    def on_side(self, asked: Asked, gathered: Gathered | WorkbenchError | None = None) -> Asked:
        """Return what was asked, with the model of the live challenger where it is its."""
        rival, known = self._rival(asked), gathered if isinstance(gathered, Gathered) else None
        is_rivals = rival is not None and Split.is_rivals(rival, asked.model, asked.request, known)
        return replace(asked, model=rival) if rival is not None and is_rivals else asked

    def _rival(self, asked: Asked) -> DeployedModel | None:
        return self._rivals.get(asked.request.project)

    def _gather(self, rows: Sequence[Asked]) -> list[Gathered | WorkbenchError]:
        """Return the rows behind ids, of which each project's are gathered together."""
        found: dict[int, Gathered | WorkbenchError] = {}
        together: defaultdict[str, list[int]] = defaultdict(list)
        for i, asked in enumerate(rows):
            together[asked.request.project].append(i)
        for members in together.values():
            requests = [rows[i].request for i in members]
            gathered = self._service.lookups.gather_each(rows[members[0]].model, requests)
            found.update(zip(members, gathered, strict=True))
        return [found[i] for i in range(len(rows))]

    def _score_all(self, rows: Sequence[Asked]) -> list[ScoreAnswer | WorkbenchError]:
        """Score rows: ready features together, and ids, at a fraction of the cost of one by one."""
        found: dict[int, ScoreAnswer | WorkbenchError] = {}
        together: defaultdict[tuple[str, str, str, int, str], list[int]] = defaultdict(list)
        for i, asked in enumerate(rows):
            request, slot = asked.request, asked.model.slot
            form = "features" if request.features is not None else "id" if request.id is not None else ""
            if form:
                together[form, slot.project, slot.slot, request.reasons, asked.language].append(i)
            else:
                found[i] = _score_alone(asked, self._service.lookups)
        for (form, *_), members in together.items():
            chosen = [rows[i] for i in members]
            lookups = self._service.lookups
            made = _score_together(chosen, lookups) if form == "features" else _score_by_id(chosen, lookups)
            found.update(zip(members, made, strict=True))
        return [found[i] for i in range(len(rows))]


def _score_alone(asked: Asked, lookups: Lookups) -> ScoreAnswer | WorkbenchError:
    try:
        gathered = lookups.gather(asked.model, asked.request) if asked.request.is_looked_up else None
        return score(asked.model, asked.request, asked.request_id, asked.language, gathered)
    except WorkbenchError as error:
        return error
    except Exception:  # noqa: BLE001 - whatever one row meets, the others are scored
        _LOG.exception("an unexpected error in a row of a batch")
        return WorkbenchError(msg("Something went wrong inside; the operators can see what"), code="internal")


def _score_by_id(rows: Sequence[Asked], lookups: Lookups) -> list[ScoreAnswer | WorkbenchError]:
    """Score ids of one model, one number of reasons and one language, all from one snapshot and in one computation."""
    gathered = lookups.gather_each(rows[0].model, [row.request for row in rows])
    known = [found for found in gathered if isinstance(found, Gathered)]
    if not known:
        return [found for found in gathered if isinstance(found, WorkbenchError)]
    try:
        answers: Iterator[ScoreAnswer | WorkbenchError] = iter(
            rows[0].model.scorer.score_stored(
                known[0].tables,
                [found.key for found in known],
                [found.moment for found in known],
                rows[0].request.reasons,
                rows[0].language,
                [found.warnings for found in known],
                known[0].snapshots,
            )
        )
    except WorkbenchError:
        return [_score_alone(row, lookups) for row in rows]
    return [next(answers) if isinstance(found, Gathered) else found for found in gathered]


def _score_together(rows: Sequence[Asked], lookups: Lookups) -> list[ScoreAnswer | WorkbenchError]:
    """Score rows of one model, one number of reasons and one language; any that fails is told by itself."""
    try:
        scorer, request = rows[0].model.scorer, rows[0].request
        values = np.stack([scorer.ready.row(row.request.features or {}) for row in rows])
        keys = [key_of(row.request, row.request_id) for row in rows]
        cutoffs = [row.request.as_of for row in rows]
        return list(scorer.score_values(values, keys, cutoffs, request.reasons, rows[0].language))
    except WorkbenchError:
        return [_score_alone(row, lookups) for row in rows]
