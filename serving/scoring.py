"""What a model says to a request, whichever form the request has."""

from model_registry.payload import case_key
from model_registry.scorer import ScoreAnswer
from serving.deployed import DeployedModel
from serving.request_form import ScoreRequest

__all__ = ["key_of", "score"]


def score(model: DeployedModel, request: ScoreRequest, request_id: str, language: str) -> ScoreAnswer:
    """Return what `model` says to a request; ready features without a key are named by the request."""
    if request.features is None:
        tables = request.tables or {}
        return model.scorer.score_rows(tables, request.key, request.as_of, request.reasons, language)
    key = key_of(request, request_id)
    return model.scorer.score_features(request.features, key, request.as_of, request.reasons, language)


def key_of(request: ScoreRequest, request_id: str) -> str:
    """Return how a case of ready features is named: by its key, else by the request."""
    return request_id if request.key is None else case_key(request.key)
