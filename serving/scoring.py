"""What a model says to a request, whichever form the request has."""

from model_registry.payload import case_key
from model_registry.scorer import ScoreAnswer
from serving.deployed import DeployedModel
from serving.lookups import Gathered
from serving.request_form import ScoreRequest

__all__ = ["key_of", "score"]


def score(
    model: DeployedModel, request: ScoreRequest, request_id: str, language: str, gathered: Gathered | None = None
) -> ScoreAnswer:
    """Return what `model` says to a request; ready features without a key are named by the request.

    `gathered` are the rows of a request that draws on the online snapshot.
    """
    scorer = model.scorer
    if gathered is not None:
        return scorer.score_stored(
            gathered.tables,
            [gathered.key],
            [gathered.moment],
            request.reasons,
            language,
            [gathered.warnings],
            gathered.snapshots,
        )[0]
    if request.features is None:
        return scorer.score_rows(request.tables or {}, request.key, request.as_of, request.reasons, language)
    key = key_of(request, request_id)
    return scorer.score_features(request.features, key, request.as_of, request.reasons, language)


def key_of(request: ScoreRequest, request_id: str) -> str:
    """Return how a case of ready features is named: by its key, else by the request."""
    return request_id if request.key is None else case_key(request.key)
