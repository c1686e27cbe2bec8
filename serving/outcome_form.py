"""The form in which outcomes are reported, and what is kept of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InputError, WorkbenchError
from core.i18n import msg
from model_registry.payload import case_key, read_time
from monitoring.outcomes import Outcome
from serving.request_form import refusal

__all__ = ["MAX_OUTCOMES", "OutcomeItem", "OutcomesRequest", "read_outcome", "read_outcomes_request"]

MAX_OUTCOMES = 10_000
_ID = r"^[A-Za-z0-9._:\-]{1,128}$"


class OutcomeItem(BaseModel):
    """What became of one case."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    request_id: Annotated[
        str | None, Field(pattern=_ID, description=str(msg("The request that was answered; or else the key.")))
    ] = None
    key: Annotated[
        str | int | None,
        Field(description=str(msg("The case: all answers about it that were given before are meant."))),
    ] = None
    outcome: Annotated[int | None, Field(ge=0, le=1, description=str(msg("1 bad, 0 good, null open (again).")))]
    observed_at: Annotated[
        str, Field(max_length=32, description=str(msg("When it came to be so, in the data's own clock.")))
    ]


class OutcomesRequest(BaseModel):
    """What became of several cases. Each is read by itself later, so that a bad one does not stop the rest."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    project: Annotated[str, Field(min_length=1, max_length=120, description=str(msg("Project the cases belong to.")))]
    outcomes: Annotated[
        list[Any],
        Field(
            min_length=1,
            max_length=MAX_OUTCOMES,
            description=str(msg("What became of each case; the order is the order in which they count.")),
            json_schema_extra={"items": OutcomeItem.model_json_schema()},
        ),
    ]
    report_id: Annotated[
        str | None,
        Field(pattern=_ID, description=str(msg("Names the report; sent again it changes nothing."))),
    ] = None


def read_outcomes_request(content: Any) -> OutcomesRequest:
    """Return the report in parsed JSON; raises `InputError` where its envelope is not as it must be."""
    try:
        return OutcomesRequest.model_validate(content)
    except ValidationError as error:
        raise refusal(error, OutcomesRequest) from None


def read_outcome(content: Any) -> Outcome | WorkbenchError:
    """Return the outcome in one item, or why there is none."""
    try:
        item = OutcomeItem.model_validate(content)
        if (item.request_id is None) == (item.key is None):
            return InputError(msg("Name the case by request_id or by key"), where="key", code="key_needed")
        name = item.request_id if item.request_id is not None else case_key(item.key)
        moment: datetime = read_time(item.observed_at, where="observed_at").astype("datetime64[us]").item()
        return Outcome("key" if item.request_id is None else "request_id", name, item.outcome, moment)
    except ValidationError as error:
        return refusal(error, OutcomeItem)
    except InputError as error:
        return error
