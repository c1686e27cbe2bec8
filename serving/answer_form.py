"""The forms of what the service answers, as its description tells them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from core.i18n import msg

__all__ = ["ANSWER_SCHEMAS", "AnswerForm", "BatchLineForm", "OutcomesForm"]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ReasonForm(_Form):
    """What moved the score."""

    code: Annotated[str, Field(description=str(msg("Reason code of the model's map, such as R04.")))]
    statement: Annotated[str, Field(description=str(msg("What the code says, fit to be told to an applicant.")))]
    feature: Annotated[str, Field(description=str(msg("Alias of the feature.")))]
    name: str
    text: Annotated[str, Field(description=str(msg("Feature, value and direction, for the analyst.")))]
    direction: Literal["raises", "lowers"]
    contribution: Annotated[float, Field(description=str(msg("What it adds to the log-odds.")))]


class WarningForm(_Form):
    """What the reader of an answer should know."""

    code: str
    text: str


class AnswerForm(_Form):
    """One score."""

    request_id: str
    project: str
    version: int
    bundle_hash: str
    key: str
    as_of: str
    probability: Annotated[float, Field(gt=0, lt=1, description=str(msg("Of default.")))]
    score: Annotated[float, Field(description=str(msg("Points; fall as risk rises.")))]
    grade: str
    reasons: list[ReasonForm]
    warnings: list[WarningForm]
    snapshots: dict[str, str]


class ErrorForm(_Form):
    """Why there is no answer."""

    code: str
    message: str
    where: str
    fix: str
    points: list[dict[str, Any]] = []


class BatchLineForm(_Form):
    """One line of the answer to a batch: an answer, or an error and the request's id; the last line is a summary."""

    row: Annotated[int | None, Field(description=str(msg("From 1; null where the body itself came to a bad end.")))] = (
        None
    )
    answer: AnswerForm | None = None
    error: ErrorForm | None = None
    request_id: str | None = None
    summary: dict[str, int] | None = None


class OutcomesForm(_Form):
    """The effect of a report."""

    project: str
    kept: int
    refused: int
    results: list[dict[str, Any]]


ANSWER_SCHEMAS: dict[str, Any] = models_json_schema(
    [(form, "validation") for form in (AnswerForm, BatchLineForm, OutcomesForm)],
    ref_template="#/components/schemas/{model}",
)[1]["$defs"]
"""JSON schemas of all forms by name, for the components of the OpenAPI description."""
