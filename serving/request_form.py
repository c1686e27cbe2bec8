"""The envelope of a request: what may be in it, and of which type."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import MessageLike, msg

__all__ = ["FORMS", "LOOKED_UP", "LOOKUP_PERMISSION", "Language", "ScoreRequest", "read_request", "refusal"]

Language = Literal["en", "zh"]
_Row = dict[str, Any]
FORMS: Final = ("tables", "features", "id", "row")
"""The ways to ask; a request has one of them."""
LOOKED_UP: Final = frozenset({"id", "row"})
"""Those that draw on the online snapshot."""
LOOKUP_PERMISSION: Final = "snapshot.read"
"""What a key must be good for to use them: who sends no rows learns of whomever he names."""

_MESSAGES: dict[str, MessageLike] = {
    "missing": msg("This field is needed"),
    "extra_forbidden": msg("There is no such field"),
}


def _as_sent(rows: Any, check: Callable[[Any], list[_Row]]) -> list[_Row]:
    """Return rows without a copy of each where they are a list of objects, as those of parsed JSON are."""
    return rows if type(rows) is list and set(map(type, rows)) <= {dict} else check(rows)


def _object_as_sent(row: Any, check: Callable[[Any], _Row]) -> _Row:
    """Return an object without a copy: those of parsed JSON have texts for keys and nothing else to be checked here."""
    return row if type(row) is dict else check(row)


class ScoreRequest(BaseModel):
    """A request for one score. Rows are checked later, against the deployed model."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    project: Annotated[
        str, Field(min_length=1, max_length=120, description=str(msg("Project whose champion answers.")))
    ]
    tables: Annotated[
        dict[Annotated[str, Field(max_length=200)], Annotated[list[_Row], WrapValidator(_as_sent)]] | None,
        Field(
            description=str(
                msg("Raw rows by table: text, numbers, true and false, null; times as 2024-05-31T12:00:00.")
            )
        ),
    ] = None
    features: Annotated[
        Annotated[_Row, WrapValidator(_object_as_sent)] | None,
        Field(description=str(msg("Instead of tables: ready values, every feature of the model by its alias."))),
    ] = None
    id: Annotated[
        str | int | None,
        Field(
            description=str(
                msg("Instead of tables: key of a row of the root table; its rows are taken from the online snapshot.")
            )
        ),
    ] = None
    row: Annotated[
        _Row | None,
        Field(
            description=str(
                msg("Instead of tables: a new row of the root table; all else is taken from the online snapshot.")
            )
        ),
    ] = None
    key: Annotated[
        str | int | None,
        Field(
            description=str(
                msg("Which row of the root table, or the name of the case; may be left out where one row is sent.")
            )
        ),
    ] = None
    entity: Annotated[
        Annotated[str, Field(min_length=1, max_length=256)] | int | None,
        Field(
            description=str(
                msg(
                    "Whom the case is about, where ready features do not tell: while traffic is split, one version "
                    "answers all that is asked about the same enterprise."
                )
            )
        ),
    ] = None
    as_of: Annotated[
        str | None,
        Field(max_length=32, description=str(msg("Time up to which (exclusive) rows count, in the data's own clock."))),
    ] = None
    request_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._:\-]{1,128}$",
            description=str(
                msg("Names the request; repeated with the same content it gets the same answer and one record.")
            ),
        ),
    ] = None
    language: Annotated[Language | None, Field(description=str(msg("Language of reasons and warnings.")))] = None
    reasons: Annotated[int, Field(ge=0, le=4, description=str(msg("Reasons at most; 0 is faster.")))] = 4

    @property
    def is_looked_up(self) -> bool:
        """Whether it draws on the online snapshot."""
        return self.id is not None or self.row is not None


def read_request(content: Any) -> ScoreRequest:
    """Return the request in parsed JSON.

    Raises
    ------
    InputError
        With one finding per field that is missing, unknown or wrong; what was sent is in none of them.
    """
    try:
        request = ScoreRequest.model_validate(content)
    except ValidationError as error:
        raise refusal(error, ScoreRequest) from None
    given = [name for name in FORMS if getattr(request, name) is not None]
    if not given:
        raise InputError(msg("Send tables, features, id or row"), where="tables", code="missing_field")
    if len(given) > 1:
        raise InputError(msg("Send only one of tables, features, id and row"), where=given[1], code="both_given")
    if request.key is not None and given[0] in LOOKED_UP:
        raise InputError(msg("Leave the key out: {form} holds it", form=given[0]), where="key", code="both_given")
    return request


def refusal(error: ValidationError, form: type[BaseModel]) -> InputError:
    """Return what pydantic found wrong in a `form`, with one finding per field and without what was sent."""
    points = [
        _point(detail["type"], detail["loc"], form) for detail in error.errors(include_input=False, include_url=False)
    ]
    return InputError(points[0].message, where=points[0].where, code=points[0].code, findings=points)


def _point(kind: str, place: tuple[int | str, ...], form: type[BaseModel]) -> Finding:
    # A name that the caller made up is not repeated.
    known = [str(part) for part in place[:1] if part in form.model_fields]
    where = ".".join(known + [str(part) for part in place[1:] if isinstance(part, int)])
    code = {"missing": "missing_field", "extra_forbidden": "unknown_field"}.get(kind, "wrong_type")
    return Finding(code, Severity.BAD, _MESSAGES.get(kind, msg("This field has a wrong type or value")), where)
